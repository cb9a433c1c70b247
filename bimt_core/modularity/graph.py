"""The weight graph of a network: its neurons, tied by the weights between them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import networkx as nx
import numpy as np
import numpy.typing as npt
from torch import Tensor

from bimt_core.modularity.partition import Edges, Floats, Ints, summed
from bimt_core.wiring import ACTIVE, Wire, Wiring

Transform = Literal["layer_max", "raw", "squared", "binary"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)

Node = tuple[str, int]  # (name of the set of neurons, place)


@dataclass(frozen=True, eq=False)
class Connections:
    """What one tensor connects: its entries, row after row, and the strength of the active ones.

    Neurons are numbered through all sets of the wiring.

    Args:
        target: The neuron of each entry's row, int64, shape (entries,).
        source: The neuron of each entry's column, int64, shape (entries,).
        active: Which entries are active, int64, shape (active,).
        strength: Of each active entry, float64, shape (active,).
    """

    target: Ints
    source: Ints
    active: Ints
    strength: Floats


def weight_graph(
    wiring: Wiring, tensors: Mapping[str, Tensor], transform: Transform = "layer_max", *, threshold: float = ACTIVE
) -> nx.Graph:
    """The undirected graph of active weights between neurons; isolated neurons are left out.

    All weights between two neurons add up to one edge: those of the folds of a neuron, of several tensors (such as the
    many that read and write a residual stream) and of both directions in a recurrent tensor. A neuron's connection to
    itself is left out, since it ties the neuron to no other. Biases and embeddings connect no neurons.

    Args:
        wiring: The network's wiring.
        tensors: Named tensors of one network (no leading dimension).
        transform: What is summed: "raw" is |w|; "layer_max" is |w| / the largest |w| of its tensor, which is what the
            connectivity diagram draws; "squared" is w^2; "binary" is 1, so that an edge counts active weights.
        threshold: |w| above which a weight is active.

    Returns:
        Graph whose nodes are (set of neurons, place) and whose edges carry "weight".

    Raises:
        ValueError: If the transform is unknown, the threshold negative or not finite, or a weight not finite.
    """
    nodes = [(neurons.name, place) for neurons in wiring.neurons for place in range(len(neurons))]
    parts = connections(wiring, tensors, transform, threshold=threshold)
    one, other, weight = edges_at(parts, [part.active for part in parts])
    graph = nx.Graph()
    ends = ([nodes[i] for i in end.tolist()] for end in (one, other))
    graph.add_weighted_edges_from(zip(*ends, weight.tolist(), strict=True))
    return graph


def connections(
    wiring: Wiring, tensors: Mapping[str, Tensor], transform: Transform = "layer_max", *, threshold: float = ACTIVE
) -> list[Connections]:
    """What every weight tensor connects; see `weight_graph`."""
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
    size = finite_sizes(wire.tensor, weight)
    active = (size > threshold).nonzero()[0]
    active = active[np.lexsort((source[active], target[active]))]  # folds of a neuron next to each other
    return Connections(target, source, active, _strength(size[active].astype(np.float64), transform))


def check_threshold(threshold: float) -> None:
    """See `weight_graph`."""
    if not 0 <= threshold < math.inf:
        raise ValueError(f"threshold must be at least 0 and finite, got {threshold}")


def finite_sizes(tensor: str, weight: Tensor) -> npt.NDArray[np.floating]:
    """|w| of every entry, row after row.

    Raises:
        ValueError: If one is not finite.
    """
    sizes: npt.NDArray[np.floating] = weight.detach().abs().cpu().numpy().ravel()
    largest = sizes.max()
    if not math.isfinite(largest):
        raise ValueError(f"weights must be finite, tensor {tensor!r} has {largest}")
    return sizes


def _strength(size: Floats, transform: Transform) -> Floats:
    """What the active weights of a tensor, of these sizes, add to the graph."""
    if transform == "binary":
        return np.ones_like(size)
    if transform == "squared":
        return size**2
    return size / size.max(initial=0) if transform == "layer_max" else size


def edges_at(parts: Sequence[Connections], places: Sequence[Ints]) -> tuple[Ints, Ints, Floats]:
    """The graph's edges where each tensor's strengths sit at the given entries.

    Args:
        parts: What each tensor connects.
        places: For each tensor an entry for each of its strengths.

    Returns:
        The neurons at both ends of every edge, and its weight.
    """
    one = np.concatenate([part.target[at] for part, at in zip(parts, places, strict=True)])
    other = np.concatenate([part.source[at] for part, at in zip(parts, places, strict=True)])
    weight = np.concatenate([part.strength for part in parts])
    between = one != other
    one, other, weight = one[between], other[between], weight[between]
    low, high = np.minimum(one, other), np.maximum(one, other)
    first, total = summed(low * (high.max(initial=0) + 1) + high, weight)
    return one[first], other[first], total


def numbered(graph: nx.Graph) -> Edges:
    """The graph's edges between the numbers of its nodes, in the graph's order.

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
