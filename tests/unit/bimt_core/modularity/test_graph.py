import networkx as nx
import pytest
import torch

from bimt_core.geometry import line
from bimt_core.modularity import TRANSFORMS, weight_graph
from bimt_core.networks import MLP, RNN, Transformer
from bimt_core.wiring import ACTIVE, Neurons, Wiring, linear_wires

SKIPPING = Wiring(
    tuple(Neurons(name, line(n)) for name, n in (("input", 3), ("gates", 4), ("output", 2))),
    (
        *linear_wires("in", "input", "gates", target_folds=3),
        *linear_wires("again", "gates", "gates", target_folds=3),
        *linear_wires("out", "gates", "output"),
        *linear_wires("skip", "input", "output"),
        *linear_wires("back", "output", "input"),
    ),
)


WIRINGS = {
    "tokens": MLP((4, 6, 5, 3), folds=2, vocabulary=7).wiring,
    "grids": MLP(((4, 4), (3, 3), 5), ring_outputs=True).wiring,
    "transformer": Transformer(2, 2, width=6, heads=2, hidden_width=5).wiring,
    "recurrent": RNN(3, (3, 3), 4).wiring,
    "skipping": SKIPPING,
}


def one_network(shape=(4, 6, 5, 3), **options):
    network = MLP(shape, **options)
    return network.wiring, network.wiring.tensors(
        network.initial_parameters(torch.Generator().manual_seed(0), torch.float64)
    )


def edges(graph):
    return {tuple(sorted((a, b))): weight for a, b, weight in graph.edges(data="weight")}


def test_raw_edges_are_absolute_active_weights():
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
        pairs = [
            (raw[a][b]["weight"], scaled[a][b]["weight"])
            for a, b in raw.edges
            if {a[0], b[0]} == {target, wiring.neurons[layer].name}
        ]
        assert pairs
        assert all(after == pytest.approx(before / largest) for before, after in pairs)
        assert max(after for _, after in pairs) == pytest.approx(1.0)


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


def test_layers_of_zeros_and_isolated_neurons_are_left_out():
    wiring, tensors = one_network((2, 3, 2))
    tensors["weight0"].zero_()
    tensors["weight1"].zero_()
    assert len(weight_graph(wiring, tensors)) == 0
    tensors["weight1"][1, 2] = -0.25
    graph = weight_graph(wiring, tensors)
    assert set(graph.nodes) == {("output", 1), ("hidden1", 2)}
    assert graph["output", 1]["hidden1", 2]["weight"] == 1.0


def test_unknown_transform_raises():
    with pytest.raises(ValueError, match="transform must be one of layer_max, raw, squared, binary, got 'cubed'"):
        weight_graph(*one_network(), "cubed")


def sparse_tensors(wiring):
    """Tensors with a third of the entries 0."""
    generator = torch.Generator().manual_seed(0)
    flat = torch.randn(wiring.n_parameters, generator=generator)
    return wiring.tensors(flat * (torch.rand(flat.shape, generator=generator) < 0.67))


def naive_edges(wiring, tensors, transform):
    """Summed strength between every two connected neurons, entry by entry."""
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
def test_edges_match_loops_over_entries(name, transform):
    wiring = WIRINGS[name]
    tensors = sparse_tensors(wiring)
    assert edges(weight_graph(wiring, tensors, transform)) == pytest.approx(naive_edges(wiring, tensors, transform))


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


def test_both_directions_add_up_and_loops_are_left_out():
    wiring = RNN(1, (1, 3), 1).wiring
    tensors = wiring.tensors(torch.zeros(wiring.n_parameters))
    tensors["recurrent"][:] = torch.tensor([[9.0, 1.0, 0.0], [-2.0, 0.0, 0.0], [0.0, 0.0, 5.0]])
    assert edges(weight_graph(wiring, tensors, "raw")) == {(("hidden", 0), ("hidden", 1)): 3.0}
    scaled = weight_graph(wiring, tensors)  # the largest weight is a loop
    assert edges(scaled) == {(("hidden", 0), ("hidden", 1)): pytest.approx(3 / 9)}


@pytest.mark.parametrize(
    ("transform", "expected"),
    [("squared", {0: 0.25, 1: 16.0}), ("binary", {0: 1.0, 1: 2.0})],
    ids=["squared", "binary"],
)
def test_squared_and_binary_strengths_add_up_over_folds(transform, expected):
    wiring, tensors = one_network((2, 1), folds=2, vocabulary=3)
    tensors["weight0"][:] = torch.tensor([[0.5, 0.0, 0.0, -4.0]])
    tensors["weight0"][0, 1] = 0.01 if transform == "binary" else 0.0
    found = edges(weight_graph(wiring, tensors, transform))
    assert found == {(("input", place), ("output", 0)): pytest.approx(value) for place, value in expected.items()}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_weights_above_the_threshold_are_active(transform):
    wiring, tensors = one_network((3, 1))
    tensors["weight0"][:] = torch.tensor([[0.5, -0.25, 0.0]])
    for threshold, places in ((0.0, {0, 1}), (0.2, {0, 1}), (0.25, {0}), (0.5, set())):
        graph = weight_graph(wiring, tensors, transform, threshold=threshold)
        assert {place for name, place in graph if name == "input"} == places


def test_embeddings_and_biases_connect_no_neurons():
    wiring, tensors = one_network((2, 3), folds=2, vocabulary=4)
    before = edges(weight_graph(wiring, tensors))
    tensors["embedding"].mul_(100)
    tensors["bias0"].fill_(torch.nan)  # nor do biases
    assert edges(weight_graph(wiring, tensors)) == before


@pytest.mark.parametrize("threshold", [-1e-9, float("inf"), float("nan")])
def test_invalid_threshold_raises(threshold):
    with pytest.raises(ValueError, match=f"^threshold must be at least 0 and finite, got {threshold}$"):
        weight_graph(*one_network(), threshold=threshold)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_not_finite_raise(value):
    wiring, tensors = one_network()
    tensors["weight1"][2, 3] = value
    with pytest.raises(ValueError, match=f"^weights must be finite, tensor 'weight1' has {abs(value)}$"):
        weight_graph(wiring, tensors)
