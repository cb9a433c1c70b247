"""Diagrams are read back from the figure's own artists: what is drawn, where it is and what it says."""

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import CircleCollection, Collection, LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from torch import nn

from bimt_core.geometry import line
from bimt_core.modularity import ACTIVE, Communities, louvain, weight_graph
from bimt_core.networks import MLP, RNN, ModuleNetwork, Network, Transformer
from bimt_core.pictures.canvas import to_png, to_svg
from bimt_core.pictures.network.diagram import contact_sheet, plot_connectivity
from bimt_core.pictures.network.labels import readable
from bimt_core.pictures.network.legend import COMMUNITY, INACTIVE, NEGATIVE, OTHER, POSITIVE
from bimt_core.pictures.network.panel import FAINTEST, MOST_LINES
from bimt_core.population import Population, concatenate, initialise
from bimt_core.tasks import TASKS, Task, load_task
from bimt_core.wiring import Neurons, Wiring, linear_wires

PRINTED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
AVAILABLE = [name for name in TASKS if name != "mnist"]  # whose files a user must have
ON_LINES = [name for name in AVAILABLE if load_task(name).network.wiring.inputs.positions.shape[1] == 1]


class Parameters(nn.Module):
    """The parameters of a wiring; diagrams need no more of a module."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__()
        for wire in wiring.wires:
            holder, _, name = wire.tensor.partition(".")
            if not hasattr(self, holder):
                self.add_module(holder, nn.Module())
            self.get_submodule(holder).register_parameter(name, nn.Parameter(torch.randn(wiring.shape(wire))))


def module(sets: dict[str, int], *layers: tuple[str, str] | tuple[str, str, int]) -> ModuleNetwork:
    """A network of linear layers: (source, target) or (source, target, folds of the target)."""
    wires = []
    for i, (source, target, *folds) in enumerate(layers):
        wires += linear_wires(f"layer{i}", source, target, target_folds=folds[0] if folds else 1)
    wiring = Wiring(tuple(Neurons(name, line(n)) for name, n in sets.items()), tuple(wires))
    return ModuleNetwork(lambda: Parameters(wiring), wiring)


NETWORKS: dict[str, Network] = {
    "line": MLP((3, 6, 2)),
    "tokens": MLP((4, 6, 5), folds=2, vocabulary=7),
    "grids": MLP(((3, 3), (4, 4), 3), ring_outputs=True),
    "transformer": Transformer(3, 2, width=6, heads=2, hidden_width=9),
    "recurrent": RNN(3, (3, 3), 2),
    "gates": module(
        {"input": 3, "memory": 5, "output": 2}, ("input", "memory", 3), ("memory", "memory", 3), ("memory", "output")
    ),
    "branches": module(
        {"input": 3, "left": 4, "right": 5, "output": 2},
        ("left", "output"),
        ("right", "output"),
        ("input", "left"),
        ("input", "right"),
        ("input", "output"),
    ),
}


def task_of(network: Network) -> Task:
    """A task that names the network's inputs and outputs."""
    n, m = len(network.wiring.inputs), len(network.wiring.outputs)
    of = load_task("independence")
    return replace(
        of,
        network=network,
        inputs=torch.zeros(1, n),
        test_inputs=torch.zeros(1, n),
        targets=torch.zeros(1, m),
        test_targets=torch.zeros(1, m),
        input_names=tuple(f"x{i + 1}" for i in range(n)),
        output_names=tuple(f"y{i + 1}" for i in range(m)),
    )


def pruned(of: Task, n: int = 1, kept: float = 0.05) -> Population:
    """Initial networks with a random part of their parameters left."""
    population = initialise(of.network, list(range(n)), dtype=of.dtype)
    keep = torch.rand(population.flat.shape, generator=torch.Generator().manual_seed(7)) < kept
    return replace(population, flat=population.flat * keep)


def by_hand(shape: tuple[int, ...], weights: dict[tuple[str, int, int], float]) -> Population:
    """One network, zero but for the weights at (tensor, row, column)."""
    population = initialise(MLP(shape), [0])
    flat = torch.zeros_like(population.flat)
    tensors = population.network.wiring.tensors(flat)
    for (tensor, row, column), value in weights.items():
        tensors[tensor][0, row, column] = value
    return replace(population, flat=flat)


