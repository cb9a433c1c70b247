import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bimt_core.metrics import TEST_COUNTERPARTS, measure
from bimt_core.population import initialise
from bimt_core.row_groups import measure_leaving_out
from bimt_core.tasks import load_task

NAMES = {*TEST_COUNTERPARTS, *TEST_COUNTERPARTS.values()}
FAST = {"louvain_seeds": 1, "transforms": (), "thorough": False}


def with_rows(t, validation, test):
    """The task with some of its validation and test rows."""
    rows = {
        "validation_inputs": validation,
        "validation_targets": validation,
        "test_inputs": test,
        "test_targets": test,
    }
    return replace(t, **{name: getattr(t, name)[kept] for name, kept in rows.items()})


@pytest.mark.parametrize("name", ["independence", "two_moons", "permutation_s4", "digits", "in_context"])
@pytest.mark.parametrize("n_groups", [2, 7])
def test_values_equal_those_of_a_task_without_the_group(name, n_groups):
    t = load_task(name)
    t = with_rows(t, range(50), range(30, 49))
    population = initialise(t.network, range(3), dtype=t.dtype)
    found = measure_leaving_out(population, t, n_groups)
    assert found.keys() == NAMES
    for group in range(n_groups):
        kept = [[row for row in range(n) if row % n_groups != group] for n in (50, 19)]
        expected = measure(population, with_rows(t, *kept), **FAST)
        for metric, values in found.items():
            assert (values.shape, values.dtype) == ((n_groups, 3), torch.float64)
            torch.testing.assert_close(values[group], expected[metric], rtol=1e-5, atol=1e-6)


def test_there_are_at_most_as_many_groups_as_rows():
    t = with_rows(load_task("two_moons"), range(2), range(5))
    values = measure_leaving_out(initialise(t.network, [0]), t)
    assert {metric: len(value) for metric, value in values.items()} == {
        "val_loss": 2,
        "val_score": 2,
        "test_loss": 5,
        "test_score": 5,
    }


@pytest.mark.parametrize(("n_groups", "rows"), [(1, 5), (0, 5), (20, 1)])
def test_too_few_groups_or_rows_raise(n_groups, rows):
    t = with_rows(load_task("two_moons"), range(rows), range(5))
    with pytest.raises(ValueError, match=f"must be at least 2, got {n_groups} and {rows}$"):
        measure_leaving_out(initialise(t.network, [0]), t, n_groups)


def test_networks_that_are_not_finite_have_no_values():
    t = load_task("two_moons")
    population = initialise(t.network, [0, 1])
    whole = measure_leaving_out(population, t)
    population.flat[0, 0] = torch.inf
    for metric, values in measure_leaving_out(population, t).items():
        assert values[:, 0].isnan().all()
        assert torch.equal(values[:, 1], whole[metric][:, 1])


def test_outputs_are_computed_once_per_set_of_rows(monkeypatch):
    t, calls = load_task("two_moons"), []
    population = initialise(t.network, [0])
    predict = type(population).predict
    monkeypatch.setattr(type(population), "predict", lambda p, x: calls.append(len(x)) or predict(p, x))
    measure_leaving_out(population, t)
    assert calls == [2000, 2000]


def test_the_jackknife_estimates_the_standard_error_of_drawn_test_rows():
    tasks = [load_task("independence", seed) for seed in range(40)]  # the same network on different test rows
    population = initialise(tasks[0].network, [0])
    errors = []
    for t in tasks:
        left_out = measure_leaving_out(population, t)["test_loss"][:, 0].numpy()
        errors.append(math.sqrt((len(left_out) - 1) * left_out.var()))
    values = [measure(population, t, **FAST)["test_loss"].item() for t in tasks]
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.35)  # three standard errors of the latter
