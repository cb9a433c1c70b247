import time

import networkx as nx
import pytest
import torch

from bimt_core.geometry import line
from bimt_core.modularity import ACTIVE, TRANSFORMS, louvain, methods, weight_graph
from bimt_core.modularity.methods import MOST_EDGES
from bimt_core.modularity.partition import louvain_partition
from bimt_core.networks import MLP, RNN, Transformer
from bimt_core.wiring import Neurons, Wiring, linear

SKIPPING = Wiring(
    tuple(Neurons(name, line(n)) for name, n in (("input", 3), ("gates", 4), ("output", 2))),
    (
        *linear("in", "input", "gates", target_folds=3),
        *linear("again", "gates", "gates", target_folds=3),
        *linear("out", "gates", "output"),
        *linear("skip", "input", "output"),
        *linear("back", "output", "input"),
    ),
)
WIRINGS = {
    "tokens": MLP((4, 6, 5, 3), folds=2, vocabulary=7).wiring,
    "grids": MLP(((4, 4), (3, 3), 5), ring_outputs=True).wiring,
    "transformer": Transformer(2, 2, width=6, heads=2, hidden_width=5).wiring,
    "recurrent": RNN(3, (3, 3), 4).wiring,
    "skipping": SKIPPING,
}


def newman(graph, members):
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
    return network.wiring, network.wiring.tensors(network.initial(torch.Generator().manual_seed(0), torch.float64))


def edges(graph):
    return {tuple(sorted((a, b))): weight for a, b, weight in graph.edges(data="weight")}


def by_name(graph):
    """The graph with nodes as weight graphs have them."""
    return nx.relabel_nodes(graph, lambda node: ("neurons", node))


def test_karate_club_reaches_its_known_maximum():
    graph = by_name(nx.karate_club_graph())
    nx.set_edge_attributes(graph, 1, "weight")
    found = louvain(graph)
    assert found.modularity == pytest.approx(0.4198, abs=1e-3)  # the optimum, Brandes et al. 2008
    assert len(found) == 4


@pytest.mark.parametrize(("cliques", "size"), [(4, 5), (6, 4), (10, 5)])
def test_a_ring_of_cliques_falls_into_its_cliques(cliques, size):
    graph = by_name(nx.ring_of_cliques(cliques, size))
    found = louvain(graph)
    inside = size * (size - 1) / 2
    assert found.modularity == pytest.approx(inside / (inside + 1) - 1 / cliques)
    assert [len(community) for community in found.members] == [size] * cliques
    assert [min(community) for community in found.members] == [("neurons", size * i) for i in range(cliques)]


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_q_is_newmans_for_the_communities_given(transform):
    graph = weight_graph(*one_network(), transform)
    found = louvain(graph)
    assert found.modularity == pytest.approx(newman(graph, found.members))
    assert sorted(node for community in found.members for node in community) == sorted(graph.nodes)
    assert [len(c) for c in found.members] == sorted((len(c) for c in found.members), reverse=True)


def test_more_seeds_are_never_worse():
    graph = weight_graph(*one_network((10, 20, 20, 10)))
    found = [louvain(graph, seeds=n).modularity for n in (1, 3, 10)]
    assert found == sorted(found)
    assert louvain(graph) == louvain(graph)


def test_nothing_connected_is_nothing_found():
    for empty in (nx.Graph(), nx.empty_graph(5)):
        found = louvain(empty)
        assert (found.modularity, found.members, len(found)) == (0.0, (), 0)


def test_a_single_connection_is_one_community():
    graph = nx.Graph()
    graph.add_edge(("input", 0), ("output", 0), weight=0.3)
    found = louvain(graph)
    assert found.modularity == pytest.approx(0.0)
    assert found.members == (frozenset(graph.nodes),)


