"""A second opinion on modularity: the normalised cut between spectral clusters."""

import warnings
from dataclasses import dataclass

import networkx as nx
import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_array
from scipy.sparse.linalg import eigsh

from bimt_core.modularity.graph import Node, numbered
from bimt_core.modularity.methods import in_order, louvain
from bimt_core.modularity.partition import Edges, Floats, Ints, sums

MOST_DENSE = 1000  # nodes, up to which the graph's matrix is written out


@dataclass(frozen=True)
class Cut:
    """A partition of a weight graph by its cut.

    Args:
        n_cut: Its normalised cut, from 0 (nothing is cut) to the number of parts.
        members: The parts, largest first; ties in order of the first neuron.
    """

    n_cut: float
    members: tuple[frozenset[Node], ...]

    def __len__(self) -> int:
        return len(self.members)


def normalised_cut(graph: nx.Graph, k: int | None = None, *, seed: int = 0) -> Cut:
    """Spectral clusters of a weight graph and their normalised cut.

    n-cut = sum over parts X of cut(X) / vol(X), with cut(X) the weight of the edges that leave X and vol(X) the summed
    degrees of its nodes (Shi and Malik 2000; Filan et al., Clusterability in neural networks, 2021: the lower the more
    clusterable). The parts are k-means clusters of the rows of the k lowest eigenvectors of the random walk's Laplacian
    I - D^-1 W.

    Args:
        graph: Weighted graph.
        k: Number of parts, at most that of the nodes; None for that of Louvain's communities. Nodes that no edge
            tells apart can give fewer.
        seed: Of k-means.

    Returns:
        The parts; none, with n-cut = 0, for a graph whose edges weigh nothing.

    Raises:
        ValueError: If k is not between 1 and the number of nodes that have an edge, or as `communities` does.
    """
    edges = numbered(graph)
    used = edges.degrees.nonzero()[0]
    if not len(used):
        return Cut(0.0, ())
    k = len(louvain(graph)) if k is None else k
    if not 1 <= k <= len(used):
        raise ValueError(f"k must be between 1 and the {len(used)} nodes that have an edge, got {k}")
    weights = nx.to_scipy_sparse_array(graph, weight="weight", format="csr")[used][:, used]
    part = np.full(edges.n, -1)
    part[used] = _clusters(_eigenvectors(weights, edges.degrees[used], k), k, seed)
    nodes = list(graph)
    return Cut(_n_cut(edges, part), in_order([nodes[i] for i in used.tolist()], part[used]))


def _eigenvectors(weights: csr_array, degrees: Floats, k: int) -> Floats:
    """The k lowest of I - D^-1 W as columns, shape (n, k): the highest of D^-1/2 W D^-1/2, rows divided by D^1/2."""
    root, n = np.sqrt(degrees), len(degrees)
    scaled = weights / root[:, None] / root
    if n <= MOST_DENSE or k == n:
        vectors = eigh(scaled.toarray(), subset_by_index=[n - k, n - 1])[1]
    else:
        vectors = eigsh(scaled, k, which="LA", v0=np.random.default_rng(0).random(n))[1]
    found: Floats = vectors / root[:, None]
    return found


def _clusters(rows: Floats, k: int, seed: int) -> Ints:
    from sklearn.cluster import KMeans  # takes a second to load
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters: there are fewer parts
        found: Ints = KMeans(k, n_init=10, random_state=seed).fit_predict(rows).astype(np.int64)
    return found


def _n_cut(edges: Edges, part: Ints) -> float:
    """Sum over parts of cut / volume."""
    apart, used = part[edges.one] != part[edges.other], part >= 0
    ends = np.concatenate([edges.one[apart], edges.other[apart]])
    cut = sums(part[ends], np.tile(edges.weight[apart], 2), edges.n)
    volume = sums(part[used], edges.degrees[used], edges.n)
    return float((cut[volume > 0] / volume[volume > 0]).sum())
