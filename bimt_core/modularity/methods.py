"""Communities of a weight graph and Newman's Q."""

from dataclasses import dataclass

import networkx as nx
import numpy as np

from bimt_core.modularity.graph import Node
from bimt_core.modularity.partition import Edges, louvain_partition

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