def reversed_ends(population: Population) -> Population:
    """The same functions with the input and output rows the other way round."""
    wiring: Wiring = population.network.wiring
    return population.rearrange(
        {n.name: torch.arange(len(n)).flip(0).repeat(len(population), 1) for n in (wiring.inputs, wiring.outputs)}
    )


def collections(figure: Figure, kind: type[Collection]) -> dict[str, Collection]:
    """Drawn collections by name, without the legend's."""
    found = {str(a.get_gid()): a for a in figure.artists if isinstance(a, kind)}
    return {name: artist for name, artist in found.items() if not name.startswith("legend")}


def segments(figure: Figure, name: str) -> np.ndarray:
    lines = collections(figure, LineCollection)[name]
    assert isinstance(lines, LineCollection)
    return np.stack(lines.get_segments())


def centres(figure: Figure, name: str) -> np.ndarray:
    return np.asarray(collections(figure, CircleCollection)[name].get_offsets())


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def row_of_labels(figure: Figure, names: tuple[str, ...]) -> list[str]:
    """Those of the names that are written, from left to right."""
    written = {text.get_text().translate(PRINTED): text.get_position()[0] for text in figure.texts}
    return sorted((name for name in names if name in written), key=written.__getitem__)


def extents(figure: Figure) -> list[tuple[Text, Bbox]]:
    renderer = FigureCanvasAgg(figure).get_renderer()
    return [(text, text.get_window_extent(renderer)) for text in figure.texts if text.get_text()]


def assert_legible(figure: Figure) -> None:
    """All text lies within the figure, off other text and off neurons, and is not tiny."""
    boxes = extents(figure)
    for text, box in boxes:
        assert text.get_fontsize() >= 6, text
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
    for (a, first), (b, second) in combinations(boxes, 2):
        apart = first.x1 <= second.x0 or second.x1 <= first.x0 or first.y1 <= second.y0 or second.y1 <= first.y0
        assert apart, (a, b)
    low, high = (np.array([getattr(box, corner) for _, box in boxes]) for corner in ("min", "max"))
    for circles in collections(figure, CircleCollection).values():
        points = np.asarray(circles.get_offsets()) * figure.dpi / 72
        within = (points >= low[:, None]) & (points <= high[:, None])
        assert not within.all(2).any(), [
            text for (text, _), hit in zip(boxes, within.all(2).any(1), strict=True) if hit
        ]


def neurons_at(figure: Figure, name: str, n: int) -> dict[tuple[float, ...], int]:
    """Which neuron of a set each of its discs is."""
    return {tuple(np.round(centre, 6)): i % n for i, centre in enumerate(centres(figure, name))}


def assert_weights_are_lines(population: Population, figure: Figure) -> None:
    """Every active weight is one line that rises from a disc of its source to one of its target."""
    wiring = population.network.wiring
    for wire in wiring.weights:
        target, source = (wiring[end.neurons] for end in wire.ends)
        rows, columns = (population.tensors[wire.tensor][0].abs() > ACTIVE).nonzero(as_tuple=True)
        drawn = np.round(segments(figure, f"network0.{wire.tensor}"), 6)
        below, above = (neurons_at(figure, f"network0.{n.name}", len(n)) for n in (source, target))
        assert (drawn[:, 0, 1] < drawn[:, 1, 1]).all()
        found = Counter((above[tuple(end)], below[tuple(begin)]) for begin, end in drawn)
        assert found == Counter(zip((rows % len(target)).tolist(), (columns % len(source)).tolist(), strict=True))
        assert len(drawn) == len(rows) > 0


