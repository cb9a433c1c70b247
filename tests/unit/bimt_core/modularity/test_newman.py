from random import Random

import igraph
import networkx as nx
import numpy as np
import pytest

from bimt_core.modularity import newman
from bimt_core.modularity.graph import to_edges
from bimt_core.modularity.newman import newman_partition
from bimt_core.modularity.partition import Edges


def random_graph(seed: int, *, loops: bool = False) -> Edges:
    """A weighted random graph of 3 to 60 nodes; every node has an edge."""
    random = np.random.default_rng(seed)
    n, density = random.integers(3, 60), random.uniform(0.1 if loops else 0.03, 0.5)
    one, other = np.triu(random.random((n, n)) < density, 0 if loops else 1).nonzero()
    nodes, ends = np.unique(np.concatenate([one, other]), return_inverse=True)
    return Edges(len(nodes), ends[: len(one)], ends[len(one) :], random.exponential(size=len(one)))


RANDOM = [edges for seed in range(100) if len(edges := random_graph(seed))]
LARGER = [edges for edges in RANDOM if edges.n >= 8]  # on a path of 4 nodes igraph's ARPACK does not always converge


def to_igraph(edges: Edges) -> igraph.Graph:
    graph = igraph.Graph(edges.n, np.stack([edges.one, edges.other], 1).tolist())
    graph.es["weight"] = edges.weight.tolist()
    return graph


def igraph_modularity(edges: Edges) -> float:
    """Modularity by igraph's leading eigenvector method, whose ARPACK starts from a random vector."""
    igraph.set_random_number_generator(Random(0))
    return to_igraph(edges).community_leading_eigenvector(weights="weight").modularity


def modularity_of(edges: Edges, *, fine_tune: bool) -> float:
    return edges.modularity(newman._partition(newman._Groups(edges), fine_tune=fine_tune))


def unweighted(graph: nx.Graph) -> Edges:
    nx.set_edge_attributes(graph, 1.0, "weight")
    return to_edges(graph)


def test_karate_club_has_the_published_modularity():
    edges = unweighted(nx.karate_club_graph())
    found = newman_partition(edges)
    assert edges.modularity(found) == pytest.approx(0.419, abs=5e-4)  # Newman 2006, table 1
    assert found.max() == 3
    assert modularity_of(edges, fine_tune=False) == pytest.approx(0.393, abs=5e-4)  # the same without fine-tuning


def test_modularity_is_at_least_that_of_igraph_which_does_not_fine_tune():
    for edges in LARGER:
        assert edges.modularity(newman_partition(edges)) >= igraph_modularity(edges) - 1e-9


def test_fine_tuning_gains_on_most_graphs_and_never_loses():
    plain = np.array([modularity_of(edges, fine_tune=False) for edges in RANDOM])
    found = np.array([edges.modularity(newman_partition(edges)) for edges in RANDOM])
    assert (found >= plain - 1e-12).all()
    assert (found > plain + 1e-3).mean() > 0.5


def test_groups_are_built_once(monkeypatch):
    built = []
    groups = newman._Groups
    monkeypatch.setattr(newman, "_Groups", lambda edges: built.append(edges) or groups(edges))
    newman_partition(RANDOM[0])
    assert built == [RANDOM[0]]


def test_without_an_effect_of_fine_tuning_the_modularity_is_mostly_that_of_igraph():
    same = [
        edges
        for edges in LARGER
        if abs(modularity_of(edges, fine_tune=True) - modularity_of(edges, fine_tune=False)) < 1e-12
    ]
    assert len(same) > 5
    theirs = [igraph_modularity(edges) for edges in same]
    ours = [edges.modularity(newman_partition(edges)) for edges in same]
    agreeing = np.isclose(ours, theirs, atol=1e-9)
    assert agreeing.mean() > 0.8  # igraph leaves some groups whole that gain a little from a division


@pytest.mark.parametrize("seed", range(20))
def test_modularity_of_a_partition_matches_igraph_and_networkx(seed):
    edges = random_graph(seed + 200, loops=True)
    found = newman_partition(edges)
    theirs = to_igraph(edges).modularity(found.tolist(), weights="weight")
    graph = nx.Graph()
    graph.add_nodes_from(range(edges.n))
    graph.add_weighted_edges_from(zip(edges.one.tolist(), edges.other.tolist(), edges.weight.tolist(), strict=True))
    members = [set((found == c).nonzero()[0].tolist()) for c in range(found.max() + 1)]
    q = edges.modularity(found)
    assert q == pytest.approx(theirs, abs=1e-12)
    assert q == pytest.approx(nx.community.modularity(graph, members), abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_sparse_matrices_give_the_same_modularity(seed, monkeypatch):
    edges = random_graph(seed, loops=seed % 2 == 0)
    dense = [modularity_of(edges, fine_tune=fine_tune) for fine_tune in (True, False)]
    monkeypatch.setattr(newman, "MOST_DENSE", 4)
    assert [modularity_of(edges, fine_tune=fine_tune) for fine_tune in (True, False)] == pytest.approx(dense, abs=1e-9)


def test_a_graph_of_more_than_a_thousand_nodes_is_divided():
    graph = nx.planted_partition_graph(4, 300, 0.05, 0.001, seed=0)
    found = newman_partition(unweighted(graph))
    assert [len(set(found[300 * i : 300 * i + 300].tolist())) for i in range(4)] == [1] * 4
    assert found.max() == 3


@pytest.mark.parametrize("sparse", [False, True])
def test_matrix_matches_its_definition(sparse, monkeypatch):
    """B^(g) = B_g - diag(row sums of B_g), entry by entry."""
    edges = random_graph(7, loops=True)
    monkeypatch.setattr(newman, "MOST_DENSE", 0 if sparse else 1000)
    weights = np.zeros((edges.n, edges.n))
    for a, b, w in zip(edges.one, edges.other, edges.weight, strict=True):
        weights[a, b] += w
        weights[b, a] += w
    degrees = weights.sum(1)
    nodes = np.arange(0, edges.n, 2)
    inside = (weights - np.outer(degrees, degrees) / degrees.sum())[np.ix_(nodes, nodes)]
    expected = inside - np.diag(inside.sum(1))
    group = newman._Groups(edges)[nodes]
    np.testing.assert_allclose([group.multiply(unit) for unit in np.eye(len(nodes))], expected, atol=1e-12)
    columns = [group.column(i) for i in range(len(nodes))] - np.diag(group.shift)
    np.testing.assert_allclose(columns, expected, atol=1e-12)
    np.testing.assert_allclose(group.diagonal, np.diag(expected), atol=1e-12)
    assert group.leading_eigenpair[0] == pytest.approx(np.linalg.eigvalsh(expected)[-1])
