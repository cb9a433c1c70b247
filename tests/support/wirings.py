"""Wirings with all kinds of tensors, and a slow loop over their parameters."""

import numpy as np

from bimt_core.geometry import line
from bimt_core.networks import MLP, RNN, Transformer
from bimt_core.wiring import Axis, Neurons, Wire, Wiring, linear_wires


def mixed_wiring(**options):
    """Weights with folds on either side, a recurrent one, biases, and embeddings of two kinds."""
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
    return Wiring(neurons, wires, **options)


WIRINGS = [
    mixed_wiring(),
    MLP((3, 5, 4), folds=2, vocabulary=6).wiring,
    Transformer(2, 3, 8, 2, 4, 5).wiring,
    RNN(2, (2, 3), 4).wiring,
    MLP(((2, 3), (1, 2), 3), ring_outputs=True).wiring,
]


def parameters(wiring):
    """Yields the wire, the index and the (set, neuron) of each neuron axis of every parameter."""
    for wire in wiring.wires:
        for index in np.ndindex(*wiring.shape(wire)):
            ends = [
                (axis.neurons, at % len(wiring[axis.neurons]))
                for axis, at in zip(wire.axes, index, strict=True)
                if isinstance(axis, Axis)
            ]
            yield wire, index, ends
