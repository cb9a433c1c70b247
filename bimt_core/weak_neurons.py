"""Hidden neurons with hardly any influence."""

import torch
from torch import Tensor

from bimt_core.wiring import Axis, Wiring


def find_weak_neurons(wiring: Wiring, flat: Tensor, below: float) -> dict[str, Tensor]:
    """Finds hidden neurons whose incoming, or outgoing, parameters are small: masks per set, bool, shape (networks, n).

    Without them the network's function hardly changes. If all its parameters and their moments are 0, such a neuron has
    a gradient of exactly 0, so it stays removed. Its activation function must be 0 at 0, as SiLU, GELU and tanh are. A
    neuron of several folds, such as query, key and value, has other effects than its outgoing weights (a key affects
    attention), so only its incoming parameters count.

    Args:
        wiring: The wiring; the first and the last set of neurons are not hidden.
        flat: Parameters, shape (networks, n_parameters).
        below: A neuron is weak if the sizes of its incoming weights, biases and embeddings, or those of its outgoing
            weights, sum to less than this.
    """
    incoming, outgoing = ({n.name: flat.new_zeros(len(flat), len(n)) for n in wiring.neurons} for _ in range(2))
    tensors = wiring.tensors(flat.abs())
    for wire in wiring.wires:
        for dimension, axis in enumerate(wire.axes, start=1):
            if not isinstance(axis, Axis):
                continue
            by_neuron = tensors[wire.tensor].movedim(dimension, 1)
            size = by_neuron.reshape(len(flat), axis.folds, len(wiring[axis.neurons]), -1).sum(3).sum(1)
            if wire.is_weight and dimension == 2:
                outgoing[axis.neurons] += size
                continue
            incoming[axis.neurons] += size
            if axis.folds > 1:
                outgoing[axis.neurons] += torch.inf
    hidden = {neurons.name for neurons in wiring.neurons[1:-1]}
    return {name: (torch.minimum(incoming[name], outgoing[name]) < below) & (name in hidden) for name in incoming}
