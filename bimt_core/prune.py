"""Which hidden neurons hardly take part."""

import torch
from torch import Tensor

from bimt_core.wiring import Wiring


def weak_neurons(wiring: Wiring, flat: Tensor, below: float) -> dict[str, Tensor]:
    """Hidden neurons that hardly anything goes into, or out of.

    Without them the function changes by little. With all its parameters and their moments at 0, such a neuron has a
    gradient of exactly 0 (its activation function is 0 at 0), so it never comes back and nothing has to hold it down.

    Args:
        wiring: The wiring; the first and the last set of neurons are not hidden.
        flat: Parameters, shape (networks, n_parameters).
        below: Sum of the sizes of a neuron's incoming weights and biases, or of its outgoing weights, below which it
            counts as weak.

    Returns:
        For each hidden set, which of its neurons, bool, shape (networks, n).
    """
    tensors = wiring.tensors(flat.abs())
    zero = flat.new_zeros(())
    into = {neurons.name: zero for neurons in wiring.neurons[1:-1]}
    out_of = dict(into)
    for wire in wiring.wires:
        if not (wire.is_weight or wire.is_bias):
            continue
        for dimension, (axis, sums) in enumerate(zip(wire.ends, (into, out_of), strict=False)):
            if axis.neurons in sums:
                others = [d for d in range(1, 1 + len(wire.axes)) if d != 1 + dimension]
                size = tensors[wire.tensor].sum(others) if others else tensors[wire.tensor]
                sums[axis.neurons] = sums[axis.neurons] + size.unflatten(1, (axis.folds, -1)).sum(1)
    return {name: torch.minimum(into[name], out_of[name]) < below for name in into}
