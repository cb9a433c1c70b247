"""Modularity of a network: its weight graph, communities and Newman's Q."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import networkx as nx
import numpy as np
from torch import Tensor

from bimt_core.partition import Edges, Floats, Ints, louvain_partition, summed
from bimt_core.wiring import Wire, Wiring

Transform = Literal["layer_max", "raw"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
ACTIVE = 1e-3  # |weight| above which a weight counts as active, as in the paper's edge counts
MOST_EDGES = 100_000  # Louvain runs look at this many edges together

Node = tuple[str, int]  # (name of the set of neurons, place)


@dataclass(frozen=True)
class Communities:
    """A partition of a weight graph.

    Args:
        modularity: Newman's Q of the partition.
        members: The communities, largest first; ties in order of the first neuron.
    """

    modularity: float
    members: tuple[frozenset[Node], ...]

    def __len__(self) -> int:
        return len(self.members)


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


def louvain(graph: nx.Graph, *, seeds: int = 10) -> Communities:
    """The partition of highest Newman modularity among several Louvain runs.

    Q = sum over communities c of [ W_c / m - (k_c / 2m)^2 ], with m the total edge weight, W_c that inside the
    community and k_c the summed weighted degree (Newman 2004); Louvain: Blondel et al. 2008.

    Args:
        graph: Weighted graph.
        seeds: Number of runs, with seeds 0, 1, ...; the best is kept. Where there are many edges there are fewer runs:
            as many as look at 100,000 edges together, but at least one.

    Returns:
        Communities; none, with Q = 0, for a graph without edges.
    """
    if not graph.number_of_edges():
        return Communities(0.0, ())
    edges, runs = _numbered(graph), MOST_EDGES // graph.number_of_edges()
    partitions = [louvain_partition(edges, seed) for seed in range(max(1, min(seeds, runs)))]
    best = max(partitions, key=edges.modularity)
    members: dict[int, set[Node]] = {}
    for node, community in zip(graph, best.tolist(), strict=True):
        members.setdefault(community, set()).add(node)
    ordered = sorted(map(frozenset, members.values()), key=lambda c: (-len(c), min(c)))
    return Communities(edges.modularity(best), tuple(ordered))


def _numbered(graph: nx.Graph) -> Edges:
    """The graph's edges between the numbers of its nodes."""
    number = {node: i for i, node in enumerate(graph)}
    near = [neighbours for _, neighbours in graph.adjacency()]
    one = np.repeat(np.arange(len(graph)), list(map(len, near)))
    other = np.array([number[node] for neighbours in near for node in neighbours])
    weight = np.array([edge.get("weight", 1) for neighbours in near for edge in neighbours.values()], dtype=np.float64)
    once = one <= other
    return Edges(len(graph), one[once], other[once], weight[once])
