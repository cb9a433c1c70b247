from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bimt_core.cost import ConnectionCost, connection_cost
from bimt_core.networks import MLP
from bimt_core.wiring import Axis, Neurons, Wire, Wiring, parameter_order


def naive_cost(network, tensors, weight_factor, layer_distance, *, bias=True, local_last=True):
    """The paper's connection cost of one network, a connection at a time."""
    reduce = sum if network.reduction == "sum" else np.mean
    total, last = 0.0, len(network.shape) - 2
    for layer, (n_in, n_out) in enumerate(pairwise(network.shape)):
        weight, biases = tensors[f"weight{layer}"].tolist(), tensors[f"bias{layer}"].tolist()
        factor = weight_factor if local_last or layer < last else 0.0
        costs = []
        for o in range(n_out):
            for i in range(len(weight[o])):
                distance = abs((2 * o + 1) / (2 * n_out) - (2 * (i % n_in) + 1) / (2 * n_in))
                costs.append(abs(weight[o][i]) * (factor * distance + layer_distance))
        total += reduce(costs)
        if bias:
            total += reduce([abs(b) * layer_distance for b in biases])
    if network.vocabulary:
        total += reduce([abs(e) * layer_distance for e in tensors["embedding"].flatten().tolist()])
    return total


def column(*values):
    return torch.tensor(values, dtype=torch.float64)


