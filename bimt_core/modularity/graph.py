"""The weight graph of a network: its neurons, tied by the weights between them."""

from collections.abc import Mapping
from typing import Literal, get_args

import networkx as nx
import numpy as np
from torch import Tensor

from bimt_core.modularity.partition import Floats, Ints, summed
from bimt_core.wiring import Wire, Wiring

Transform = Literal["layer_max", "raw"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
ACTIVE = 1e-3  # |weight| above which a weight counts as active, as in the paper's edge counts

Node = tuple[str, int]  # (name of the set of neurons, place)


def weight_graph(wiring: Wiring, tensors: Mapping[str, Tensor], transform: Transform = "layer_max") -> nx.Graph:
    """The undirected graph of active weights between neurons; isolated neurons are left out.

    All weights between two neurons add up to one edge: those of the folds of a neuron, of several tensors (such as the
    many that read and write a residual stream) and of both directions in a recurrent tensor. A neuron's connection to
    itself is left out, since it ties the neuron to no other.

    Args:
        wiring: The network's wiring.
        tensors: Named tensors of one network (no leading dimension).
        transform: What is summed: "raw" is |w|; "layer_max" is |w| / the largest |w| of its tensor, which is what the
            connectivity diagram draws.

    Returns:
        Graph whose nodes are (set of neurons, place) and whose edges carry "weight".

    Raises:
        ValueError: If the transform is unknown.
    """
    if transform not in TRANSFORMS:
        raise ValueError(f"transform must be one of {', '.join(TRANSFORMS)}, got {transform!r}")
    nodes = [(neurons.name, place) for neurons in wiring.neurons for place in range(len(neurons))]
    starts, n = {}, 0
    for neurons in wiring.neurons:
        starts[neurons.name] = n
        n += len(neurons)
    parts = [_connections(wire, tensors[wire.tensor], transform, starts) for wire in wiring.weights]
    one, other, weight = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    first, total = summed(np.minimum(one, other) * n + np.maximum(one, other), weight)
    graph = nx.Graph()
    ends = ([nodes[i] for i in end[first].tolist()] for end in (one, other))
    graph.add_weighted_edges_from(zip(*ends, total.tolist(), strict=True))
    return graph


def _connections(
    wire: Wire, weight: Tensor, transform: Transform, starts: Mapping[str, int]
) -> tuple[Ints, Ints, Floats]:
    """Target, source (counted through all sets of neurons) and strength of what one tensor connects."""
    target, source = wire.ends
    strength = weight.detach().abs()
    active = strength * (strength > ACTIVE)
    if transform == "layer_max" and active.any():
        active = active / active.max()
    folded = active.unflatten(0, (target.folds, -1)).unflatten(2, (source.folds, -1)).sum((0, 2)).cpu()
    if wire.is_recurrent:
        folded = folded.fill_diagonal_(0)
    rows, columns = folded.nonzero(as_tuple=True)
    ends = (rows + starts[target.neurons]).numpy(), (columns + starts[source.neurons]).numpy()
    return *ends, folded[rows, columns].double().numpy()
