"""Weight graph of a network: its neurons, connected by the active weights between them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import networkx as nx
import numpy as np
import numpy.typing as npt
from torch import Tensor

from bimt_core.modularity.partition import Edges, Floats, Ints, sum_by_key
from bimt_core.wiring import ACTIVE, Wire, Wiring

Transform = Literal["layer_max", "raw", "squared", "binary"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)

Node = tuple[str, int]  # (name of the set of neurons, place)


@dataclass(frozen=True, eq=False)
class Connections:
    """The neurons at both ends of a tensor's entries, row by row, and the strengths of its active entries.

    Neurons are numbered through all sets of the wiring.

    Args:
        target: Neuron of each entry's row, int64, shape (entries,).
        source: Neuron of each entry's column, int64, shape (entries,).
        active: Indices of the active entries, int64, shape (active,).
        strength: Strength of each active entry, float64, shape (active,).
    """

    target: Ints
    source: Ints
    active: Ints
    strength: Floats


def weight_graph(
    wiring: Wiring, tensors: Mapping[str, Tensor], transform: Transform = "layer_max", *, threshold: float = ACTIVE
) -> nx.Graph:
    """Builds the undirected graph of active weights between neurons. Isolated neurons are left out.

    Nodes are (set of neurons, place), and edges have the attribute "weight". All weights between two neurons add up to
    one edge: those of the folds of a neuron, of several tensors (such as the many that read and write a residual
    stream) and of both directions in a recurrent tensor. Weights from a neuron to itself are left out, since they
    connect it to no other. Biases and embeddings connect no neurons.

    Args:
        wiring: The network's wiring.
        tensors: Named tensors of one network (no leading dimension).
        transform: Strength of a weight w: "raw" is |w|; "layer_max" is |w| / the largest |w| of its tensor, as in the
            diagram; "squared" is w^2; "binary" is 1, so that an edge counts active weights.
        threshold: |w| above which a weight is active.

    Raises:
        ValueError: If the transform is unknown, the threshold negative or not finite, or a weight not finite.

    Examples:
        >>> from bimt_core import MLP, initialise
        >>> one = initialise(MLP((4, 20, 20, 2)), seeds=[0])
        >>> print(weight_graph(one.network.wiring, {name: tensor[0] for name, tensor in one.tensors.items()}))
        Graph with 46 nodes and 518 edges
    """
    nodes = [(neurons.name, place) for neurons in wiring.neurons for place in range(len(neurons))]
    parts = connections(wiring, tensors, transform, threshold=threshold)
    one, other, weight = sum_edges(parts, [part.active for part in parts])
    graph = nx.Graph()
    ends = ([nodes[i] for i in end.tolist()] for end in (one, other))
    graph.add_weighted_edges_from(zip(*ends, weight.tolist(), strict=True))
    return graph


def connections(
    wiring: Wiring, tensors: Mapping[str, Tensor], transform: Transform = "layer_max", *, threshold: float = ACTIVE
) -> list[Connections]:
    """See `weight_graph`; computes the connections of every weight tensor instead of the graph."""
    if transform not in TRANSFORMS:
        raise ValueError(f"transform must be one of {', '.join(TRANSFORMS)}, got {transform!r}")
    check_threshold(threshold)
    starts, n = {}, 0
    for neurons in wiring.neurons:
        starts[neurons.name] = n
        n += len(neurons)
    return [_connections(wiring, wire, tensors[wire.tensor], transform, threshold, starts) for wire in wiring.weights]


def _connections(
    wiring: Wiring, wire: Wire, weight: Tensor, transform: Transform, threshold: float, starts: Mapping[str, int]
) -> Connections:
    ends = [np.tile(np.arange(len(wiring[end.neurons])) + starts[end.neurons], end.folds) for end in wire.ends]
    target, source = (end.ravel() for end in np.meshgrid(*ends, indexing="ij"))
    sizes = absolute_weights(wire.tensor, weight)
    active = (sizes > threshold).nonzero()[0]
    active = active[np.lexsort((source[active], target[active]))]  # folds of a neuron next to each other
    return Connections(target, source, active, _strengths(sizes[active].astype(np.float64), transform))


def check_threshold(threshold: float) -> None:
    """Raises a ValueError unless a threshold is at least 0 and finite.

    Args:
        threshold: |w| above which a weight is active.
    """
    if not 0 <= threshold < math.inf:
        raise ValueError(f"threshold must be at least 0 and finite, got {threshold}")


def absolute_weights(name: str, weight: Tensor) -> npt.NDArray[np.floating]:
    """Returns |w| of every entry of a tensor, row by row.

    Args:
        name: Name of the tensor, for the error message.
        weight: The tensor.

    Raises:
        ValueError: If an entry is not finite.
    """
    sizes: npt.NDArray[np.floating] = weight.detach().abs().cpu().numpy().ravel()
    largest = sizes.max()
    if not math.isfinite(largest):
        raise ValueError(f"weights must be finite, tensor {name!r} has {largest}")
    return sizes


def _strengths(sizes: Floats, transform: Transform) -> Floats:
    if transform == "binary":
        return np.ones_like(sizes)
    if transform == "squared":
        return sizes**2
    return sizes / sizes.max(initial=0) if transform == "layer_max" else sizes


def sum_edges(parts: Sequence[Connections], entries: Sequence[Ints]) -> tuple[Ints, Ints, Floats]:
    """Sums the strengths between every two neurons to edges: the neurons at both ends, and the weights.

    Args:
        parts: Connections of each tensor.
        entries: For each tensor, the index of an entry for each of its strengths.
    """
    one = np.concatenate([part.target[at] for part, at in zip(parts, entries, strict=True)])
    other = np.concatenate([part.source[at] for part, at in zip(parts, entries, strict=True)])
    weight = np.concatenate([part.strength for part in parts])
    between = one != other
    one, other, weight = one[between], other[between], weight[between]
    low, high = np.minimum(one, other), np.maximum(one, other)
    first, total = sum_by_key(low * (high.max(initial=0) + 1) + high, weight)
    return one[first], other[first], total


def to_edges(graph: nx.Graph) -> Edges:
    """Converts a graph to edges between the indices of its nodes, in the graph's order.

    Args:
        graph: Weighted graph; an edge without "weight" has weight 1.

    Raises:
        ValueError: If an edge's weight is negative or not finite.
    """
    number = {node: i for i, node in enumerate(graph)}
    near = [neighbours for _, neighbours in graph.adjacency()]
    one = np.repeat(np.arange(len(graph)), list(map(len, near)))
    other = np.array([number[node] for neighbours in near for node in neighbours], dtype=np.int64)
    weight = np.array([edge.get("weight", 1) for neighbours in near for edge in neighbours.values()], dtype=np.float64)
    wrong = weight[~((weight >= 0) & (weight < math.inf))]
    if len(wrong):
        raise ValueError(f"weights of edges must be at least 0 and finite, got {wrong[0]}")
    once = one <= other
    return Edges(len(graph), one[once], other[once], weight[once])