def test_raw_edges_are_the_sizes_of_active_weights():
    wiring, tensors = one_network((3, 2))
    tensors["weight0"][:] = torch.tensor([[0.5, -ACTIVE, 2.0], [-3.0, 1.01 * ACTIVE, 0.0]], dtype=torch.float64)
    assert edges(weight_graph(wiring, tensors, "raw")) == {
        (("input", 0), ("output", 0)): 0.5,
        (("input", 2), ("output", 0)): 2.0,
        (("input", 0), ("output", 1)): 3.0,
        (("input", 1), ("output", 1)): 1.01 * ACTIVE,
    }


def test_layer_max_divides_each_tensor_by_its_largest_weight():
    wiring, tensors = one_network()
    raw, scaled = (weight_graph(wiring, tensors, transform) for transform in ("raw", "layer_max"))
    assert set(raw.edges) == set(scaled.edges)
    for layer, target in enumerate(("hidden1", "hidden2", "output")):
        largest = tensors[f"weight{layer}"].abs().max().item()
        sized = [
            (raw[a][b]["weight"], scaled[a][b]["weight"])
            for a, b in raw.edges
            if {a[0], b[0]} == {target, wiring.neurons[layer].name}
        ]
        assert sized
        assert all(after == pytest.approx(before / largest) for before, after in sized)
        assert max(after for _, after in sized) == pytest.approx(1.0)


def test_layer_max_is_the_default():
    wiring, tensors = one_network()
    graphs = weight_graph(wiring, tensors), weight_graph(wiring, tensors, "layer_max")
    assert nx.utils.graphs_equal(*graphs)


def test_folds_add_up():
    wiring, tensors = one_network((2, 3), folds=2, vocabulary=4)
    tensors["weight0"][:] = torch.tensor([[1.0, 0, -2, 3], [0, 0, 0, 4], [0, 0, 0, 0]])
    assert edges(weight_graph(wiring, tensors, "raw")) == {
        (("input", 0), ("output", 0)): 3.0,
        (("input", 1), ("output", 0)): 3.0,
        (("input", 1), ("output", 1)): 4.0,
    }
    scaled = weight_graph(wiring, tensors)
    assert scaled["output", 0]["input", 0]["weight"] == 0.75


def test_dead_layers_and_isolated_neurons_are_left_out():
    wiring, tensors = one_network((2, 3, 2))
    tensors["weight0"].zero_()
    tensors["weight1"].zero_()
    assert len(weight_graph(wiring, tensors)) == 0
    tensors["weight1"][1, 2] = -0.25
    graph = weight_graph(wiring, tensors)
    assert set(graph.nodes) == {("output", 1), ("hidden1", 2)}
    assert graph["output", 1]["hidden1", 2]["weight"] == 1.0


def test_an_unknown_transform_is_refused():
    with pytest.raises(ValueError, match="transform must be one of layer_max, raw, squared, binary, got 'cubed'"):
        weight_graph(*one_network(), "cubed")


def sparse(wiring):
    """Tensors of which a third of the entries is 0."""
    generator = torch.Generator().manual_seed(0)
    flat = torch.randn(wiring.n_parameters, generator=generator)
    return wiring.tensors(flat * (torch.rand(flat.shape, generator=generator) < 0.67))


def slow_edges(wiring, tensors, transform):
    """Summed strength of every two neurons that are connected, an entry at a time."""
    found = {}
    for wire in wiring.weights:
        (target, source), rows = wire.ends, tensors[wire.tensor].tolist()
        largest = max(abs(w) for row in rows for w in row)
        strength = {"raw": abs, "layer_max": lambda w: abs(w) / largest, "squared": lambda w: w * w, "binary": bool}  # noqa: B023
        for i, row in enumerate(rows):
            for j, w in enumerate(row):
                ends = (
                    (target.neurons, i % len(wiring[target.neurons])),
                    (source.neurons, j % len(wiring[source.neurons])),
                )
                if abs(w) > ACTIVE and ends[0] != ends[1]:
                    pair = tuple(sorted(ends))
                    found[pair] = found.get(pair, 0.0) + strength[transform](w)
    return found


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", WIRINGS)
def test_an_edge_is_the_sum_of_all_weights_between_two_neurons(name, transform):
    wiring = WIRINGS[name]
    tensors = sparse(wiring)
    assert edges(weight_graph(wiring, tensors, transform)) == pytest.approx(slow_edges(wiring, tensors, transform))