@pytest.mark.parametrize("name", AVAILABLE)
def test_every_active_weight_is_a_line_between_its_neurons(name: str) -> None:
    population = pruned(load_task(name), kept=0.3)
    assert_weights_are_lines(population, plot_connectivity(population, load_task(name)))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_wiring_is_drawn(name: str) -> None:
    of = task_of(NETWORKS[name])
    population = pruned(of, kept=0.7)
    figure = plot_connectivity(population, of, title=name)
    assert_weights_are_lines(population, figure)
    assert_legible(figure)
    assert len(collections(figure, CircleCollection)) == len(of.network.wiring.neurons)
    sheet = contact_sheet(pruned(of, 5, kept=0.7), of, [name] * 5)
    assert_legible(sheet)
    to_png(sheet), to_svg(sheet)


ROWS = {
    "line": ["inputs", "hidden 1", "outputs"],
    "tokens": ["token 1", "token 2", "hidden 1", "outputs"],
    "grids": ["inputs", "hidden 1", "outputs"],
    "transformer": [
        "inputs",
        "residual",
        *("query 1", "key 1", "value 1", "residual", "hidden 1", "residual"),
        *("query 2", "key 2", "value 2", "residual", "hidden 2", "residual"),
        "outputs",
    ],
    "recurrent": ["inputs", "hidden, t", "hidden, t+1", "outputs"],
    "gates": [
        "inputs",
        *(f"memory {fold}/3, t" for fold in (1, 2, 3)),
        *(f"memory {fold}/3, t+1" for fold in (1, 2, 3)),
        "outputs",
    ],
    "branches": ["inputs", "left", "right", "outputs"],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_are_named_from_below(name: str) -> None:
    of = task_of(NETWORKS[name])
    figure = plot_connectivity(pruned(of, kept=0.7), of)
    named = [text for text in figure.texts if text.get_text() in ROWS[name]]
    assert [text.get_text() for text in sorted(named, key=lambda text: text.get_position()[1])] == ROWS[name]


def one_weight(network: Network, tensor: str, row: int, column: int) -> Population:
    """One network, zero but for one weight."""
    population = initialise(network, [0])
    population.flat.zero_()
    population.tensors[tensor][0, row, column] = 1.0
    return population


@pytest.mark.parametrize(
    ("tensor", "row", "below", "above"),
    [
        ("attend1.weight", 0, "residual", "query 1"),
        ("attend1.weight", 6, "residual", "key 1"),
        ("attend1.weight", 12, "residual", "value 1"),
        ("attended1.weight", 0, "value 1", "residual"),
        ("attend2.weight", 12, "residual", "value 2"),
        ("contract2.weight", 0, "hidden 2", "residual"),
        ("read.weight", 0, "residual", "outputs"),
    ],
)
def test_weights_of_a_transformer_stand_where_they_work(tensor: str, row: int, below: str, above: str) -> None:
    network = NETWORKS["transformer"]
    figure = plot_connectivity(one_weight(network, tensor, row, 0), task_of(network))
    (line,) = segments(figure, f"network0.{tensor}")
    height = {
        y: text for text in figure.texts for y in [text.get_position()[1]] if text.get_text() in ROWS["transformer"]
    }
    ends = [height[min(height, key=lambda y: abs(y - end[1]))].get_text() for end in line]
    assert ends == [below, above]


def test_the_residual_stream_is_carried_on() -> None:
    network = NETWORKS["transformer"]
    figure = plot_connectivity(one_weight(network, "embed.weight", 4, 1), task_of(network))
    rails = segments(figure, "network0.carried")
    assert len(rails) == 4 and np.all(rails[:, 0, 0] == rails[:, 1, 0])  # neuron 4, from each of 5 rows to the next
    np.testing.assert_allclose(rails[1:, 0], rails[:-1, 1])
    drawn = centres(figure, "network0.residual").reshape(5, 6, 2)
    np.testing.assert_allclose(rails[:, 0], drawn[:-1, 4])
    areas = collections(figure, CircleCollection)["network0.residual"].get_sizes().reshape(5, 6)
    assert (areas[:, 4] > areas[:, 3]).all() and "same neuron" in words(figure)


@pytest.mark.parametrize("name", ["line", "tokens", "grids", "recurrent", "gates", "branches"])
def test_nothing_is_carried_where_no_stream_is(name: str) -> None:
    of = task_of(NETWORKS[name])
    figure = plot_connectivity(pruned(of, kept=0.7), of)
    assert "network0.carried" not in collections(figure, LineCollection) and "same neuron" not in words(figure)


def test_grids_are_plates_seen_from_the_front() -> None:
    network = MLP(((3, 4), (2, 2)))
    figure = plot_connectivity(one_weight(network, "weight0", 0, 0), task_of(network))
    plates = collections(figure, PolyCollection)["network0.plates"]
    outlines = [path.vertices for path in plates.get_paths()]
    assert len(outlines) == 2
    for name, outline, shape in (("input", outlines[0], (3, 4)), ("output", outlines[1], (2, 2))):
        drawn = centres(figure, f"network0.{name}").reshape(*shape, 2)
        assert np.all(np.diff(drawn[..., 0], axis=1) > 0)  # columns go to the right
        assert np.all(np.diff(drawn[..., 1], axis=0) < 0)  # rows come nearer
        assert np.all(drawn.min((0, 1)) > outline.min(0)) and np.all(drawn.max((0, 1)) < outline.max(0))
    assert outlines[0][:, 1].max() < outlines[1][:, 1].min()


def test_no_two_neurons_of_a_square_grid_stand_above_each_other() -> None:
    network = MLP(((10, 10), (6, 6)))
    figure = plot_connectivity(one_weight(network, "weight0", 0, 0), task_of(network))
    for name in ("input", "output"):
        across = np.sort(centres(figure, f"network0.{name}")[:, 0])
        assert np.diff(across).min() > 0.1


def test_labels_stand_beside_their_neurons_on_a_plate() -> None:
    of = load_task("delayed_response")
    before = pruned(of, kept=0.3)
    for population in (before, reversed_ends(before)):
        figure = plot_connectivity(population, of)
        for neurons, labels in (("input", population.input_labels), ("output", population.output_labels)):
            drawn = centres(figure, f"network0.{neurons}")
            for place, label in enumerate(labels[0].tolist()):
                texts = [t.get_position() for t in figure.texts if t.get_text() == of.input_names[label]]
                nearest = [np.abs(drawn - at).sum(1).argmin() for at in texts]
                assert place in nearest and len(texts) == 2


def test_labels_that_would_hide_a_plate_are_left_out() -> None:
    of = load_task("delayed_response")
    few, many = (words(contact_sheet(pruned(of, n), of, [""] * n)) for n in (4, 30))
    assert few.count("22.5°") == 8 and many.count("22.5°") == 0


def test_only_the_strongest_of_many_weights_are_drawn() -> None:
    network = MLP((70, 70))
    of, population = task_of(network), initialise(network, [0, 1])
    weights = population.tensors["weight0"]
    weights[0] = torch.arange(2.0, 2.0 + 4900).view(70, 70)[torch.randperm(70)]
    figure = plot_connectivity(population, of)
    assert len(segments(figure, "network0.weight0")) == MOST_LINES == 4000
    assert any("only the 4,000 strongest" in word for word in words(figure))
    below, above = (neurons_at(figure, f"network0.{name}", 70) for name in ("input", "output"))
    drawn = np.round(segments(figure, "network0.weight0"), 6)
    found = {(above[tuple(end)], below[tuple(begin)]) for begin, end in drawn}
    assert found == {tuple(pair) for pair in (weights[0] >= 902).nonzero().tolist()}
    weights[0][weights[0] < 902] = 0.0
    assert not any("strongest" in word for word in words(plot_connectivity(population, of)))
    assert any("strongest" in word for word in words(contact_sheet(population, of, ["", ""])))  # of the other one


def test_a_neuron_whose_weights_are_not_drawn_is_connected_all_the_same() -> None:
    network = MLP((70, 70))
    of, population = task_of(network), initialise(network, [0])
    population.tensors["weight0"][0] = torch.rand(70, 70) + 2
    population.tensors["weight0"][0, 5] = 0.5
    areas = collections(plot_connectivity(population, of), CircleCollection)["network0.output"].get_sizes()
    assert areas[5] == areas[6]


def test_weak_weights_between_plates_are_faint() -> None:
    network = MLP(((2, 2), (2, 2)))
    population = one_weight(network, "weight0", 0, 0)
    population.tensors["weight0"][0, 1, 1] = -0.1
    lines = collections(plot_connectivity(population, task_of(network)), LineCollection)["network0.weight0"]
    weak, strong = lines.get_colors()[:, 3]
    assert weak < 0.3 * strong and strong == pytest.approx(0.9)


def test_positions_outside_the_unit_square_shrink_alike() -> None:
    wiring = MLP(((2, 2), (3, 3))).wiring
    far = replace(wiring, neurons=tuple(replace(n, positions=40 * n.positions - 10) for n in wiring.neurons))
    network = ModuleNetwork(lambda: Flat(far), far)
    figure = plot_connectivity(one_weight(network, "weight0", 0, 0), task_of(network))
    plates = [path.vertices for path in collections(figure, PolyCollection)["network0.plates"].get_paths()]
    for name, outline in zip(("input", "output"), plates, strict=True):
        drawn = centres(figure, f"network0.{name}")
        assert np.all(drawn.min(0) >= outline.min(0) - 1e-6) and np.all(drawn.max(0) <= outline.max(0) + 1e-6)


class Flat(nn.Module):
    """Parameters without modules."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__()
        for wire in wiring.wires:
            self.register_parameter(wire.tensor, nn.Parameter(torch.zeros(wiring.shape(wire))))


def test_positions_of_three_dimensions_hide_none() -> None:
    box = torch.cartesian_prod(*(line(n).flatten() for n in (3, 4, 5)))
    wiring = replace(
        MLP((2, 60)).wiring, neurons=(Neurons("input", torch.rand(2, 3)), Neurons("output", box, movable=False))
    )
    network = ModuleNetwork(lambda: Flat(wiring), wiring)
    drawn = centres(plot_connectivity(one_weight(network, "weight0", 0, 0), task_of(network)), "network0.output")
    assert len(np.unique(drawn.round(3), axis=0)) == 60


def test_the_largest_published_network_is_drawn_by_its_strongest_weights() -> None:
    network = MLP(((28, 28), (10, 10), (10, 10), 10), "mean", ring_outputs=True, fixed_inputs=True)
    of, population = task_of(network), initialise(network, [0])
    figure = plot_connectivity(population, of)
    lines = [len(segments(figure, f"network0.weight{layer}")) for layer in range(3)]
    assert lines[:2] == [MOST_LINES, MOST_LINES] and lines[2] <= 1000
    assert_legible(figure)


def test_weights_at_the_threshold_are_not_drawn() -> None:
    at, above = float(np.float32(ACTIVE)), 1.01 * ACTIVE
    population = by_hand((2, 3, 2), {("weight0", 0, 0): at, ("weight0", 1, 1): above, ("weight1", 0, 0): -above})
    figure = plot_connectivity(population, load_task("two_moons"))
    assert len(segments(figure, "network0.weight0")) == len(segments(figure, "network0.weight1")) == 1


def test_width_is_the_share_of_the_layers_largest_and_colour_the_sign() -> None:
    weights = {("weight0", 0, 0): 2.0, ("weight0", 1, 1): -1.0, ("weight0", 2, 0): 0.002, ("weight1", 0, 1): -30.0}
    lines = collections(plot_connectivity(by_hand((2, 3, 2), weights), load_task("two_moons")), LineCollection)
    first, second = lines["network0.weight0"], lines["network0.weight1"]
    widths = np.asarray(first.get_linewidth())
    np.testing.assert_allclose(widths / widths.max(), [FAINTEST, 0.5, 1.0])  # strongest last, on top
    assert [to_hex(c) for c in first.get_colors()] == [POSITIVE, NEGATIVE, POSITIVE]
    assert second.get_linewidth() == [widths.max()]


def test_rows_stand_input_first_and_neurons_by_their_positions() -> None:
    figure = plot_connectivity(pruned(load_task("independence")), load_task("independence"))
    rows = [centres(figure, f"network0.{name}") for name in ("input", "hidden1", "hidden2", "output")]
    heights = [np.unique(row[:, 1]) for row in rows]
    assert all(len(height) == 1 for height in heights)
    assert np.all(np.diff(np.concatenate(heights)) > 0)
    left, right = rows[1][0, 0] - np.diff(rows[1][:2, 0]) / 2, rows[1][-1, 0] + np.diff(rows[1][:2, 0]) / 2
    for row in rows:
        n = len(row)
        np.testing.assert_allclose((row[:, 0] - left) / (right - left), (2 * np.arange(n) + 1) / (2 * n))


def test_folds_are_stacked_rows_of_which_none_hides_another() -> None:
    figure = plot_connectivity(pruned(load_task("permutation_s4")), load_task("permutation_s4"))
    first, second = centres(figure, "network0.input").reshape(2, 32, 2)
    assert np.all(first[:, 1] < second[:, 1])
    assert np.all(second[:, 1] < centres(figure, "network0.hidden1")[:, 1].min())
    assert np.all(first[:, 0] != second[:, 0])
    assert {"token 1", "token 2", "hidden 1", "hidden 2", "outputs"} <= set(words(figure))


@pytest.mark.parametrize("name", ON_LINES)
def test_labels_move_with_the_neurons(name: str) -> None:
    of = load_task(name)
    before = pruned(of)
    after = reversed_ends(before)
    drawn, mirrored = plot_connectivity(before, of), plot_connectivity(after, of)
    for plain in (of.input_names, of.output_names):
        names = tuple(readable(name).translate(PRINTED) for name in plain)
        assert row_of_labels(drawn, names) == list(names)
        assert row_of_labels(mirrored, names) == list(names)[::-1]


def test_each_network_of_a_sheet_has_its_own_labels() -> None:
    of = load_task("two_moons")
    population = concatenate([pruned(of), reversed_ends(pruned(of))])
    texts = [(t.get_text(), t.get_position()[0]) for t in contact_sheet(population, of, ["", ""]).texts]
    for names in (("x₁", "x₂"), of.output_names):
        written = sorted((x, text) for text, x in texts if text in names)
        assert [text for _, text in written] == [*names, *names[::-1]]


def test_label_stands_at_the_neuron_it_names() -> None:
    of = load_task("independence")
    population = reversed_ends(by_hand((4, 20, 20, 2), {("weight0", 5, 0): 1.0}))  # x1 alone is connected
    figure = plot_connectivity(population, of)
    (end,) = {tuple(line[0]) for line in segments(figure, "network0.weight0")}
    label = next(text for text in figure.texts if text.get_text() == "x₁")
    assert label.get_position()[0] == pytest.approx(end[0])
    assert label.get_position()[1] < end[1]


def test_communities_are_found_as_the_metric_finds_them() -> None:
    of = load_task("independence")
    population = pruned(of, kept=0.2)  # here one Louvain run is not enough
    found = louvain(weight_graph(of.network.wiring, {k: v[0] for k, v in population.tensors.items()}, "layer_max"))
    figure = plot_connectivity(population, of)
    assert to_png(figure) == to_png(plot_connectivity(population, of, communities=found))
    assert any(word.startswith(f"{len(found)} communit") for word in words(figure))


def test_neurons_take_the_colour_of_their_community() -> None:
    population = by_hand((2, 3, 2), {("weight0", 0, 0): 1.0, ("weight1", 1, 2): 1.0})
    given = Communities(0.5, (frozenset({("hidden1", 2), ("output", 1)}), frozenset({("input", 0), ("hidden1", 0)})))
    figure = plot_connectivity(population, load_task("two_moons"), communities=given)
    hidden = collections(figure, CircleCollection)["network0.hidden1"]
    colours = [to_hex(c) for c in hidden.get_facecolor()]
    assert colours == [COMMUNITY[1], INACTIVE, COMMUNITY[0]]
    areas = hidden.get_sizes()
    assert areas[1] < areas[0] == areas[2]
    assert "2 communities" in words(figure)


def test_more_communities_than_colours_share_the_last() -> None:
    n = len(COMMUNITY) + 2
    rows = dict.fromkeys(("inputs", "targets", "test_inputs", "test_targets"), torch.zeros(1, n))
    names = {"input_names": ("x",) * n, "output_names": ("y",) * n}
    of = replace(load_task("two_moons"), network=MLP((n, n)), **rows, **names)
    population = by_hand((n, n), {("weight0", i, i): 1.0 for i in range(n)})
    given = Communities(0.8, tuple(frozenset({("input", i), ("output", i)}) for i in range(n)))
    figure = plot_connectivity(population, of, communities=given)
    colours = [to_hex(c) for c in collections(figure, CircleCollection)["network0.input"].get_facecolor()]
    assert colours == [*COMMUNITY, OTHER, OTHER]
    assert_legible(figure)


@pytest.mark.parametrize(
    ("value", "message"), [(0.0, "no active weight"), (np.nan, "not finite"), (np.inf, "not finite")]
)
@pytest.mark.parametrize("name", ["independence", "modular_addition", "in_context", "digits", "delayed_response"])
def test_a_network_that_cannot_be_drawn_says_so(name: str, value: float, message: str) -> None:
    healthy = pruned(load_task(name))
    flat = torch.zeros_like(healthy.flat) if value == 0 else healthy.flat.clone()
    flat[0, 3] = value
    figure = plot_connectivity(replace(healthy, flat=flat), load_task(name), title="broken")
    assert not collections(figure, LineCollection)
    assert any(message in word for word in words(figure))
    assert not any(message in word for word in words(plot_connectivity(healthy, load_task(name))))
    to_png(figure), to_svg(figure)


def test_a_broken_network_leaves_its_neighbours_on_a_sheet() -> None:
    of = load_task("two_moons")
    population = pruned(of, 32, kept=0.3)
    population.flat[1], population.flat[2] = torch.nan, 0.0
    figure = contact_sheet(population, of, ["a title"] * 32)
    drawn = {name.split(".")[0] for name in collections(figure, LineCollection)}
    assert drawn == {f"network{i}" for i in range(32)} - {"network1", "network2"}
    assert words(figure).count("weights not finite") == words(figure).count("no active weight") == 1
    to_png(figure)


@pytest.mark.parametrize("n", [1, 4, 32])
@pytest.mark.parametrize("name", AVAILABLE)
def test_text_is_legible(name: str, n: int) -> None:
    of, title = load_task(name), "trial 17: score 0.990\ncost 8.4  Q 0.38"
    population = pruned(of, n, kept=0.02)
    assert_legible(plot_connectivity(population, of, n - 1, title=title))
    sheet = contact_sheet(population, of, [title] * n)
    assert_legible(sheet)
    assert len(collections(sheet, CircleCollection)) == n * len(of.network.wiring.neurons)


@pytest.mark.parametrize("name", [*ON_LINES, "delayed_response"])
def test_a_single_diagram_leaves_no_label_out(name: str) -> None:
    of = load_task(name)
    written = words(plot_connectivity(pruned(of), of))
    assert set(map(readable, of.input_names + of.output_names)) <= set(written)


def test_output_names_that_do_not_fit_are_abbreviated_and_explained() -> None:
    of = load_task("independence")
    assert not any("=" in word for word in words(contact_sheet(pruned(of, 4), of, [""] * 4)))
    written = words(contact_sheet(pruned(of, 32), of, [""] * 32))
    assert written.count("y₁") == written.count("y₂") == 32
    (key,) = (word.replace("\N{NO-BREAK SPACE}", " ") for word in written if "=" in word)
    assert key.split("   ")[0].strip() == "y₁ = (x₁ + x₃)³"


def test_long_explanations_take_several_lines() -> None:
    names = tuple(" + ".join(f"x{i}" for i in range(n)) for n in (14, 15, 16))
    of = replace(load_task("feature_sharing"), output_names=names)
    figure = contact_sheet(pruned(of, 4), of, [""] * 4)
    assert sum("=" in word for word in words(figure)) > 1
    assert_legible(figure)


def test_titles_are_plain_text_that_fits() -> None:
    of, title = load_task("two_moons"), "$5 and $6 " + 40 * "very long "
    figure = contact_sheet(pruned(of, 9), of, [title] * 9)
    assert_legible(figure)
    assert sum(word.startswith("$5 and $6 very") and word.endswith("…") for word in words(figure)) == 9
    figure = plot_connectivity(pruned(of), of, title=r"$\frac$")
    assert r"$\frac$" in words(figure)
    to_png(figure)


def test_a_title_a_network_is_needed() -> None:
    of = load_task("two_moons")
    with pytest.raises(ValueError, match="2 networks, got 1"):
        contact_sheet(pruned(of, 2), of, ["one"])


def test_network_is_chosen() -> None:
    of = load_task("two_moons")
    population = pruned(of, 3)
    assert to_png(plot_connectivity(population, of, 2)) == to_png(plot_connectivity(population.select([2]), of))
    assert to_png(plot_connectivity(population, of, 2)) != to_png(plot_connectivity(population, of, 1))


def test_bytes_are_the_same_every_time_and_in_threads() -> None:
    of = load_task("independence")
    population = pruned(of)

    def draw(_: int) -> tuple[bytes, bytes]:
        figure = plot_connectivity(population, of, title="a title")
        return to_png(figure), to_svg(figure)

    with ThreadPoolExecutor(4) as threads:
        drawn = {*threads.map(draw, range(8)), draw(0)}
    assert len(drawn) == 1


def test_drawing_needs_no_pyplot() -> None:
    code = """
import sys
from bimt_core.pictures.canvas import to_png
from bimt_core.pictures.network.diagram import plot_connectivity
from bimt_core.population import initialise
from bimt_core.tasks import load_task
of = load_task("two_moons")
to_png(plot_connectivity(initialise(of.network, [0]), of))
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_weights_have_the_colours_of_the_paper_on_demand() -> None:
    of = load_task("independence")
    population = pruned(of, kept=0.3)
    drawn = {}
    for colours in ("safe", "paper"):
        lines = collections(plot_connectivity(population, of, colours=colours), LineCollection)["network0.weight1"]
        drawn[colours] = [to_hex(colour) for colour in lines.get_colors()]
    assert drawn["paper"] == [{POSITIVE: "#0000ff", NEGATIVE: "#ff0000"}[colour] for colour in drawn["safe"]]
    with pytest.raises(ValueError, match="colours must be one of"):
        plot_connectivity(population, of, colours="loud")


def test_weak_weights_among_many_are_faint() -> None:
    network = MLP((40, 40))
    lines = collections(plot_connectivity(initialise(network, [0]), task_of(network)), LineCollection)[
        "network0.weight0"
    ]
    assert lines.get_colors()[0, 3] < 0.3 * lines.get_colors()[-1, 3]
    network = MLP((10, 10))
    lines = collections(plot_connectivity(initialise(network, [0]), task_of(network)), LineCollection)[
        "network0.weight0"
    ]
    assert lines.get_colors()[0, 3] == lines.get_colors()[-1, 3]


def test_communities_of_a_sheet_can_be_given() -> None:
    of = load_task("two_moons")
    population = pruned(of, 2, kept=0.2)
    given = [Communities(0.0, (frozenset({("input", 0)}),)), None]
    figure = contact_sheet(population, of, ["", ""], communities=given)
    ours, found = (collections(figure, CircleCollection)[f"network{i}.output"].get_facecolor() for i in range(2))
    assert {to_hex(colour) for colour in ours} == {OTHER} and OTHER not in map(to_hex, found)
    with pytest.raises(ValueError, match="communities must be one a network: 2 networks, got 1"):
        contact_sheet(population, of, ["", ""], communities=given[:1])


def test_large_networks_make_light_files() -> None:
    network = MLP(((28, 28), (10, 10), (10, 10), 10), "mean", ring_outputs=True, fixed_inputs=True)
    figure = plot_connectivity(initialise(network, [0]), task_of(network))
    assert len(to_png(figure)) < 400_000 and len(to_svg(figure)) < 3_000_000
