from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bimt_core.cost import ConnectionCost, connection_cost
from bimt_core.geometry import grid, line
from bimt_core.networks import MLP, RNN, Transformer
from bimt_core.wiring import Axis, Neurons, Wire, Wiring, linear_wires, parameter_order, parameters_at


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
    cost = ConnectionCost.from_wiring(wiring, local_last=local_last)
    found = connection_cost(flat, cost.coefficients(column(*factors), column(*distances), penalise_bias=bias))
    expected = [
        naive_cost(network, wiring.tensors(one), a, y0, bias=bias, local_last=local_last)
        for one, a, y0 in zip(flat, factors, distances, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_cost_is_the_published(recorded):
    for record in recorded.facts["costs"]:
        options = record["kwargs"]
        cost = ConnectionCost.from_wiring(recorded.wiring, local_last=not options.get("no_penalize_last", False))
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
    assert ConnectionCost.from_wiring(network.wiring).wiring_length(flat).item() == pytest.approx(expected, rel=1e-12)


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


# Wirings of every kind


def some_wiring(**settings):
    """All kinds of tensors: weights with folds on either side, a recurrent one, biases, and embeddings of two kinds."""
    neurons = Neurons("a", line(3)), Neurons("b", line(4), blocks=2), Neurons("c", line(5)), Neurons("d", line(2))
    wires = (
        Wire("positions", (2, Axis("c"), 3)),
        Wire("tokens", (7, Axis("a"))),
        *linear_wires("ab", "a", "b", source_folds=2, target_folds=3),
        Wire("cc", (Axis("c"), Axis("c"))),
        *linear_wires("bc", "b", "c"),
        *linear_wires("cd", "c", "d"),
        *linear_wires("ad", "a", "d"),
    )
    return Wiring(neurons, wires, **settings)


WIRINGS = [some_wiring(), MLP((3, 5, 4), folds=2, vocabulary=6).wiring, Transformer(2, 3, 8, 2, 4, 5).wiring]
WIRINGS += [RNN(2, (2, 3), 4).wiring, MLP(((2, 3), (1, 2), 3), ring_outputs=True).wiring]


def entries(wiring):
    """Of every parameter: its wire, and for each dimension that belongs to neurons their set, number and fold."""
    for wire in wiring.wires:
        for index in np.ndindex(*wiring.shape(wire)):
            of = [
                (axis.neurons, at % len(wiring[axis.neurons]), at // len(wiring[axis.neurons]))
                for axis, at in zip(wire.axes, index, strict=True)
                if isinstance(axis, Axis)
            ]
            yield wire, index, of


@pytest.mark.parametrize("wiring", WIRINGS)
def test_parameters_at_are_all_that_touch_a_chosen_neuron(wiring):
    chosen = {n.name: torch.rand(3, len(n)) < 0.3 for n in wiring.neurons[:-1]}
    found = parameters_at(wiring, chosen)
    assert found.dtype == torch.bool
    for network in range(3):
        expected = [
            any(name in chosen and bool(chosen[name][network, neuron]) for name, neuron, _ in of)
            for _, _, of in entries(wiring)
        ]
        assert found[network].tolist() == expected


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("embeddings_only", [False, True])
def test_parameter_order_is_that_of_single_entries(wiring, embeddings_only):
    order = {n.name: torch.stack([torch.randperm(len(n)) for _ in range(2)]) for n in wiring.neurons[1:]}
    found = parameter_order(wiring, order, embeddings_only=embeddings_only)
    offsets = dict(zip((w.tensor for w in wiring.wires), np.cumsum([0, *wiring.sizes]), strict=False))
    for network in range(2):
        expected = []
        for wire, index, _ in entries(wiring):
            source = list(index)
            for dimension, axis in enumerate(wire.axes):
                moves = not (embeddings_only and (wire.is_weight or wire.is_bias))
                if isinstance(axis, Axis) and axis.neurons in order and moves:
                    fold, at = divmod(index[dimension], len(wiring[axis.neurons]))
                    source[dimension] = fold * len(wiring[axis.neurons]) + int(order[axis.neurons][network, at])
            expected.append(int(offsets[wire.tensor] + np.ravel_multi_index(source, wiring.shape(wire))))
        assert found[network].tolist() == expected


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("distance", ["manhattan", "euclidean"])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_cost_is_that_of_single_entries(wiring, distance, power, reduction):
    wiring = replace(wiring, distance=distance, distance_power=power, reduction=reduction)
    flat = torch.randn(1, wiring.n_parameters, dtype=torch.float64)
    cost = ConnectionCost.from_wiring(wiring)
    found = connection_cost(flat, cost.coefficients(column(0.7), column(0.3))).item()
    norm = 1 if distance == "manhattan" else 2
    expected, total_length = 0.0, 0.0
    for (wire, _, of), value in zip(entries(wiring), flat[0].abs().tolist(), strict=True):
        length = 0.0
        if len(of) == 2:
            one, other = (wiring[name].positions[neuron].numpy() for name, neuron, _ in of)
            length = np.linalg.norm(one - other, norm) ** power
        size = 1 if reduction == "sum" else np.prod(wiring.shape(wire))
        expected += value * (0.7 * length + 0.3) / size
        total_length += value * length
    assert found == pytest.approx(expected, rel=1e-12)
    assert cost.wiring_length(flat).item() == pytest.approx(total_length, rel=1e-12)


def test_linear_is_attached_as_torchs_layer():
    weight, bias = linear_wires("fc", "a", "b", source_folds=2, target_folds=3)
    wiring = some_wiring()
    layer = torch.nn.Linear(2 * 3, 3 * 4)
    assert wiring.shape(weight) == layer.weight.shape
    assert wiring.shape(bias) == layer.bias.shape
    assert (weight.tensor, bias.tensor) == ("fc.weight", "fc.bias")


# Refusals

A, B = Neurons("a", torch.zeros(2, 1)), Neurons("b", torch.zeros(3, 1))
SQUARE, HEADS = Neurons("square", grid(2, 2)), Neurons("heads", line(4), blocks=2)
AB = Wire("ab", (Axis("b"), Axis("a")))


@pytest.mark.parametrize(
    ("neurons", "wires", "message"),
    [
        ((A, A), (AB,), r"neuron names must differ, got \['a', 'a'\]"),
        ((A, B), (AB, Wire("w", (Axis("a"),)), Wire("w", (Axis("b"),))), "attached once, 'w' is attached twice"),
        ((A, B), (Wire("w", (Axis("c"), Axis("a"))),), "tensor 'w' names unknown neurons 'c'"),
        ((A, B), (Wire("w", (4, 5)),), "'w' must have one neuron axis, .* got 0 in 2 dimensions"),
        ((A, B), (Wire("w", ()),), "'w' must have one neuron axis, .* got 0 in 0 dimensions"),
        ((A, B), (Wire("w", (Axis("a"), Axis("b"), Axis("a"))),), "'w' must have .* got 3 in 3 dimensions"),
        ((A, B), (Wire("w", (Axis("a"), 3, Axis("b"))),), "or two and no other dimension, got 2 in 3 dimensions"),
        ((A, B), (AB, Wire("w", (Axis("a", 0),))), r"'w' must have entries, got shape \(0,\)"),
        ((A, B), (AB, Wire("w", (Axis("a", -1),))), r"'w' must have entries, got shape \(-2,\)"),
        ((A, B), (AB, Wire("w", (0, Axis("a")))), r"'w' must have entries, got shape \(0, 2\)"),
        ((A, B), (Wire("w", (Axis("a"),)),), "needs a tensor that connects two sets of neurons"),
        (
            (A, SQUARE),
            (Wire("w", (Axis("square"), Axis("a"))),),
            "'w' connects neurons at positions of different dimensions: 'square' has 2, 'a' has 1",
        ),
        ((A, HEADS), (Wire("w", (Axis("heads"), Axis("heads"))),), r"'w' connects neurons in blocks \('heads'\)"),
    ],
)
def test_a_wiring_that_makes_no_sense_is_refused(neurons, wires, message):
    with pytest.raises(ValueError, match=message):
        Wiring(neurons, wires)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reduction": "max"}, "reduction must be one of sum, mean, got 'max'"),
        ({"distance": "hamming"}, "distance must be one of manhattan, euclidean, got 'hamming'"),
        ({"distance_power": 0.0}, r"distance_power must be above 0, got 0\.0"),
        ({"distance_power": float("nan")}, "distance_power must be above 0, got nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        some_wiring(**settings)


@pytest.mark.parametrize(
    ("positions", "blocks", "message"),
    [
        (line(4), 3, "3 blocks do not divide the 4 neurons of 'n'"),
        (line(4), 8, "8 blocks do not divide the 4 neurons of 'n'"),
        (line(4), 0, "0 blocks do not divide the 4 neurons of 'n'"),
        (torch.zeros(0, 1), 1, r"positions of neurons 'n' must have shape \(n, dimensions\) .*, got \(0, 1\)"),
        (torch.zeros(3), 1, r"positions of neurons 'n' must have shape \(n, dimensions\) .*, got \(3,\)"),
    ],
)
def test_neurons_that_make_no_sense_are_refused(positions, blocks, message):
    with pytest.raises(ValueError, match=message):
        Neurons("n", positions, blocks=blocks)


def test_a_vector_and_a_matrix_of_one_set_of_neurons_are_bias_and_embedding():
    kinds = [(w.tensor, w.is_weight, w.is_bias, w.is_recurrent) for w in some_wiring().wires]
    assert kinds[:5] == [
        ("positions", False, False, False),
        ("tokens", False, False, False),
        ("ab.weight", True, False, False),
        ("ab.bias", False, True, False),
        ("cc", True, False, True),
    ]
