"""Louvain's method: a partition of a graph's nodes with high modularity.

Nodes are numbers here. Partitions are those of networkx, to the last node: nodes are visited in the same random order,
neighbours in the same order, and ties go the same way. But a level is nothing but lists of neighbours, which takes a
third to a sixth of the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np
import numpy.typing as npt

LEAST_GAIN = 1e-7  # a level that adds less modularity than this is the last
MANY_NEIGHBOURS = 40  # a node, from which on arrays are faster than loops

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Neighbours = Sequence[Mapping[int, float]]  # of each node: neighbour to weight, itself included where it has a loop


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

    def __len__(self) -> int:
        return len(self.weight)

    @cached_property
    def total(self) -> float:
        """Weight of all edges."""
        return float(self.weight.sum())

    @cached_property
    def degrees(self) -> Floats:
        """Weight of each node's edges, an edge to itself counted twice; shape (n,)."""
        return sums(self.one, self.weight, self.n) + sums(self.other, self.weight, self.n)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Each node's neighbours in the order of edges, and the weights of the edges to them."""
        near: list[dict[int, float]] = [{} for _ in range(self.n)]
        for a, b, weight in zip(self.one.tolist(), self.other.tolist(), self.weight.tolist(), strict=True):
            near[a][b] = near[b][a] = weight
        return near

    def modularity(self, community: Ints) -> float:
        """Newman's Q of a partition; see `bimt_core.modularity.communities`. A graph without weight has Q = 0.

        Args:
            community: Of each node, int64, shape (n,).
        """
        if not self.total:
            return 0.0
        inside = self.weight[community[self.one] == community[self.other]].sum() / self.total
        shares = sums(community, self.degrees, self.n) / (2 * self.total)
        return float(inside - (shares**2).sum())


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
    return first[order], sums(which, weights, len(first))[order]


def sums(index: Ints, weights: Floats, n: int) -> Floats:
    """The sum of the weights that have each index, shape (n,)."""
    found: Floats = np.bincount(index, weights, n)  # type: ignore[assignment]  # with weights it gives floats
    return found


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
    random, level = Random(seed), edges.neighbours
    degrees = [sum(ties.values()) + ties.get(node, 0.0) for node, ties in enumerate(level)]
    community, total = list(range(edges.n)), sum(degrees) / 2
    before = _modularity(level, degrees, total)
    while True:
        moved = _moved(level, degrees, total, random)
        if len(set(moved)) == len(level):
            return np.array(community, dtype=np.int64)
        community = [moved[c] for c in community]
        level = _merged(level, moved)
        degrees = [sum(ties.values()) + ties.get(node, 0.0) for node, ties in enumerate(level)]
        after = _modularity(level, degrees, total)
        if after - before <= LEAST_GAIN:
            return np.array(community, dtype=np.int64)
        before = after


def _modularity(level: Neighbours, degrees: Sequence[float], total: float) -> float:
    """Q where every node is a community of its own."""
    inside = sum([ties.get(node, 0.0) for node, ties in enumerate(level)])
    return inside / total - sum([degree**2 for degree in degrees]) / (2 * total) ** 2


def _moved(level: Neighbours, degrees: Sequence[float], total: float, random: Random) -> list[int]:
    """Community of each node when no single node gains from moving to another."""
    nodes = list(range(len(level)))
    random.shuffle(nodes)
    others = [_without(ties, node) if node in ties else ties for node, ties in enumerate(level)]
    nodes = [node for node in nodes if others[node]]
    move = _move_at_once if sum(map(len, others)) > MANY_NEIGHBOURS * len(nodes) else _move_one_by_one
    community = move(nodes, others, degrees, total)
    number = {c: i for i, c in enumerate(sorted(set(community)))}
    return [number[c] for c in community]


def _without(ties: Mapping[int, float], node: int) -> Mapping[int, float]:
    return {other: weight for other, weight in ties.items() if other != node}


def _move_one_by_one(nodes: list[int], others: Neighbours, degrees: Sequence[float], total: float) -> list[int]:
    """Weighs the neighbours of a node one by one."""
    near = [list(ties.items()) for ties in others]
    community, sizes, squared = list(range(len(degrees))), list(degrees), 2 * total**2
    moves = True
    while moves:
        moves = False
        for node in nodes:
            home, degree = community[node], degrees[node]
            ties: dict[int, float] = {}
            for neighbour, weight in near[node]:
                there = community[neighbour]
                ties[there] = ties.get(there, 0.0) + weight
            sizes[home] -= degree
            leaving = sizes[home] * degree / squared - ties.get(home, 0.0) / total
            best, most = home, 0.0
            for there, tie in ties.items():
                gain = leaving + tie / total - sizes[there] * degree / squared
                if gain > most:
                    best, most = there, gain
            sizes[best] += degree
            if best != home:
                community[node], moves = best, True
    return community


def _move_at_once(nodes: list[int], others: Neighbours, degrees: Sequence[float], total: float) -> list[int]:
    """Weighs all neighbours of a node at once, which gives the same and is faster where there are many."""
    near = [np.fromiter(ties.keys(), np.int64, len(ties)) for ties in others]
    weights = [np.fromiter(ties.values(), np.float64, len(ties)) for ties in others]
    community, sizes, squared = np.arange(len(degrees)), np.array(degrees), 2 * total**2
    moves = True
    while moves:
        moves = False
        for node in nodes:
            home, degree, there = community[node], degrees[node], community[near[node]]
            ties = np.bincount(there, weights[node], len(degrees))
            sizes[home] -= degree
            leaving = sizes[home] * degree / squared - ties[home] / total
            gains = leaving + ties[there] / total - sizes[there] * degree / squared
            best = gains.argmax()
            chosen = there[best] if gains[best] > 0 else home
            sizes[chosen] += degree
            if chosen != home:
                community[node], moves = chosen, True
    return community.tolist()


def _merged(level: Neighbours, community: Sequence[int]) -> Neighbours:
    """The graph whose nodes are the communities 0, 1, ..., and in which the edges between two of them add up."""
    merged: list[dict[int, float]] = [{} for _ in range(max(community) + 1)]
    for node, ties in enumerate(level):
        home = community[node]
        row = merged[home]
        for neighbour, weight in ties.items():
            if neighbour >= node:
                there = community[neighbour]
                row[there] = merged[there][home] = row.get(there, 0.0) + weight
    return merged
