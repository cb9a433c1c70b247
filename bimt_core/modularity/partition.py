"""Louvain's method: a partition of a graph's nodes with high modularity.

Nodes are integers here. The partitions equal those of networkx: nodes are visited in the same random order, neighbours
in the same order, and ties are broken the same way. A level of the graph is a plain list of dictionaries, which takes a
third to a sixth of the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np
import numpy.typing as npt

LEAST_GAIN = 1e-7  # of modularity; a level that adds less is the last one
MANY_NEIGHBOURS = 40  # mean number of neighbours per node above which arrays are faster than loops

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Neighbours = Sequence[Mapping[int, float]]  # for each node: neighbour -> weight, including itself if it has a loop


@dataclass(frozen=True, eq=False)
class Edges:
    """The undirected edges of a graph with nodes 0, 1, ..., n - 1 and at most one edge between two nodes.

    Args:
        n: Number of nodes.
        one: One end of each edge, int64, shape (edges,).
        other: The other end, equal to `one` for a loop.
        weight: Weight of each edge, float64, shape (edges,).
    """

    n: int
    one: Ints
    other: Ints
    weight: Floats

    def __len__(self) -> int:
        return len(self.weight)

    @cached_property
    def total(self) -> float:
        """Summed weight of all edges."""
        return float(self.weight.sum())

    @cached_property
    def degrees(self) -> Floats:
        """Summed weight of each node's edges, shape (n,); loops count twice."""
        return sum_by_index(self.one, self.weight, self.n) + sum_by_index(self.other, self.weight, self.n)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Weights to each node's neighbours, in the order of the edges."""
        near: list[dict[int, float]] = [{} for _ in range(self.n)]
        for a, b, weight in zip(self.one.tolist(), self.other.tolist(), self.weight.tolist(), strict=True):
            near[a][b] = near[b][a] = weight
        return near

    def modularity(self, community: Ints) -> float:
        """Computes Newman's Q of a partition (0 if the total weight is 0); see `bimt_core.modularity.communities`.

        Args:
            community: Community of each node, int64, shape (n,).
        """
        if not self.total:
            return 0.0
        inside = self.weight[community[self.one] == community[self.other]].sum() / self.total
        shares = sum_by_index(community, self.degrees, self.n) / (2 * self.total)
        return float(inside - (shares**2).sum())


def sum_by_key(keys: Ints, weights: Floats) -> tuple[Ints, Floats]:
    """Computes the index of the first occurrence of each key, ascending, and the sum of its weights.

    Args:
        keys: Key of each weight.
        weights: Weights, shape of `keys`.
    """
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = first.argsort()
    return first[order], sum_by_index(inverse, weights, len(first))[order]


def sum_by_index(index: Ints, weights: Floats, n: int) -> Floats:
    """Sums the weights for each index, shape (n,).

    Args:
        index: Index of each weight, from 0 to n - 1.
        weights: Weights, shape of `index`.
        n: Number of sums.
    """
    sums: Floats = np.bincount(index, weights, n)  # type: ignore[assignment]  # floats, since there are weights
    return sums


def louvain_partition(edges: Edges, seed: int) -> Ints:
    """Computes the community of each node, numbered from 0, int64, shape (n,), by one run of Louvain's method.

    Single nodes move to the neighbouring community with the largest gain until no move gains. The communities then
    become the nodes of a smaller graph, and so on.

    Args:
        edges: A graph with at least one edge of positive weight.
        seed: Seed of the order in which nodes are visited.
    """
    random, level = Random(seed), edges.neighbours
    degrees = _degrees(level)
    community, total = list(range(edges.n)), sum(degrees) / 2
    before = _modularity(level, degrees, total)
    while True:
        level_community = _move_nodes(level, degrees, total, random)
        if len(set(level_community)) == len(level):
            return np.array(community, dtype=np.int64)
        community = [level_community[c] for c in community]
        level = _merge(level, level_community)
        degrees = _degrees(level)
        after = _modularity(level, degrees, total)
        if after - before <= LEAST_GAIN:
            return np.array(community, dtype=np.int64)
        before = after