def test_tensors_between_the_same_neurons_add_up():
    wiring = Transformer(1, 1, width=2, blocks=2, hidden_width=2).wiring
    tensors = wiring.tensors(torch.zeros(wiring.n_parameters))
    tensors["expand1.weight"][1, 0] = 2.0  # residual 0 to hidden 1
    tensors["contract1.weight"][0, 1] = -0.5  # and back
    tensors["expand2.weight"][1, 0] = 4.0  # another set of neurons
    assert edges(weight_graph(wiring, tensors, "raw")) == {
        (("hidden1", 1), ("residual", 0)): 2.5,
        (("hidden2", 1), ("residual", 0)): 4.0,
    }
    assert weight_graph(wiring, tensors)["hidden1", 1]["residual", 0]["weight"] == 2.0  # each tensor's largest is 1


def test_both_directions_add_up_and_a_neuron_is_not_tied_to_itself():
    wiring = RNN(1, (1, 3), 1).wiring
    tensors = wiring.tensors(torch.zeros(wiring.n_parameters))
    tensors["recurrent"][:] = torch.tensor([[9.0, 1.0, 0.0], [-2.0, 0.0, 0.0], [0.0, 0.0, 5.0]])
    assert edges(weight_graph(wiring, tensors, "raw")) == {(("hidden", 0), ("hidden", 1)): 3.0}
    scaled = weight_graph(wiring, tensors)  # the largest weight is one of those to itself
    assert edges(scaled) == {(("hidden", 0), ("hidden", 1)): pytest.approx(3 / 9)}


def test_a_large_graph_has_fewer_runs(monkeypatch):
    graph, seeds = weight_graph(*one_network((10, 20, 20, 10))), []

    def counted(edges, seed):
        seeds.append(seed)
        return louvain_partition(edges, seed)

    monkeypatch.setattr(methods, "louvain_partition", counted)
    for most, runs in ((MOST_EDGES, 10), (4 * graph.number_of_edges() - 1, 3), (1, 1)):
        monkeypatch.setattr(methods, "MOST_EDGES", most)
        louvain(graph)
        assert seeds == list(range(runs))
        seeds.clear()


def test_the_largest_published_network_takes_seconds():
    wiring = MLP(((28, 28), (10, 10), (10, 10), 10), ring_outputs=True).wiring
    tensors = wiring.tensors(torch.randn(wiring.n_parameters))
    start = time.process_time()
    graph = weight_graph(wiring, tensors)
    assert graph.number_of_edges() > 88_000
    assert louvain(graph).modularity > 0
    assert time.process_time() - start < 5  # a tenth of it is enough; networkx takes 3 s a run, of which there were 10


def test_communities_of_a_size_stand_in_order_of_their_first_neuron():
    graph = nx.Graph()
    for place in (3, 1, 2, 0):
        graph.add_edge(("output", place), ("input", place), weight=1.0)
    assert [min(community) for community in louvain(graph).members] == [("input", place) for place in range(4)]


def test_an_edge_from_a_node_to_itself_counts_in_any_graph():
    graph = by_name(nx.path_graph(6))
    graph.add_edge(("neurons", 0), ("neurons", 0), weight=5.0)
    found = louvain(graph)
    assert found.modularity == pytest.approx(nx.community.modularity(graph, found.members))
    assert found.modularity == pytest.approx(
        nx.community.modularity(graph, nx.community.louvain_communities(graph, seed=0))
    )
