"""Louvain's method: a partition of a graph's nodes with high modularity.

Nodes are numbers here. Partitions are those of networkx, to the last node: nodes are visited in the same random order,
neighbours in the same order, and ties go the same way. But all neighbours of a node are weighed at once, which takes
half to a tenth of the time.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from random import Random

import numpy as np
import numpy.typing as npt

LEAST_GAIN = 1e-7  # a level that adds less modularity than this is the last

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Edges:
    """The undirected edges of a graph with the nodes 0, 1, ..., n - 1; two nodes have one edge at most.

    Args:
        n: Number of nodes.
        one: An end of each edge, int64, shape (edges,).
        other: The other end, the same for an edge from a node to itself.
        weight: Weight of each, float64, shape (edges,).
    """

    n: int
    one: Ints
    other: Ints
    weight: Floats

    @cached_property
    def total(self) -> float:
        """Weight of all edges."""
        return float(sum(self.degrees.tolist())) / 2

    @cached_property
    def degrees(self) -> Floats:
        """Weight of each node's edges, an edge to itself counted twice; shape (n,)."""
        node, neighbour, weight = self.directed
        loops = node == neighbour
        return _sums(node, weight, self.n) + _sums(node[loops], weight[loops], self.n)

    @cached_property
    def directed(self) -> tuple[Ints, Ints, Floats]:
        """Node, neighbour and weight from both ends of every edge: node by node, and for a node in order of edges."""
        between = self.one != self.other
        node = np.concatenate([self.one, self.other[between]])
        neighbour = np.concatenate([self.other, self.one[between]])
        weight = np.concatenate([self.weight, self.weight[between]])
        edge = np.arange(len(self.one))
        order = np.lexsort((np.concatenate([edge, edge[between]]), node))
        return node[order], neighbour[order], weight[order]

    def modularity(self, community: Ints) -> float:
        """Newman's Q of a partition; see `bimt_core.modularity.louvain`.

        Args:
            community: Of each node, int64, shape (n,).
        """
        inside = self.weight[community[self.one] == community[self.other]].sum() / self.total
        shares = _sums(community, self.degrees, self.n) / (2 * self.total)
        return float(inside - (shares**2).sum())

    def merged(self, community: Ints) -> "Edges":
        """The graph whose nodes are the communities 0, 1, ..., and in which the edges between two of them add up."""
        node, neighbour, weight = self.directed
        once = node <= neighbour
        one, other, n = community[node[once]], community[neighbour[once]], int(community.max()) + 1
        pair = np.minimum(one, other) * n + np.maximum(one, other)
        first, weight = summed(pair, weight[once])
        return Edges(n, one[first], other[first], weight)


def summed(keys: Ints, weights: Floats) -> tuple[Ints, Floats]:
    """Sums the weights of equal keys.

    Args:
        keys: Of each weight.
        weights: Shape of the keys.

    Returns:
        Where each key first stands, in rising order, and its sum.
    """
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    order = first.argsort()
    return first[order], _sums(which, weights, len(first))[order]


def _sums(index: Ints, weights: Floats, n: int) -> Floats:
    """The sum of the weights that have each index, shape (n,)."""
    sums: Floats = np.bincount(index, weights, n)  # type: ignore[assignment]  # with weights it gives floats
    return sums


def louvain_partition(edges: Edges, seed: int) -> Ints:
    """One run of Louvain's method (Blondel et al. 2008).

    Single nodes move to the neighbouring community that gains most, until none gains; then the communities become the
    nodes of a smaller graph, and so on.

    Args:
        edges: A graph with at least one edge of positive weight.
        seed: Of the order in which nodes are visited.

    Returns:
        Community of each node, numbered from 0, int64, shape (n,).
    """
    random = Random(seed)
    level, community = edges, np.arange(edges.n)
    before = edges.modularity(community)
    while True:
        moved = _moved(level, edges.total, random)
        community = moved[community]
        after = level.modularity(moved)
        if after - before <= LEAST_GAIN:
            return community
        level, before = level.merged(moved), after


def _moved(edges: Edges, total: float, random: Random) -> Ints:
    """Community of each node when no single node gains from moving to another."""
    nodes = list(range(edges.n))
    random.shuffle(nodes)
    neighbours, weights = _by_node(edges)
    nodes = [node for node in nodes if len(neighbours[node])]
    community, degrees, sizes = np.arange(edges.n), edges.degrees.tolist(), edges.degrees.copy()
    squared = 2 * total**2
    moves = True
    while moves:
        moves = False
        for node in nodes:
            home, degree, near = community[node], degrees[node], community[neighbours[node]]
            ties = np.bincount(near, weights[node], edges.n)
            sizes[home] -= degree
            leaving = sizes[home] * degree / squared - ties[home] / total
            gains = leaving + ties[near] / total - sizes[near] * degree / squared
            best = gains.argmax()
            there = near[best] if gains[best] > 0 else home
            sizes[there] += degree
            if there != home:
                community[node], moves = there, True
    return np.unique(community, return_inverse=True)[1]


def _by_node(edges: Edges) -> tuple[list[Ints], list[Floats]]:
    """Each node's neighbours but itself, and the weights of the edges to them."""
    node, neighbour, weight = edges.directed
    others = node != neighbour
    neighbour, weight = neighbour[others], weight[others]
    parts = [slice(*ends) for ends in pairwise(np.searchsorted(node[others], np.arange(edges.n + 1)).tolist())]
    return [neighbour[part] for part in parts], [weight[part] for part in parts]