def _degrees(level: Neighbours) -> list[float]:
    return [sum(near.values()) + near.get(node, 0.0) for node, near in enumerate(level)]


def _modularity(level: Neighbours, degrees: Sequence[float], total: float) -> float:
    """Q of the partition in which every node is a community."""
    inside = sum([near.get(node, 0.0) for node, near in enumerate(level)])
    return inside / total - sum([degree**2 for degree in degrees]) / (2 * total) ** 2


def _move_nodes(level: Neighbours, degrees: Sequence[float], total: float, random: Random) -> list[int]:
    """Returns the community of each node, numbered from 0, once no move of a single node gains."""
    nodes = list(range(len(level)))
    random.shuffle(nodes)
    others = [
        {other: weight for other, weight in near.items() if other != node} if node in near else near
        for node, near in enumerate(level)
    ]
    nodes = [node for node in nodes if others[node]]
    move = _move_with_arrays if sum(map(len, others)) > MANY_NEIGHBOURS * len(nodes) else _move_with_loops
    community = move(nodes, others, degrees, total)
    number = {c: i for i, c in enumerate(sorted(set(community)))}
    return [number[c] for c in community]


def _move_with_loops(nodes: list[int], others: Neighbours, degrees: Sequence[float], total: float) -> list[int]:
    items = [list(near.items()) for near in others]
    community, sizes, squared = list(range(len(degrees))), list(degrees), 2 * total**2
    any_moved = True
    while any_moved:
        any_moved = False
        for node in nodes:
            home, degree = community[node], degrees[node]
            weights: dict[int, float] = {}
            for neighbour, weight in items[node]:
                there = community[neighbour]
                weights[there] = weights.get(there, 0.0) + weight
            sizes[home] -= degree
            leaving = sizes[home] * degree / squared - weights.get(home, 0.0) / total
            best, most = home, 0.0
            for there, weight in weights.items():
                gain = leaving + weight / total - sizes[there] * degree / squared
                if gain > most:
                    best, most = there, gain
            sizes[best] += degree
            if best != home:
                community[node], any_moved = best, True
    return community


def _move_with_arrays(nodes: list[int], others: Neighbours, degrees: Sequence[float], total: float) -> list[int]:
    """Gives the same as `_move_with_loops`, faster where nodes have many neighbours."""
    neighbours = [np.fromiter(near.keys(), np.int64, len(near)) for near in others]
    weights = [np.fromiter(near.values(), np.float64, len(near)) for near in others]
    community, sizes, squared = np.arange(len(degrees)), np.array(degrees), 2 * total**2
    any_moved = True
    while any_moved:
        any_moved = False
        for node in nodes:
            home, degree, there = community[node], degrees[node], community[neighbours[node]]
            sums = np.bincount(there, weights[node], len(degrees))
            sizes[home] -= degree
            leaving = sizes[home] * degree / squared - sums[home] / total
            gains = leaving + sums[there] / total - sizes[there] * degree / squared
            best = gains.argmax()
            chosen = there[best] if gains[best] > 0 else home
            sizes[chosen] += degree
            if chosen != home:
                community[node], any_moved = chosen, True
    return community.tolist()


def _merge(level: Neighbours, community: Sequence[int]) -> Neighbours:
    """Returns the graph whose nodes are the communities and whose edges are the summed edges between them."""
    merged: list[dict[int, float]] = [{} for _ in range(max(community) + 1)]
    for node, near in enumerate(level):
        home = community[node]
        row = merged[home]
        for neighbour, weight in near.items():
            if neighbour >= node:
                there = community[neighbour]
                row[there] = merged[there][home] = row.get(there, 0.0) + weight
    return merged
