"""Normalised cut between spectral clusters, a second measure of modularity."""

import warnings
from dataclasses import dataclass

import networkx as nx
import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_array
from scipy.sparse.linalg import eigsh

from bimt_core.modularity.graph import Node, to_edges
from bimt_core.modularity.methods import louvain, order_communities
from bimt_core.modularity.partition import Edges, Floats, Ints, sum_by_index

MOST_DENSE = 1000  # nodes up to which the graph's matrix is dense


@dataclass(frozen=True)
class Cut:
    """A partition of a weight graph and its normalised cut.

    Args:
        n_cut: Normalised cut, from 0 (no edge between parts) to the number of parts.
        members: The parts, largest first; ties in order of the first neuron.
    """

    n_cut: float
    members: tuple[frozenset[Node], ...]

    def __len__(self) -> int:
        return len(self.members)


def normalised_cut(graph: nx.Graph, k: int | None = None, *, seed: int = 0) -> Cut:
    """Computes the spectral clusters of a weight graph and their normalised cut.

    n-cut = sum over parts X of cut(X) / vol(X), with cut(X) the weight of the edges that leave X and vol(X) the summed
    degrees of its nodes (Shi and Malik 2000; Filan et al., Clusterability in neural networks, 2021: the lower the more
    clusterable). The parts are k-means clusters of the rows of the k lowest eigenvectors of the random walk's Laplacian
    I - D^-1 W.

    Args:
        graph: Weighted graph.
        k: Number of parts, at most the number of nodes; None for the number of Louvain's communities. There are fewer
            parts if the eigenvectors have fewer distinct rows, and none (n-cut = 0) if the total edge weight is 0.
        seed: Seed of k-means.

    Raises:
        ValueError: If k is not between 1 and the number of nodes that have an edge, or as for `communities`.

    Examples:
        >>> pairs = nx.Graph([(("input", 0), ("output", 0)), (("input", 1), ("output", 1))])
        >>> cut = normalised_cut(pairs)
        >>> len(cut), cut.n_cut
        (2, 0.0)
    """
    edges = to_edges(graph)
    used = edges.degrees.nonzero()[0]
    if not len(used):
        return Cut(0.0, ())
    k = len(louvain(graph)) if k is None else k
    if not 1 <= k <= len(used):
        raise ValueError(f"k must be between 1 and the {len(used)} nodes that have an edge, got {k}")
    weights = nx.to_scipy_sparse_array(graph, weight="weight", format="csr")[used][:, used]
    part = np.full(edges.n, -1)
    part[used] = _cluster(_eigenvectors(weights, edges.degrees[used], k), k, seed)
    nodes = list(graph)
    return Cut(_n_cut(edges, part), order_communities([nodes[i] for i in used.tolist()], part[used]))


def _eigenvectors(weights: csr_array, degrees: Floats, k: int) -> Floats:
    """The k lowest of I - D^-1 W as columns, shape (n, k): the highest of D^-1/2 W D^-1/2, rows divided by D^1/2."""
    root, n = np.sqrt(degrees), len(degrees)
    scaled = weights / root[:, None] / root
    if n <= MOST_DENSE or k == n:
        vectors = eigh(scaled.toarray(), subset_by_index=[n - k, n - 1])[1]
    else:
        vectors = eigsh(scaled, k, which="LA", v0=np.random.default_rng(0).random(n))[1]
    rows: Floats = vectors / root[:, None]
    return rows


def _cluster(rows: Floats, k: int, seed: int) -> Ints:
    from sklearn.cluster import KMeans  # takes a second to import
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters
        labels: Ints = KMeans(k, n_init=10, random_state=seed).fit_predict(rows).astype(np.int64)
    return labels


def _n_cut(edges: Edges, part: Ints) -> float:
    crossing, used = part[edges.one] != part[edges.other], part >= 0
    ends = np.concatenate([edges.one[crossing], edges.other[crossing]])
    cut = sum_by_index(part[ends], np.tile(edges.weight[crossing], 2), edges.n)
    volume = sum_by_index(part[used], edges.degrees[used], edges.n)
    return float((cut[volume > 0] / volume[volume > 0]).sum())
