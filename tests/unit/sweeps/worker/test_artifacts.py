import io
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bimt_core import initialise, load_task, start
from sweeps.spec.recipe import recipe
from sweeps.worker.artifacts import draw_front_trial, pick_best_and_median, spread_evenly
from sweeps.worker.history import HistoryEntry, serialize_history


@given(st.lists(st.floats(0, 10), min_size=1, max_size=9))
def test_best_and_median_replicate(losses):
    best, median = pick_best_and_median({"val_loss": losses})
    assert losses[best] == min(losses)
    assert losses[median] == statistics.median_low(losses)


def history(name, params, steps):
    """History of a replicate that does not change during training."""
    task = load_task(name)
    first = start(initialise(recipe(task, params).network, [0, 1], dtype=task.dtype))
    return serialize_history([HistoryEntry.of(replace(first, step=step)) for step in steps], 1)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("two_moons", {"decision_regions", "ablation_table"}),
        ("independence", {"predictions", "ablation_table"}),
        ("permutation_s4", {"embedding_rings", "strip_plots", "cayley_graph", "ablation_table"}),
    ],
)
def test_a_trial_on_the_front_has_its_tasks_figures_and_an_animation(name, figures):
    params = {"hidden_width": 6}
    files = draw_front_trial(load_task(name), params, history(name, params, [0, 20, 40]))
    assert files.pop("diagrams/best.svg").count(b"</svg>") == 1
    assert set(files) == {"figures/training.gif", *(f"figures/{figure}.png" for figure in figures)}
    assert all(Image.open(io.BytesIO(content)).size > (100, 100) for content in files.values())
    assert Image.open(io.BytesIO(files["figures/training.gif"])).n_frames == 3


def test_there_is_no_animation_of_one_entry():
    files = draw_front_trial(load_task("two_moons"), {}, history("two_moons", {}, [40]))
    assert "figures/training.gif" not in files
    assert "figures/decision_regions.png" in files


@pytest.mark.parametrize(
    ("numbers", "picked"),
    [([], []), ([4], [4]), (list(range(8)), list(range(8))), (list(range(15)), [0, 2, 4, 6, 8, 10, 12, 14])],
)
def test_numbers_are_picked_evenly(numbers, picked):
    assert spread_evenly(numbers, 8) == picked
