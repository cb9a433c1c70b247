"""Which hidden neurons hardly take part."""

import torch
from torch import Tensor

from bimt_core.wiring import Axis, Wiring


def find_weak_neurons(wiring: Wiring, flat: Tensor, below: float) -> dict[str, Tensor]:
    """Hidden neurons that hardly anything goes into, or out of.

    Without them the function changes by little. With all its parameters and their moments at 0, such a neuron has a
    gradient of exactly 0 (its activation function must be 0 at 0, as SiLU, GELU and tanh are), so it never comes back
    and nothing has to hold it down. A neuron of several folds, such as query, key and value, acts in more ways than by
    its outgoing weights (a key decides what is attended to), so only what goes into it counts.

    Args:
        wiring: The wiring; the first and the last set of neurons are not hidden.
        flat: Parameters, shape (networks, n_parameters).
        below: Sum of the sizes of a neuron's incoming weights, biases and embeddings, or of its outgoing weights, below
            which it counts as weak.

    Returns:
        For each set, which of its neurons are hidden and weak, bool, shape (networks, n).
    """
    into, out_of = ({n.name: flat.new_zeros(len(flat), len(n)) for n in wiring.neurons} for _ in range(2))
    tensors = wiring.tensors(flat.abs())
    for wire in wiring.wires:
        for dimension, axis in enumerate(wire.axes, start=1):
            if not isinstance(axis, Axis):
                continue
            size = _sums(tensors[wire.tensor], dimension).unflatten(1, (axis.folds, -1)).sum(1)
            if wire.is_weight and dimension == 2:
                out_of[axis.neurons] += size
                continue
            into[axis.neurons] += size
            if axis.folds > 1:
                out_of[axis.neurons] += torch.inf
    hidden = {neurons.name for neurons in wiring.neurons[1:-1]}
    return {name: (torch.minimum(into[name], out_of[name]) < below) & (name in hidden) for name in into}


def _sums(tensor: Tensor, dimension: int) -> Tensor:
    """Sums over all but the first and another dimension."""
    return tensor.movedim(dimension, 1).reshape(*tensor.shape[:1], tensor.shape[dimension], -1).sum(2)
