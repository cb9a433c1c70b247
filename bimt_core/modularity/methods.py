"""Communities of a weight graph and Newman's Q, by several methods."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import networkx as nx
import numpy as np

from bimt_core.modularity.graph import Node, numbered
from bimt_core.modularity.newman import newman_partition
from bimt_core.modularity.partition import Edges, Ints, louvain_partition

Method = Literal["louvain", "newman", "cnm"]
METHODS: tuple[Method, ...] = get_args(Method)
MOST_EDGES = 100_000  # Louvain runs look at this many edges together


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


def communities(graph: nx.Graph, method: Method = "louvain", seeds: int = 10) -> Communities:
    """The communities of a weight graph.

    Q = sum over communities c of [ W_c / m - (k_c / 2m)^2 ], with m the total edge weight, W_c that inside the
    community and k_c the summed weighted degree (Newman 2004).

    Args:
        graph: Weighted graph.
        method: "louvain" (Blondel et al. 2008); "newman", leading eigenvectors with fine-tuned divisions (Newman
            2006); or "cnm", greedy joining (Clauset, Newman, Moore 2004) as networkx does it.
        seeds: Number of Louvain runs, with seeds 0, 1, ...; the best is kept. Where there are many edges there are
            fewer runs: as many as look at 100,000 edges together, but at least one. The others draw nothing.

    Returns:
        Communities; none, with Q = 0, for a graph without edges, or whose edges weigh nothing.

    Raises:
        ValueError: If the method is unknown, there is no seed, or an edge's weight is negative or not finite.
    """
    check_method(method, seeds)
    edges = numbered(graph)
    if not len(edges) or not edges.total:
        return Communities(0.0, ())
    best = best_partition(edges, method, seeds)
    return Communities(edges.modularity(best), in_order(graph, best))


def louvain(graph: nx.Graph, *, seeds: int = 10) -> Communities:
    """`communities` by Louvain's method."""
    return communities(graph, "louvain", seeds)


def in_order(nodes: Iterable[Node], community: Ints) -> tuple[frozenset[Node], ...]:
    """The communities of nodes, largest first; ties in order of the first neuron.

    Args:
        nodes: As many as there are communities given.
        community: The number of each node's community, shape (nodes,).
    """
    members: dict[int, set[Node]] = {}
    for node, number in zip(nodes, community.tolist(), strict=True):
        members.setdefault(number, set()).add(node)
    return tuple(sorted(map(frozenset, members.values()), key=lambda c: (-len(c), min(c))))


def check_method(method: Method, seeds: int) -> None:
    """See `communities`."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {seeds}")


def best_partition(edges: Edges, method: Method, seeds: int) -> Ints:
    """Community of each node of a graph that has weight; see `communities`."""
    if method == "newman":
        return newman_partition(edges)
    if method == "cnm":
        return _greedy(edges)
    runs = min(seeds, MOST_EDGES // len(edges))
    if runs <= 1:
        return louvain_partition(edges, 0)
    return max((louvain_partition(edges, seed) for seed in range(runs)), key=edges.modularity)


def _greedy(edges: Edges) -> Ints:
    """Clauset, Newman and Moore's method; networkx hands it to a faster backend where one is installed."""
    graph = nx.empty_graph(edges.n)
    graph.add_weighted_edges_from(zip(edges.one.tolist(), edges.other.tolist(), edges.weight.tolist(), strict=True))
    found: Sequence[frozenset[int]] = nx.community.greedy_modularity_communities(graph, weight="weight")
    community = np.zeros(edges.n, dtype=np.int64)
    for number, nodes in enumerate(found):
        community[list(nodes)] = number
    return community
