import networkx as nx
import numpy as np
import pytest
import torch
from sklearn.cluster import SpectralClustering

from bimt_core.modularity import cut, louvain, normalised_cut, weight_graph
from bimt_core.networks import MLP


def as_weight_graph(graph):
    return nx.relabel_nodes(graph, lambda node: ("neurons", node))


def planted(n=4, size=16, seed=1):
    graph = as_weight_graph(nx.planted_partition_graph(n, size, 0.8, 0.05, seed=seed))
    random = np.random.default_rng(seed)
    for a, b in graph.edges:
        graph[a][b]["weight"] = random.uniform(0.5, 2)
    return graph


def naive_cut(graph, members):
    """Sum over parts of cut / volume, edge by edge."""
    total = 0.0
    for part in members:
        leaving = sum(w for a, b, w in graph.edges(data="weight", default=1) if (a in part) != (b in part))
        total += leaving / sum(degree for _, degree in graph.degree(part, weight="weight"))
    return total


@pytest.mark.parametrize("most_dense", [1000, 0], ids=["dense", "sparse"])
@pytest.mark.parametrize("k", [2, 3, 4, 7])
def test_parts_and_cut_match_scikit_learn_and_loops(k, most_dense, monkeypatch):
    monkeypatch.setattr(cut, "MOST_DENSE", most_dense)
    graph = planted()
    found = normalised_cut(graph, k)
    assert len(found) == k
    assert found.n_cut == pytest.approx(naive_cut(graph, found.members))
    if k == 4:
        labels = SpectralClustering(4, affinity="precomputed", random_state=0).fit_predict(nx.to_numpy_array(graph))
        nodes = np.array(list(graph), dtype=object)
        assert set(found.members) == {frozenset(map(tuple, nodes[labels == i].tolist())) for i in range(4)}
        assert found.members == louvain(graph).members


@pytest.mark.parametrize("most_dense", [1000, 0], ids=["dense", "sparse"])
def test_eigenvectors_are_those_of_the_random_walk(most_dense, monkeypatch):
    monkeypatch.setattr(cut, "MOST_DENSE", most_dense)
    weights = nx.to_scipy_sparse_array(planted(), weight="weight", format="csr")
    degrees = weights.sum(1)
    vectors = cut._eigenvectors(weights, degrees, 4)
    product = weights @ vectors / degrees[:, None]
    values = (vectors * product).sum(0) / (vectors**2).sum(0)
    np.testing.assert_allclose(product, values * vectors, atol=1e-10)
    np.testing.assert_allclose(np.sort(values), np.sort(np.linalg.eigvals(weights.toarray() / degrees[:, None]))[-4:])


def test_cut_of_two_parts_matches_networkx():
    graph = planted(n=2)
    found = normalised_cut(graph, 2)
    assert found.n_cut == pytest.approx(nx.normalized_cut_size(graph, found.members[0], weight="weight"))


def test_default_number_of_parts_is_that_of_communities():
    graph = planted(3)
    assert normalised_cut(graph).members == louvain(graph).members


def test_connected_components_have_cut_0():
    graph = as_weight_graph(nx.disjoint_union_all([nx.complete_graph(n) for n in (3, 4, 5)]))
    found = normalised_cut(graph)
    assert found.n_cut == 0.0
    assert [len(part) for part in found.members] == [5, 4, 3]


def test_one_part_and_one_part_per_node():
    graph = planted(2, 5)
    assert normalised_cut(graph, 1).n_cut == 0.0
    assert normalised_cut(graph, 10).n_cut == pytest.approx(10)  # every edge leaves its part


def test_cut_is_deterministic():
    network = MLP((4, 20, 20, 2))
    graph = weight_graph(
        network.wiring,
        network.wiring.tensors(network.initial_parameters(torch.Generator().manual_seed(0), torch.float32)),
    )
    assert normalised_cut(graph, 3) == normalised_cut(graph, 3)


def test_nodes_without_edges_are_left_out():
    graph = planted(2, 5)
    expected = normalised_cut(graph, 2)
    graph.add_node(("neurons", 99))
    assert normalised_cut(graph, 2) == expected


def test_identical_nodes_share_a_part():
    graph = as_weight_graph(nx.complete_bipartite_graph(1, 6))
    assert len(normalised_cut(graph, 3)) <= 3  # without a warning from k-means


def test_graph_without_edges_has_no_parts():
    for empty in (nx.Graph(), nx.empty_graph(3)):
        found = normalised_cut(empty)
        assert (found.n_cut, found.members) == (0.0, ())


@pytest.mark.parametrize("k", [0, 11, -1])
def test_invalid_number_of_parts_raises(k):
    with pytest.raises(ValueError, match=f"^k must be between 1 and the 10 nodes that have an edge, got {k}$"):
        normalised_cut(planted(2, 5), k)