@given(
    shape=st.lists(st.integers(1, 7), min_size=2, max_size=5),
    reduction=st.sampled_from(["sum", "mean"]),
    folds=st.integers(1, 3),
    bias=st.booleans(),
    local_last=st.booleans(),
    seed=st.integers(0, 999),
)
def test_cost_equals_the_sum_over_single_connections(shape, reduction, folds, bias, local_last, seed):
    network = MLP(tuple(shape), reduction, folds, vocabulary=4 if folds > 1 else 0)
    wiring = network.wiring
    random = torch.Generator().manual_seed(seed)
    flat = torch.randn(2, wiring.n_parameters, dtype=torch.float64, generator=random)
    factors, distances = (0.7, 2.0), (0.1, 0.5)
    cost = ConnectionCost.of(wiring, local_last=local_last)
    found = connection_cost(flat, cost.coefficients(column(*factors), column(*distances), penalise_bias=bias))
    expected = [
        naive_cost(network, wiring.tensors(one), a, y0, bias=bias, local_last=local_last)
        for one, a, y0 in zip(flat, factors, distances, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_cost_is_the_published(recorded):
    for record in recorded.facts["costs"]:
        options = record["kwargs"]
        cost = ConnectionCost.of(recorded.wiring, local_last=not options.get("no_penalize_last", False))
        coefficients = cost.coefficients(
            column(options.get("weight_factor", recorded.facts["default_weight_factor"])),
            column(recorded.facts["l0"]),
            penalise_bias=options.get("bias_penalize", True),
        )
        assert connection_cost(recorded.flat, coefficients).item() == pytest.approx(record["value"], rel=1e-6)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_wiring_length_is_the_sum_whatever_the_reduction(reduction):
    network = MLP((3, 5, 2), reduction, folds=2, vocabulary=3)
    flat = torch.randn(1, network.wiring.n_parameters, dtype=torch.float64)
    as_sum = MLP((3, 5, 2), "sum", folds=2, vocabulary=3)
    expected = naive_cost(as_sum, as_sum.wiring.tensors(flat[0]), 1.0, 0.0)
    assert ConnectionCost.of(network.wiring).wiring_length(flat).item() == pytest.approx(expected, rel=1e-12)


def test_tensors_are_views_and_flatten_is_their_inverse():
    wiring = MLP((3, 5, 2), folds=2, vocabulary=4).wiring
    flat = torch.arange(2.0 * wiring.n_parameters).view(2, -1)
    tensors = wiring.tensors(flat)
    assert {name: tuple(t.shape) for name, t in tensors.items()} == {
        "weight0": (2, 5, 6),
        "bias0": (2, 5),
        "weight1": (2, 2, 5),
        "bias1": (2, 2),
        "embedding": (2, 4, 3),
    }
    assert torch.equal(wiring.flatten(tensors), flat)
    assert torch.equal(wiring.flatten(wiring.tensors(flat[0])), flat[0])
    tensors["bias1"][:] = -1
    assert (flat == -1).sum() == 4


def rearranged(tensors, order, folds):
    """The tensors of a network (inputs, hidden, outputs; with an embedding) after moving neurons, entry by entry."""
    inputs, hidden, outputs = order["input"], order["hidden1"], order["output"]
    n = len(inputs)
    moved = {name: torch.empty_like(t) for name, t in tensors.items()}
    for h, fold, i in product(range(len(hidden)), range(folds), range(n)):
        moved["weight0"][h, fold * n + i] = tensors["weight0"][hidden[h], fold * n + inputs[i]]
    for h in range(len(hidden)):
        moved["bias0"][h] = tensors["bias0"][hidden[h]]
    for o, h in product(range(len(outputs)), range(len(hidden))):
        moved["weight1"][o, h] = tensors["weight1"][outputs[o], hidden[h]]
    for o in range(len(outputs)):
        moved["bias1"][o] = tensors["bias1"][outputs[o]]
    for token, i in product(range(len(tensors["embedding"])), range(n)):
        moved["embedding"][token, i] = tensors["embedding"][token, inputs[i]]
    return moved


def some_order(networks, **sizes):
    return {name: torch.stack([torch.randperm(n) for _ in range(networks)]) for name, n in sizes.items()}


@pytest.mark.parametrize("embeddings_only", [False, True])
def test_parameter_order_moves_every_entry_to_its_place(embeddings_only):
    wiring = MLP((3, 5, 4), folds=2, vocabulary=6).wiring
    flat = torch.arange(3.0 * wiring.n_parameters).view(3, -1)
    order = some_order(3, input=3, hidden1=5, output=4)
    moved = flat.gather(1, parameter_order(wiring, order, embeddings_only=embeddings_only))
    for network in range(3):
        before = wiring.tensors(flat[network])
        expected = rearranged(before, {name: o[network].tolist() for name, o in order.items()}, folds=2)
        if embeddings_only:
            expected = {name: t if name == "embedding" else before[name] for name, t in expected.items()}
        assert torch.equal(moved[network], wiring.flatten(expected))


def test_neurons_left_out_of_an_order_stay():
    wiring = MLP((3, 5, 4)).wiring
    flat = torch.randn(2, wiring.n_parameters)
    part = some_order(2, hidden1=5)
    whole = part | {name: torch.arange(n).repeat(2, 1) for name, n in (("input", 3), ("output", 4))}
    expected = flat.gather(1, parameter_order(wiring, whole))
    assert torch.equal(flat.gather(1, parameter_order(wiring, part)), expected)


A, B = Neurons("a", torch.zeros(2, 1)), Neurons("b", torch.zeros(3, 1))


@pytest.mark.parametrize(
    ("neurons", "wires", "message"),
    [
        ((A, A), (), "neuron names must differ"),
        ((A, B), (Wire("w", (Axis("a"),)), Wire("w", (Axis("b"),))), "a tensor is attached once"),
        ((A, B), (Wire("w", (Axis("c"), Axis("a"))),), "unknown neurons 'c'"),
        ((A, B), (Wire("w", (4, 5)),), "must have 1 or 2 neuron axes, got 0"),
        ((A, B), (Wire("w", (Axis("a"), Axis("b"), Axis("a"))),), "must have 1 or 2 neuron axes, got 3"),
    ],
)
def test_a_wiring_that_makes_no_sense_is_refused(neurons, wires, message):
    with pytest.raises(ValueError, match=message):
        Wiring(neurons, wires)
