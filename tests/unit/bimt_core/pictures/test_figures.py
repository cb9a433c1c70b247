import pytest
import torch

from bimt_core.modularity import Communities
from bimt_core.pictures import plot_all, to_png
from bimt_core.tasks import TASKS, load_task

EXPECTED = {
    "independence": {"predictions"},
    "compositionality": {"predictions"},
    "majority_of_majorities": {"predictions"},
    "two_moons": {"decision_regions"},
    "modular_addition": {"embedding_rings"},
    "permutation_s4": {"embedding_rings", "strip_plots", "cayley_graph"},
    "in_context": {"predictions", "neuron_values"},
    "digits": {"network_3d", "filters"},
    "delayed_response": {"predictions", "network_3d"},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_task_has_the_figures_that_suit_it(sparse, name):
    task = load_task(name)
    assert set(plot_all(sparse(task, kept=0.1), task)) == EXPECTED[name] | {"connectivity", "ablation_table"}


@pytest.mark.parametrize("value", [torch.nan, 0.0])
@pytest.mark.parametrize("name", EXPECTED)
def test_broken_networks_have_figures(sparse, name, value):
    task = load_task(name)
    population = sparse(task)
    population.flat[:] = value
    found = plot_all(population, task)
    assert len(found) >= 3
    for figure in found.values():
        to_png(figure)


def test_communities_are_those_given(sparse, read_texts):
    task = load_task("two_moons")
    given = Communities(0.0, (frozenset({("hidden1", 0)}),))
    found = plot_all(sparse(task, 2), task, 1, given)
    assert "1 community" in read_texts(found["connectivity"]) and "1 community" in read_texts(found["decision_regions"])
    assert len(found["ablation_table"].axes[0].patches) == 2


def test_missing_networks_are_rejected(sparse):
    with pytest.raises(ValueError, match="network must be between 0 and 0, got -1"):
        plot_all(sparse(load_task("two_moons")), load_task("two_moons"), -1)


def test_expected_tasks_exist():
    assert set(EXPECTED) <= set(TASKS)
