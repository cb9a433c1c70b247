import networkx as nx
import numpy as np
import pytest
import torch

from bimt_core.modularity import METHODS, TRANSFORMS, communities, louvain, methods, weight_graph
from bimt_core.modularity.methods import MOST_EDGES
from bimt_core.modularity.partition import louvain_partition
from bimt_core.networks import MLP


def naive_modularity(graph, members):
    """Q = sum over communities of [W_c / m - (k_c / 2m)^2], edge by edge."""
    total = sum(w for _, _, w in graph.edges(data="weight", default=1))
    q = 0.0
    for community in members:
        inside = sum(w for a, b, w in graph.edges(data="weight", default=1) if a in community and b in community)
        degree = sum(w * ((a in community) + (b in community)) for a, b, w in graph.edges(data="weight", default=1))
        q += inside / total - (degree / (2 * total)) ** 2
    return q


def one_network(shape=(4, 6, 5, 3), **options):
    network = MLP(shape, **options)
    return network.wiring, network.wiring.tensors(
        network.initial_parameters(torch.Generator().manual_seed(0), torch.float64)
    )


def as_weight_graph(graph):
    """Renames the nodes to (set of neurons, place)."""
    return nx.relabel_nodes(graph, lambda node: ("neurons", node))


def test_karate_club_reaches_the_known_optimum():
    graph = as_weight_graph(nx.karate_club_graph())
    nx.set_edge_attributes(graph, 1, "weight")
    found = louvain(graph)
    assert found.modularity == pytest.approx(0.4198, abs=1e-3)  # the optimum, Brandes et al. 2008
    assert len(found) == 4


@pytest.mark.parametrize(("cliques", "size"), [(4, 5), (6, 4), (10, 5)])
def test_communities_of_a_ring_of_cliques_are_the_cliques(cliques, size):
    graph = as_weight_graph(nx.ring_of_cliques(cliques, size))
    found = louvain(graph)
    inside = size * (size - 1) / 2
    assert found.modularity == pytest.approx(inside / (inside + 1) - 1 / cliques)
    assert [len(community) for community in found.members] == [size] * cliques
    assert [min(community) for community in found.members] == [("neurons", size * i) for i in range(cliques)]


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_modularity_matches_a_loop_over_edges(transform):
    graph = weight_graph(*one_network(), transform)
    found = louvain(graph)
    assert found.modularity == pytest.approx(naive_modularity(graph, found.members))
    assert sorted(node for community in found.members for node in community) == sorted(graph.nodes)
    assert [len(c) for c in found.members] == sorted((len(c) for c in found.members), reverse=True)


def test_more_seeds_are_never_worse():
    graph = weight_graph(*one_network((10, 20, 20, 10)))
    found = [louvain(graph, seeds=n).modularity for n in (1, 3, 10)]
    assert found == sorted(found)
    assert louvain(graph) == louvain(graph)


def test_graph_without_edges_has_no_communities():
    for empty in (nx.Graph(), nx.empty_graph(5)):
        found = louvain(empty)
        assert (found.modularity, found.members, len(found)) == (0.0, (), 0)


def test_single_edge_is_one_community():
    graph = nx.Graph()
    graph.add_edge(("input", 0), ("output", 0), weight=0.3)
    found = louvain(graph)
    assert found.modularity == pytest.approx(0.0)
    assert found.members == (frozenset(graph.nodes),)


def test_large_graphs_have_fewer_runs(monkeypatch):
    graph, seeds = weight_graph(*one_network((10, 20, 20, 10))), []

    def count_run(edges, seed):
        seeds.append(seed)
        return louvain_partition(edges, seed)

    monkeypatch.setattr(methods, "louvain_partition", count_run)
    for most, runs in ((MOST_EDGES, 10), (4 * graph.number_of_edges() - 1, 3), (1, 1)):
        monkeypatch.setattr(methods, "MOST_EDGES", most)
        louvain(graph)
        assert seeds == list(range(runs))
        seeds.clear()


