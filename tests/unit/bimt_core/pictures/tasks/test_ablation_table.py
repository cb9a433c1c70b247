import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from bimt_core.modularity import Communities
from bimt_core.pictures.palette import COMMUNITY
from bimt_core.pictures.tasks.ablation_table import plot_ablation_table
from bimt_core.surgery import score_subset_ablations
from bimt_core.tasks import load_task

GIVEN = Communities(0.3, (frozenset({("hidden1", 0), ("hidden1", 1)}), frozenset({("hidden2", 4)})))


def test_every_subset_has_its_dots_and_its_score(sparse):
    task = load_task("two_moons")
    population = sparse(task, kept=0.8)
    (axes,) = plot_ablation_table(population, task, communities=GIVEN).axes
    expected = score_subset_ablations(population, task, 0, GIVEN)
    (dots,) = axes.collections
    colours = np.array([to_hex(colour) for colour in dots.get_facecolor()]).reshape(4, 2)
    positions = np.asarray(dots.get_offsets()).reshape(4, 2, 2)
    assert (positions[:, 0, 0] < positions[:, 1, 0]).all() and (positions[..., 1] == np.arange(4)[:, None]).all()
    bars = [bar.get_width() for bar in sorted(axes.patches, key=lambda bar: bar.get_y())]
    subsets = []
    for row in range(4):
        kept = tuple(colours[row, i] == COMMUNITY[i] for i in range(2))
        assert bars[row] == pytest.approx(expected[kept])
        assert f"{expected[kept]:.3f}" in [text.get_text() for text in axes.texts]
        subsets.append(kept)
    assert subsets[0] == (True, True) and subsets[-1] == (False, False) and len(set(subsets)) == 4


def test_only_the_largest_communities_are_ablated(sparse, read_texts):
    task = load_task("permutation_s4")
    figure = plot_ablation_table(sparse(task), task, max_communities=1)
    assert len(figure.axes[0].patches) == 2
    with pytest.raises(ValueError, match="max_communities must be between"):
        plot_ablation_table(sparse(task), task, max_communities=0)


def test_a_bad_r_squared_does_not_stretch_the_axis(sparse):
    task = load_task("independence")
    population = sparse(task, kept=1.0)
    population.tensors["bias2"][0] = 1e3
    (axes,) = plot_ablation_table(population, task, communities=GIVEN).axes
    assert axes.get_xlim()[0] > -2 and all(np.isfinite(bar.get_width()) for bar in axes.patches)


@pytest.mark.parametrize(("value", "message"), [(torch.nan, "weights not finite"), (0.0, "no active weight")])
def test_networks_that_cannot_be_drawn_have_a_message(sparse, read_texts, value, message):
    task = load_task("two_moons")
    population = sparse(task)
    population.flat[:] = value
    assert message in read_texts(plot_ablation_table(population, task))


def test_without_communities_the_whole_network_is_the_only_row(sparse):
    task = load_task("two_moons")
    (axes,) = plot_ablation_table(sparse(task), task, communities=Communities(0.0, ())).axes
    assert len(axes.patches) == 1 and not len(axes.collections[0].get_offsets())
