import io
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from bimt_core.modularity import Communities
from bimt_core.pictures.network.animation import _draw_frames, _match_colours, render_animation
from bimt_core.tasks import load_task

MOONS = load_task("two_moons")


STEPS = [0, 1000, 2000, 3000]


@pytest.fixture
def history(sparse):
    """History of two networks that lose weights, with reversed rows in the last entry."""
    entries = [sparse(MOONS, 2, kept) for kept in (1.0, 0.5, 0.2)]
    flipped = {n: torch.arange(k).flip(0).repeat(2, 1) for n, k in (("input", 2), ("output", 2))}
    return [*entries, entries[-1].rearrange(flipped)]


def test_a_gif_has_a_frame_per_entry(history):
    image = Image.open(io.BytesIO(render_animation(history, MOONS, 1, frame_s=0.2)))
    assert image.format == "GIF" and image.n_frames == 4 and image.info["loop"] == 0
    durations = []
    for i in range(4):
        image.seek(i)
        durations.append(image.info["duration"])
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert durations == [200, 200, 200, 600]


def test_frames_are_of_one_size_and_differ(history):
    frames = _draw_frames(history, MOONS, 0, None, "safe")
    assert len({frame.size for frame in frames}) == 1
    pixels = [np.asarray(frame) for frame in frames]
    assert all((a != b).any() for a, b in pairwise(pixels))


def test_titles_have_step_loss_and_cost(history, monkeypatch):
    titles = []
    module = sys.modules[_draw_frames.__module__]
    draw = module.plot_connectivity
    monkeypatch.setattr(module, "plot_connectivity", lambda *a, **k: titles.append(k["title"]) or draw(*a, **k))
    _draw_frames(history, MOONS, 1, STEPS, "safe")
    one = history[1].select([1])
    loss = MOONS.loss(one.predict(MOONS.test_inputs), MOONS.test_targets).item()
    first, second = titles[1].splitlines()
    assert first == "two moons, step 1,000" and second.startswith(f"test loss {loss:.2e}   connection cost ")


def test_communities_keep_their_colours():
    a, b, c = (frozenset({("hidden1", i), ("hidden1", i + 10)}) for i in range(3))
    before = Communities(0.5, (a, b, c))
    assert _match_colours(Communities(0.5, (c, a, b)), before).members == (a, b, c)
    assert _match_colours(Communities(0.5, (c,)), before).members[2] == c
    found = _match_colours(Communities(0.5, (frozenset({("hidden1", 5)}), c, b, a)), before).members
    assert found[:3] == (a, b, c) and len(found) == 4
    assert _match_colours(before, Communities(0.0, ())).members == (a, b, c)


def test_20_frames_are_a_small_file(sparse):
    task = load_task("independence")
    history = [sparse(task, kept=float(kept)) for kept in np.geomspace(1, 0.05, 20)]
    assert len(render_animation(history, task)) < 1_000_000


def test_an_entry_that_cannot_be_drawn_has_a_frame(history):
    history[1].flat[0, 0], history[2].flat[0] = torch.nan, 0.0
    assert Image.open(io.BytesIO(render_animation(history, MOONS))).n_frames == 4


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"frame_s": 0.0}, "frame_s must be above 0, got 0.0"),
        ({"steps": [1, 2]}, "steps must be one per population: 4 populations, got 2"),
        ({"network": 2}, "network must be between 0 and 1, got 2"),
    ],
)
def test_wrong_arguments_are_rejected(history, how, message):
    with pytest.raises(ValueError, match=message):
        render_animation(history, MOONS, **how)


@pytest.mark.parametrize("n", [0, 1])
def test_an_animation_needs_two_entries(history, n):
    with pytest.raises(ValueError, match=f"at least 2 populations, got {n}"):
        render_animation(history[:n], MOONS)