def test_the_largest_published_network_has_communities():
    wiring = MLP(((28, 28), (10, 10), (10, 10), 10), ring_outputs=True).wiring
    tensors = wiring.tensors(torch.randn(wiring.n_parameters))
    graph = weight_graph(wiring, tensors)
    assert graph.number_of_edges() > 88_000
    assert louvain(graph).modularity > 0


def test_communities_of_equal_size_are_in_order_of_their_first_neuron():
    graph = nx.Graph()
    for place in (3, 1, 2, 0):
        graph.add_edge(("output", place), ("input", place), weight=1.0)
    assert [min(community) for community in louvain(graph).members] == [("input", place) for place in range(4)]


def test_loops_count():
    graph = as_weight_graph(nx.path_graph(6))
    graph.add_edge(("neurons", 0), ("neurons", 0), weight=5.0)
    found = louvain(graph)
    assert found.modularity == pytest.approx(nx.community.modularity(graph, found.members))
    assert found.modularity == pytest.approx(
        nx.community.modularity(graph, nx.community.louvain_communities(graph, seed=0))
    )


def example(name):
    """Graphs with known communities."""
    if name == "karate club":
        return as_weight_graph(nx.karate_club_graph())
    if name == "ring of cliques":
        return as_weight_graph(nx.ring_of_cliques(6, 5))
    return as_weight_graph(nx.planted_partition_graph(4, 16, 0.8, 0.03, seed=1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["ring of cliques", "planted"])
def test_planted_communities_are_found(name, method):
    found = communities(example(name), method)
    size, n = (5, 6) if name == "ring of cliques" else (16, 4)
    planted = [frozenset(("neurons", size * i + j) for j in range(size)) for i in range(n)]
    assert list(found.members) == planted


@pytest.mark.parametrize("method", METHODS)
def test_modularity_of_every_method_matches_networkx(method):
    for graph in (example("karate club"), weight_graph(*one_network((6, 12, 12, 3))), nx.Graph([(("a", 0), ("b", 0))])):
        found = communities(graph, method)
        assert found.modularity == pytest.approx(nx.community.modularity(graph, found.members), abs=1e-12)
        assert sorted(node for community in found.members for node in community) == sorted(graph)


def test_cnm_matches_networkx():
    graph = weight_graph(*one_network((6, 12, 12, 3)))
    assert set(communities(graph, "cnm").members) == set(
        nx.community.greedy_modularity_communities(graph, weight="weight")
    )


@pytest.mark.parametrize("method", METHODS)
def test_small_and_disconnected_graphs(method):
    single, halves = (
        as_weight_graph(nx.path_graph(2)),
        as_weight_graph(nx.disjoint_union(nx.complete_graph(4), nx.complete_graph(4))),
    )
    apart = as_weight_graph(nx.Graph([(0, 1), (2, 3), (4, 5)]))
    for graph, q, n in ((nx.Graph(), 0, 0), (single, 0, 1), (halves, 0.5, 2), (apart, 2 / 3, 3)):
        found = communities(graph, method)
        assert (found.modularity, len(found)) == (pytest.approx(q, abs=1e-12), n)


@pytest.mark.parametrize("method", METHODS)
def test_graph_with_zero_weights_has_no_communities(method):
    graph = as_weight_graph(nx.path_graph(4))
    nx.set_edge_attributes(graph, 0.0, "weight")
    assert len(communities(graph, method)) == 0


@pytest.mark.parametrize("weight", [-0.5, np.nan, np.inf])
def test_invalid_edge_weights_raise(weight):
    graph = as_weight_graph(nx.path_graph(4))
    graph["neurons", 1]["neurons", 2]["weight"] = weight
    with pytest.raises(ValueError, match=f"^weights of edges must be at least 0 and finite, got {weight}$"):
        communities(graph)


def test_unknown_method_and_no_seeds_raise():
    with pytest.raises(ValueError, match=r"^method must be one of louvain, newman, cnm, got 'leiden'$"):
        communities(nx.path_graph(3), "leiden")
    with pytest.raises(ValueError, match=r"^seeds must be at least 1, got 0$"):
        communities(nx.path_graph(3), seeds=0)
