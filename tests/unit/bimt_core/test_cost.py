from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.wirings import WIRINGS, parameters

from bimt_core.cost import ConnectionCost, connection_cost, published_cost
from bimt_core.hyperparameters import PerNetworkHyperparameters
from bimt_core.networks import MLP


def naive_cost(wiring, flat, weight_factor, layer_distance, *, bias=True, local_last=True):
    """The connection cost and the wiring length of one network, a parameter at a time."""
    norm = 1 if wiring.distance == "manhattan" else 2
    cost, wiring_length = 0.0, 0.0
    for (wire, _, ends), value in zip(parameters(wiring), flat.abs().tolist(), strict=True):
        length = 0.0
        if len(ends) == 2 and (local_last or wire is not wiring.weights[-1]):
            one, other = (wiring[name].positions[neuron].numpy() for name, neuron in ends)
            length = np.linalg.norm(one - other, norm) ** wiring.distance_power
        entries = 1 if wiring.reduction == "sum" else np.prod(wiring.shape(wire))
        if bias or len(wire.axes) > 1:
            cost += value * (weight_factor * length + layer_distance) / entries
        wiring_length += value * length
    return cost, wiring_length


def column(*values):
    return torch.tensor(values, dtype=torch.float64)


@given(
    wiring=st.sampled_from(WIRINGS),
    distance=st.sampled_from(["manhattan", "euclidean"]),
    power=st.sampled_from([0.5, 1.0, 2.0]),
    reduction=st.sampled_from(["sum", "mean"]),
    bias=st.booleans(),
    local_last=st.booleans(),
)
def test_cost_and_wiring_length_equal_sums_over_parameters(wiring, distance, power, reduction, bias, local_last):
    wiring = replace(wiring, distance=distance, distance_power=power, reduction=reduction)
    flat = torch.randn(2, wiring.n_parameters, dtype=torch.float64)
    factors, distances = (0.7, 2.0), (0.1, 0.5)
    cost = ConnectionCost.from_wiring(wiring, local_last=local_last)
    values = connection_cost(flat, cost.coefficients(column(*factors), column(*distances), penalise_bias=bias))
    for network in range(2):
        expected, length = naive_cost(
            wiring, flat[network], factors[network], distances[network], bias=bias, local_last=local_last
        )
        assert values[network].item() == pytest.approx(expected, rel=1e-12)
        assert cost.wiring_length(flat)[network].item() == pytest.approx(length, rel=1e-12)


def test_cost_equals_the_published_code(recorded):
    for record in recorded.facts["costs"]:
        options = record["kwargs"]
        cost = ConnectionCost.from_wiring(recorded.wiring, local_last=not options.get("no_penalize_last", False))
        coefficients = cost.coefficients(
            column(options.get("weight_factor", recorded.facts["default_weight_factor"])),
            column(recorded.facts["l0"]),
            penalise_bias=options.get("bias_penalize", True),
        )
        assert connection_cost(recorded.flat, coefficients).item() == pytest.approx(record["value"], rel=1e-6)


def test_the_gradient_of_the_cost_is_coefficient_times_sign():
    wiring = MLP((3, 4, 2)).wiring
    coefficients = ConnectionCost.from_wiring(wiring).coefficients(column(1.0), column(0.1))
    flat = torch.randn(1, wiring.n_parameters, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(connection_cost(flat, coefficients).sum(), flat)
    assert torch.equal(gradient, coefficients * flat.sign())


def test_published_cost_has_the_published_hyperparameters_for_every_network():
    wiring = MLP((3, 4, 2), "mean").wiring
    flat = torch.randn(3, wiring.n_parameters, dtype=torch.float64)
    values = published_cost(wiring, flat, PerNetworkHyperparameters(weight_factor=2.0, layer_distance=0.5))
    for network in range(3):
        assert values[network].item() == pytest.approx(naive_cost(wiring, flat[network], 2.0, 0.5)[0], rel=1e-12)
