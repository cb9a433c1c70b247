import numpy as np
import pytest
import torch
from support.wirings import WIRINGS, mixed_wiring, parameters

from bimt_core.geometry import grid, line
from bimt_core.networks import MLP
from bimt_core.wiring import (
    ACTIVE,
    Axis,
    Neurons,
    Wire,
    Wiring,
    is_active,
    linear_wires,
    parameter_mask,
    parameter_order,
)


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


@pytest.mark.parametrize("number", range(len(WIRINGS)))
@pytest.mark.parametrize("embeddings_only", [False, True])
def test_parameter_order_moves_single_parameters(number, embeddings_only):
    wiring = WIRINGS[number]
    offsets = dict(zip((w.tensor for w in wiring.wires), np.cumsum([0, *wiring.sizes]), strict=False))
    for sets in (wiring.neurons, wiring.neurons[1:]):  # sets that are left out stay
        order = {n.name: torch.stack([torch.randperm(len(n)) for _ in range(2)]) for n in sets}
        index = parameter_order(wiring, order, embeddings_only=embeddings_only)
        for network in range(2):
            expected = []
            for wire, at, _ in parameters(wiring):
                source = list(at)
                for dimension, axis in enumerate(wire.axes):
                    moves = not (embeddings_only and (wire.is_weight or wire.is_bias))
                    if isinstance(axis, Axis) and axis.neurons in order and moves:
                        n = len(wiring[axis.neurons])
                        fold, place = divmod(at[dimension], n)
                        source[dimension] = fold * n + int(order[axis.neurons][network, place])
                expected.append(int(offsets[wire.tensor] + np.ravel_multi_index(source, wiring.shape(wire))))
            assert index[network].tolist() == expected


@pytest.mark.parametrize("number", range(len(WIRINGS)))
def test_parameter_mask_selects_all_parameters_of_a_neuron(number):
    wiring = WIRINGS[number]
    neurons = {n.name: torch.rand(3, len(n)) < 0.3 for n in wiring.neurons[:-1]}
    mask = parameter_mask(wiring, neurons)
    assert mask.dtype == torch.bool
    for network in range(3):
        expected = [
            any(name in neurons and bool(neurons[name][network, neuron]) for name, neuron in ends)
            for _, _, ends in parameters(wiring)
        ]
        assert mask[network].tolist() == expected


def test_linear_wires_have_the_shapes_of_a_linear_module():
    weight, bias = linear_wires("fc", "a", "b", source_folds=2, target_folds=3)
    wiring = mixed_wiring()
    layer = torch.nn.Linear(2 * 3, 3 * 4)
    assert wiring.shape(weight) == layer.weight.shape
    assert wiring.shape(bias) == layer.bias.shape
    assert (weight.tensor, bias.tensor) == ("fc.weight", "fc.bias")


def test_is_active_compares_sizes_with_the_threshold():
    weights = [0.0, ACTIVE, -ACTIVE, 1.01 * ACTIVE, -2.0, float("nan")]
    expected = [False, False, False, True, True, False]
    assert is_active(torch.tensor(weights, dtype=torch.float64)).tolist() == expected
    assert is_active(np.array(weights)).tolist() == expected


# Errors

A, B = Neurons("a", torch.zeros(2, 1)), Neurons("b", torch.zeros(3, 1))
SQUARE, HEADS = Neurons("square", grid(2, 2)), Neurons("heads", line(4), blocks=2)
AB = Wire("ab", (Axis("b"), Axis("a")))


@pytest.mark.parametrize(
    ("neurons", "wires", "message"),
    [
        ((A, A), (AB,), r"neuron names must differ, got \['a', 'a'\]"),
        (
            (A, B),
            (AB, Wire("w", (Axis("a"),)), Wire("w", (Axis("b"),))),
            "attached once, 'w' is attached 2 times",
        ),
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
def test_impossible_wirings_are_refused(neurons, wires, message):
    with pytest.raises(ValueError, match=message):
        Wiring(neurons, wires)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "max"}, "reduction must be one of sum, mean, got 'max'"),
        ({"distance": "hamming"}, "distance must be one of manhattan, euclidean, got 'hamming'"),
        ({"distance_power": 0.0}, r"distance_power must be above 0, got 0\.0"),
        ({"distance_power": float("nan")}, "distance_power must be above 0, got nan"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        mixed_wiring(**options)


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
def test_impossible_neurons_are_refused(positions, blocks, message):
    with pytest.raises(ValueError, match=message):
        Neurons("n", positions, blocks=blocks)


def test_kinds_of_wires():
    kinds = [(w.tensor, w.is_weight, w.is_bias, w.is_recurrent) for w in mixed_wiring().wires]
    assert kinds[:5] == [
        ("positions", False, False, False),
        ("tokens", False, False, False),
        ("ab.weight", True, False, False),
        ("ab.bias", False, True, False),
        ("cc", True, False, True),
    ]
