import dataclasses
import math
from dataclasses import replace

import pytest

from bimt_core.hyperparameters import PerNetworkHyperparameters, SharedHyperparameters
from bimt_core.networks import MLP
from bimt_core.relocate import METHODS


def test_phases_start_at_their_steps():
    shared = SharedHyperparameters(steps=20_000, cost_phases=((0.0, 1.0), (0.25, 10.0), (0.75, 1.0)), bias_from=0.75)
    factors = {0: 1.0, 4_999: 1.0, 5_000: 10.0, 14_999: 10.0, 15_000: 1.0, 19_999: 1.0}
    assert {step: shared.cost_factor(step) for step in factors} == factors
    penalised = {0: False, 14_999: False, 15_000: True, 19_999: True}
    assert {step: shared.penalises_bias(step) for step in penalised} == penalised
    assert shared.penalty_changes() == {0, 5_000, 15_000}


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 1001])
def test_penalty_changes_lists_all_changes(steps):
    shared = SharedHyperparameters(
        steps=steps, cost_phases=((0.0, 1.0), (0.3, 3.0), (0.31, 4.0), (1.0, 9.0)), bias_from=0.5
    )
    state = [(shared.cost_factor(step), shared.penalises_bias(step)) for step in range(steps)]
    changes = shared.penalty_changes()
    for step in range(1, steps):
        assert state[step] == state[step - 1] or step in changes


def test_penalty_wiring_has_the_shared_reduction_and_distance():
    wiring = MLP((3, 2), "mean").wiring
    shared = SharedHyperparameters(distance="euclidean", distance_power=2.0)
    published, summed = (replace(shared, reduction=r).penalty_wiring(wiring) for r in ("published", "sum"))
    assert (published.reduction, published.distance, published.distance_power) == ("mean", "euclidean", 2.0)
    assert summed.reduction == "sum"
    assert wiring.distance == "manhattan"


def test_biases_are_penalised_throughout_by_default():
    assert SharedHyperparameters(steps=1).penalises_bias(0)


def test_hyperparameters_are_immutable():
    for hyperparameters, name in ((PerNetworkHyperparameters(), "cost_weight"), (SharedHyperparameters(), "steps")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(hyperparameters, name, 1)


@pytest.mark.parametrize("name", ["cost_weight", "weight_factor", "layer_distance"])
def test_negative_values_are_refused(name):
    assert getattr(PerNetworkHyperparameters(**{name: 0}), name) == 0
    for value in (-1e-9, math.nan):
        with pytest.raises(ValueError, match=f"{name} must be at least 0, got {value}"):
            PerNetworkHyperparameters(**{name: value})


@pytest.mark.parametrize("value", [0, -1.0, math.nan])
def test_learning_rate_must_be_above_0(value):
    with pytest.raises(ValueError, match=f"learning_rate must be above 0, got {value}"):
        PerNetworkHyperparameters(learning_rate=value)


@pytest.mark.parametrize("name", ["steps", "relocate_every", "relocate_top_k"])
def test_counts_must_be_at_least_1(name):
    assert getattr(SharedHyperparameters(**{name: 1}), name) == 1
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        SharedHyperparameters(**{name: 0})


@pytest.mark.parametrize("starts", [(), (0.1,), (0.0, 0.5, 0.5), (0.0, 0.7, 0.3), (0.0, 1.1)])
def test_phases_that_do_not_rise_from_0_are_refused(starts):
    with pytest.raises(ValueError, match="cost_phases must start at 0 and rise up to at most 1, got"):
        SharedHyperparameters(cost_phases=tuple((start, 1.0) for start in starts))


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_bias_from_must_be_a_fraction(value):
    with pytest.raises(ValueError, match=f"bias_from must be between 0 and 1, got {value}"):
        SharedHyperparameters(bias_from=value)


def test_unknown_choices_are_refused():
    assert [SharedHyperparameters(relocation=method).relocation for method in METHODS] == list(METHODS)
    with pytest.raises(ValueError, match="relocation must be one of assignment, exchange, greedy, none, got 'swap'"):
        SharedHyperparameters(relocation="swap")
