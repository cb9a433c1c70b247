"""Communities of a weight graph and Newman's Q, by several methods."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import networkx as nx
import numpy as np

from bimt_core.modularity.graph import Node, to_edges
from bimt_core.modularity.newman import newman_partition
from bimt_core.modularity.partition import Edges, Ints, louvain_partition

Method = Literal["louvain", "newman", "cnm"]
METHODS: tuple[Method, ...] = get_args(Method)
MOST_EDGES = 100_000  # edges that all Louvain runs together look at


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
    """Finds the communities of a weight graph.

    Q = sum over communities c of [ W_c / m - (k_c / 2m)^2 ], with m the total edge weight, W_c the edge weight inside
    the community and k_c its summed weighted degree (Newman 2004). Without edges of positive
    weight there are no communities, and Q = 0.

    Args:
        graph: Weighted graph.
        method: "louvain" (Blondel et al. 2008); "newman", leading eigenvectors with fine-tuned divisions (Newman
            2006); or "cnm", greedy merging (Clauset, Newman, Moore 2004) by networkx.
        seeds: Number of Louvain runs, with seeds 0, 1, ...; the best is kept. Large graphs have fewer runs: as many as
            look at 100,000 edges together, but at least one. The other methods use no random numbers.

    Raises:
        ValueError: If the method is unknown, there is no seed, or an edge's weight is negative or not finite.

    Examples:
        >>> graph = nx.Graph([(("input", i), ("output", j)) for i in range(4) for j in range(4) if i // 2 == j // 2])
        >>> communities(graph, "newman").modularity
        0.5
    """
    check_method(method, seeds)
    edges = to_edges(graph)
    if not edges.total:
        return Communities(0.0, ())
    best = best_partition(edges, method, seeds)
    return Communities(edges.modularity(best), order_communities(graph, best))


def louvain(graph: nx.Graph, *, seeds: int = 10) -> Communities:
    """Finds communities by Louvain's method; see `communities`.

    Args:
        graph: Weighted graph.
        seeds: Number of runs.

    Examples:
        >>> graph = nx.Graph([(("input", 0), ("output", 1)), (("input", 1), ("output", 0))])
        >>> [sorted(members) for members in louvain(graph).members]
        [[('input', 0), ('output', 1)], [('input', 1), ('output', 0)]]
    """
    return communities(graph, "louvain", seeds)


def order_communities(nodes: Iterable[Node], community: Ints) -> tuple[frozenset[Node], ...]:
    """Collects the members of each community, largest first; ties in order of the first neuron.

    Args:
        nodes: The nodes.
        community: Number of each node's community, shape (nodes,).
    """
    members: dict[int, set[Node]] = {}
    for node, number in zip(nodes, community.tolist(), strict=True):
        members.setdefault(number, set()).add(node)
    return tuple(sorted(map(frozenset, members.values()), key=lambda c: (-len(c), min(c))))


def check_method(method: Method, seeds: int) -> None:
    """Raises a ValueError unless the method is known and there is a seed.

    Args:
        method: See `communities`.
        seeds: Number of Louvain runs.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {seeds}")


def best_partition(edges: Edges, method: Method, seeds: int) -> Ints:
    """Finds the community of each node, int64, shape (n,).

    Args:
        edges: A graph with at least one edge of positive weight.
        method: See `communities`.
        seeds: Number of Louvain runs.
    """
    if method == "newman":
        return newman_partition(edges)
    if method == "cnm":
        return _cnm_partition(edges)
    runs = min(seeds, MOST_EDGES // len(edges))
    if runs <= 1:
        return louvain_partition(edges, 0)
    return max((louvain_partition(edges, seed) for seed in range(runs)), key=edges.modularity)


def _cnm_partition(edges: Edges) -> Ints:
    graph = nx.empty_graph(edges.n)
    graph.add_weighted_edges_from(zip(edges.one.tolist(), edges.other.tolist(), edges.weight.tolist(), strict=True))
    community = np.zeros(edges.n, dtype=np.int64)
    for number, nodes in enumerate(nx.community.greedy_modularity_communities(graph, weight="weight")):
        community[list(nodes)] = number
    return community
