import networkx as nx
import numpy as np
import pytest

from bimt_core.modularity import partition
from bimt_core.modularity.partition import Edges, louvain_partition, sum_by_key


def to_edges(graph: nx.Graph) -> Edges:
    """Edges between the indices of the graph's nodes, in the order of its edges."""
    number = {node: i for i, node in enumerate(graph)}
    rows = [(number[a], number[b], weight) for a, b, weight in graph.edges(data="weight", default=1)]
    one, other, weight = zip(*rows, strict=True)
    return Edges(len(graph), np.array(one), np.array(other), np.array(weight, dtype=float))


def random_graph(n: int, density: float, seed: int, *, loops: bool = False) -> nx.Graph:
    """A random weighted graph in which some nodes have no edge."""
    random = np.random.default_rng(seed)
    graph = nx.empty_graph(n)
    for a in range(n):
        for b in range(a if loops else a + 1, n):
            if random.random() < density:
                graph.add_edge(*random.permutation([a, b]).tolist(), weight=random.exponential())
    return graph


GRAPHS = {
    "karate club": nx.karate_club_graph(),
    "ring of cliques, with ties": nx.ring_of_cliques(8, 4),
    "unweighted": nx.gnm_random_graph(60, 150, seed=1),
    "two components": nx.disjoint_union(nx.cycle_graph(7), nx.path_graph(6)),
    "sparse": random_graph(80, 0.04, 0),
    "dense": random_graph(40, 0.9, 1),
    "loops": random_graph(50, 0.1, 2, loops=True),
    "layers": nx.compose(nx.complete_multipartite_graph(6, 20, 20, 2), random_graph(48, 0.05, 3)),
    "one edge": nx.path_graph(2),
}


def communities(graph: nx.Graph, community: np.ndarray) -> set[frozenset[int]]:
    nodes = np.array(list(graph))
    return {frozenset(nodes[community == i].tolist()) for i in range(community.max() + 1)}


@pytest.mark.parametrize("many", [0, 10_000], ids=["arrays", "loops"])
@pytest.mark.parametrize("name", GRAPHS)
def test_partitions_match_networkx(name: str, many: int, monkeypatch) -> None:
    monkeypatch.setattr(partition, "MANY_NEIGHBOURS", many)
    graph = GRAPHS[name]
    edges = to_edges(graph)
    for seed in range(20):
        found = louvain_partition(edges, seed)
        expected = nx.community.louvain_communities(graph, seed=seed)
        assert communities(graph, found) == set(map(frozenset, expected))
        assert edges.modularity(found) == pytest.approx(nx.community.modularity(graph, expected), abs=1e-12)


@pytest.mark.parametrize("name", GRAPHS)
def test_degrees_and_total_match_networkx(name: str) -> None:
    graph, edges = GRAPHS[name], to_edges(GRAPHS[name])
    np.testing.assert_allclose(edges.degrees, [degree for _, degree in graph.degree(weight="weight")])
    assert edges.total == pytest.approx(graph.size(weight="weight"))


def test_graph_without_weight_has_modularity_0() -> None:
    for n, weight in ((0, []), (2, [0.0])):
        ends = np.arange(len(weight))
        assert Edges(n, ends, ends + 1, np.array(weight)).modularity(np.zeros(n, dtype=int)) == 0


def test_seed_decides_the_partition() -> None:
    edges = to_edges(GRAPHS["unweighted"])
    found = [louvain_partition(edges, seed).tolist() for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_sums_by_key_are_in_order_of_first_occurrence() -> None:
    first, sums = sum_by_key(np.array([7, 2, 7, 9, 2]), np.array([1.0, 2.0, 4.0, 8.0, 16.0]))
    assert first.tolist() == [0, 1, 3]
    assert sums.tolist() == [5.0, 18.0, 8.0]
