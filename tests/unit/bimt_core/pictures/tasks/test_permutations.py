from itertools import permutations, product

import networkx as nx
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from bimt_core.pictures import plot_cayley_graph, plot_strips
from bimt_core.pictures.tasks.permutations import EVEN, ODD, _find_edges, _sign, parse_permutations
from bimt_core.tasks import load_task

S4 = list(permutations(range(4)))


def test_signs_are_determinants():
    for element in S4:
        assert _sign(element) == round(np.linalg.det(np.eye(4)[list(element)]))


def test_names_are_parsed():
    assert parse_permutations(["10 odd", "01 even"]) == [(1, 0), (0, 1)]
    for names in (["01", "01"], ["01", "x"], ["0", "1"], ["01", "012"], ["02", "20"], [str(i) for i in range(59)]):
        assert parse_permutations(names) == []
    assert parse_permutations(load_task("permutation_s4").output_names) == S4


def test_the_graph_is_the_truncated_octahedron():
    exchanges, cycles = _find_edges(S4)
    assert (len(exchanges), len(cycles)) == (12, 24)
    graph = nx.Graph(exchanges + cycles)
    assert {degree for _, degree in graph.degree} == {3}
    assert nx.is_isomorphic(graph, nx.truncated_tetrahedron_graph()) is False
    corners = [p for p in product((-2, -1, 0, 1, 2), repeat=3) if sorted(map(abs, p)) == [0, 1, 2]]
    near = [(a, b) for a, b in product(corners, corners) if np.square(np.subtract(a, b)).sum() == 2]
    assert nx.is_isomorphic(graph, nx.Graph(near))


def only_neuron(sparse, place, column):
    """Makes a network that reads one embedding neuron."""
    task = load_task("permutation_s4")
    population = sparse(task)
    population.tensors["weight0"][0, :, [p for p in range(64) if p % 32 != place]] = 0.0
    population.tensors["weight0"][0, 0, place] = 1.0
    population.tensors["embedding"][0, :, place] = column
    return task, population


def test_a_strip_has_the_values_of_even_and_then_of_odd_tokens(sparse, read_texts):
    column = torch.arange(24.0, dtype=torch.float64)
    task, population = only_neuron(sparse, 6, column)
    figure = plot_strips(population, task)
    (axes,) = figure.axes
    (dots,) = (artist for artist in axes.collections if artist.get_gid() == "neuron6")
    colours, values = [to_hex(c) for c in dots.get_facecolors()], np.asarray(dots.get_offsets())[:, 1]
    assert colours == [EVEN] * 12 + [ODD] * 12
    assert values.tolist() == [i for s in (1, -1) for i, element in enumerate(S4) if _sign(element) == s]
    assert "neuron 7" in read_texts(figure)
    ticks = [text.get_text() for text in axes.get_xticklabels()]
    assert ticks == ["".join(map(str, S4[int(i)])) for i in values]


def test_strips_of_other_tokens_are_in_their_order(sparse):
    task = load_task("modular_addition")
    figure = plot_strips(sparse(task), task, most=3)
    assert len(figure.axes) == 3 and len(figure.axes[0].collections[-1].get_offsets()) == 59


def test_strongest_neurons_come_first(sparse):
    task, population = only_neuron(sparse, 6, torch.arange(24.0, dtype=torch.float64))
    population.tensors["weight0"][0, 1, 32 + 9] = 1.0
    population.tensors["embedding"][0, :, 9] = 3 * torch.arange(24.0)
    gids = [axes.collections[-1].get_gid() for axes in plot_strips(population, task).axes]
    assert gids == ["neuron9", "neuron6"]


def test_nodes_have_the_colour_of_parity_and_of_values(sparse):
    parity = torch.tensor([float(_sign(element)) for element in S4], dtype=torch.float64)
    task, population = only_neuron(sparse, 2, parity)
    figure = plot_cayley_graph(population, task)
    by_name = {artist.get_gid(): artist for axes in figure.axes for artist in axes.collections}
    moves = [artist for artist in figure.axes[0].collections if artist.get_gid() == "moves"]
    del by_name["moves"]
    assert set(by_name) == {"parity", "neuron2"}
    assert [to_hex(c) for c in by_name["parity"].get_facecolors()] == [EVEN if p > 0 else ODD for p in parity]
    colours = {to_hex(c) for c in by_name["neuron2"].get_facecolors()}
    assert len(colours) == 2
    np.testing.assert_allclose(by_name["parity"].get_offsets(), by_name["neuron2"].get_offsets())
    assert [len(lines.get_segments()) for lines in moves] == [12, 24]
    ends = {tuple(np.round(end, 9)) for lines in moves for ends in lines.get_segments() for end in ends}
    assert ends == {tuple(np.round(at, 9)) for at in np.asarray(by_name["parity"].get_offsets())}
    assert [text.get_text() for text in figure.axes[0].texts] == ["".join(map(str, p)) for p in S4]


@pytest.mark.parametrize("plot", [plot_strips, plot_cayley_graph])
@pytest.mark.parametrize(("value", "message"), [(torch.nan, "weights not finite"), (0.0, "no active weight")])
def test_networks_that_cannot_be_drawn_have_a_message(sparse, read_texts, plot, value, message):
    task = load_task("permutation_s4")
    population = sparse(task)
    population.flat[:] = value
    assert any(message in text for text in read_texts(plot(population, task)))


def test_an_inactive_embedding_has_a_message(sparse, read_texts):
    task, population = only_neuron(sparse, 6, torch.zeros(24, dtype=torch.float64))
    assert "no embedding neuron is active" in read_texts(plot_strips(population, task))


def test_other_tasks_are_rejected(sparse):
    with pytest.raises(ValueError, match="tokens that are permutations, those of task 'modular_addition' are not"):
        plot_cayley_graph(sparse(load_task("modular_addition")), load_task("modular_addition"))
    for plot in (plot_strips, plot_cayley_graph):
        with pytest.raises(ValueError, match="needs tokens with a trainable embedding"):
            plot(sparse(load_task("independence")), load_task("independence"))
