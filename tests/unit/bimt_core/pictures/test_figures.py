import subprocess
import sys

import pytest
import torch

from bimt_core.modularity import Communities
from bimt_core.pictures import plot_all, to_png
from bimt_core.tasks import TASKS, load_task

EXPECTED = {
    "independence": {"predicted_against_true"},
    "compositionality": {"predicted_against_true"},
    "majority_of_majorities": {"predicted_against_true"},
    "two_moons": {"decision_regions"},
    "modular_addition": {"embedding_rings"},
    "permutation_s4": {"embedding_rings", "strip_plots", "cayley_graph"},
    "in_context": {"predicted_against_true", "neuron_values"},
    "digits": {"network_3d", "filters"},
    "delayed_response": {"predicted_against_true", "network_3d"},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_task_has_the_figures_that_make_sense(sparse, name):
    of = load_task(name)
    assert set(plot_all(sparse(of, kept=0.1), of)) == EXPECTED[name] | {"connectivity", "knock_out_table"}


@pytest.mark.parametrize("value", [torch.nan, 0.0])
@pytest.mark.parametrize("name", EXPECTED)
def test_nothing_breaks_on_broken_networks(sparse, name, value):
    of = load_task(name)
    population = sparse(of)
    population.flat[:] = value
    found = plot_all(population, of)
    assert len(found) >= 3
    for figure in found.values():
        to_png(figure)


def test_communities_are_those_given(sparse, said):
    of = load_task("two_moons")
    given = Communities(0.0, (frozenset({("hidden1", 0)}),))
    found = plot_all(sparse(of, 2), of, 1, given)
    assert "1 community" in said(found["connectivity"]) and "1 community" in said(found["decision_regions"])
    assert len(found["knock_out_table"].axes[0].patches) == 2


def test_there_is_no_such_network(sparse):
    with pytest.raises(ValueError, match="network must be between 0 and 0, got -1"):
        plot_all(sparse(load_task("two_moons")), load_task("two_moons"), -1)


def test_every_task_is_looked_at():
    assert set(EXPECTED) <= set(TASKS)


def test_drawing_all_figures_needs_no_pyplot():
    code = """
import sys
from bimt_core import figures, initialise, task, to_png
for name in ("two_moons", "permutation_s4"):
    of = task(name)
    for figure in figures(initialise(of.network, [0], dtype=of.dtype), of).values():
        to_png(figure)
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
