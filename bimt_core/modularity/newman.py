"""Newman's method: communities from leading eigenvectors of the modularity matrix.

M. E. J. Newman, Modularity and community structure in networks, PNAS 103, 8577 (2006). With A the weights between
nodes, k their degrees and 2m the sum of the degrees, B = A - k k^T / 2m. A group g of nodes is divided by the signs s
of the leading eigenvector of B^(g) = B_g - diag(row sums of B_g), which adds s^T B^(g) s / 4m to Q. The division is
then fine-tuned, and kept if it adds to Q.

There are two deviations. The first groups are the connected components, because no division can improve on them. And
since fine-tuning a division can make later ones worse (in 2 % of random graphs), the method also runs without
fine-tuning, and the better of the two partitions is returned.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.sparse import coo_array, csr_array, issparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, eigsh

from bimt_core.modularity.partition import Edges, Floats, Ints

MOST_DENSE = 1000  # nodes of a group up to which its matrix is dense
LEAST_GAIN = 1e-10  # of Q; less is rounding


@dataclass(frozen=True, eq=False)
class Group:
    """The generalised modularity matrix B^(g) of some nodes, never stored as a matrix.

    Args:
        weights: Weights between the nodes, shape (n, n); a loop counts twice.
        degrees: Degrees of the nodes in the whole graph, shape (n,).
        total: Sum of the degrees of all nodes of the graph, 2m.
    """

    weights: Any  # a numpy array, or a csr_array of scipy, which has no types
    degrees: Floats
    total: float

    @cached_property
    def shift(self) -> Floats:
        """Row sums of B_g, shape (n,)."""
        sums: Floats = self.weights @ np.ones_like(self.degrees) - self.degrees * (self.degrees.sum() / self.total)
        return sums

    @cached_property
    def diagonal(self) -> Floats:
        """Diagonal of B^(g), shape (n,)."""
        diagonal: Floats = self.weights.diagonal() - self.degrees**2 / self.total - self.shift
        return diagonal

    def multiply(self, x: Floats) -> Floats:
        """Computes B^(g) x.

        Args:
            x: Vector, shape (n,).
        """
        product: Floats = self.weights @ x
        return product - self.degrees * (self.degrees @ x / self.total) - self.shift * x

    def column(self, node: int) -> Floats:
        """Computes a column of B^(g), except for the entry on the diagonal.

        Args:
            node: Index of the column.
        """
        weights = self.weights[[node]].toarray()[0] if issparse(self.weights) else self.weights[node]
        column: Floats = weights - self.degrees * (self.degrees[node] / self.total)
        return column

    @cached_property
    def leading_eigenpair(self) -> tuple[float, Floats]:
        """Largest eigenvalue of B^(g) and its eigenvector."""
        n = len(self.degrees)
        if issparse(self.weights):
            start = np.random.default_rng(0).random(n)  # a symmetric vector could be another eigenvector
            value, vector = eigsh(LinearOperator((n, n), self.multiply), 1, which="LA", v0=start)
        else:
            matrix = self.weights - np.outer(self.degrees, self.degrees) / self.total - np.diag(self.shift)
            value, vector = eigh(matrix, subset_by_index=[n - 1, n - 1])
        return float(value[0]), vector[:, 0]

    def gain(self, signs: Floats) -> float:
        """Computes the change of Q by a division.

        Args:
            signs: Side of each node, 1 or -1, shape (n,).
        """
        return float(signs @ self.multiply(signs)) / (2 * self.total)


def newman_partition(edges: Edges) -> Ints:
    """Computes the community of each node by Newman's method of 2006, numbered from 0, int64, shape (n,).

    Args:
        edges: A graph with at least one edge of positive weight.
    """
    groups = _Groups(edges)
    return max((_partition(groups, fine_tune=fine_tune) for fine_tune in (True, False)), key=edges.modularity)


class _Groups:
    """The groups of a graph's nodes, created on first use."""

    def __init__(self, edges: Edges) -> None:
        ends = np.concatenate([edges.one, edges.other]), np.concatenate([edges.other, edges.one])
        weights = csr_array(coo_array((np.tile(edges.weight, 2), ends), (edges.n, edges.n)))
        self.components: Ints = connected_components(weights, directed=False)[1].astype(np.int64)
        self._weights = weights.toarray() if edges.n <= MOST_DENSE else weights
        self._edges = edges
        self._known: dict[bytes, Group] = {}

    def __getitem__(self, nodes: Ints) -> Group:
        key = nodes.tobytes()
        if key not in self._known:
            inside = self._weights[nodes][:, nodes]
            if issparse(inside) and len(nodes) <= MOST_DENSE:
                inside = inside.toarray()
            self._known[key] = Group(inside, self._edges.degrees[nodes], 2 * self._edges.total)
        return self._known[key]


def _partition(groups: _Groups, *, fine_tune: bool) -> Ints:
    community = groups.components.copy()
    n = int(community.max()) + 1
    waiting = [(community == c).nonzero()[0] for c in range(n)]
    while waiting:
        nodes = waiting.pop()
        apart = _divide(groups[nodes], fine_tune=fine_tune)
        if apart.any() and not apart.all():
            waiting += [nodes[~apart], nodes[apart]]
            community[nodes[apart]], n = n, n + 1
    return community


def _divide(group: Group, *, fine_tune: bool) -> npt.NDArray[np.bool_]:
    """Returns the nodes of a group to split off; none if that adds nothing to Q."""
    value, vector = group.leading_eigenpair
    signs = np.where(vector < 0, -1.0, 1.0)
    if value / group.total <= LEAST_GAIN:
        return np.zeros(len(signs), dtype=np.bool_)
    if fine_tune:
        signs = _fine_tune(group, signs)
    return (signs < 0) & (group.gain(signs) > LEAST_GAIN)


def _fine_tune(group: Group, signs: Floats) -> Floats:
    """Improves a division: every node changes sides once, always the one whose change adds most to Q (or loses least).

    The best division on the way is kept, and the round is repeated until it finds none that is better.
    """
    best_signs = signs
    while True:
        now, pull, free = best_signs.copy(), group.multiply(best_signs), np.zeros(len(signs))
        gain, gains, order = 0.0, [], []
        for _ in range(len(signs)):
            change = free - now * pull + group.diagonal
            node = int(change.argmax())
            gain += 2 * float(change[node]) / group.total
            pull -= 2 * now[node] * group.column(node)  # the node's own pull is not used again
            now[node], free[node] = -now[node], -np.inf
            gains.append(gain)
            order.append(node)
        best = int(np.argmax(gains))
        if gains[best] <= LEAST_GAIN:
            return best_signs
        best_signs = best_signs.copy()
        best_signs[order[: best + 1]] *= -1
