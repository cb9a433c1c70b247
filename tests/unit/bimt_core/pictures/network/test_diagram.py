"""Diagrams are checked by the artists of the figure: lines, discs, positions and texts."""

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
from bimt_core.modularity import Communities, louvain, weight_graph
from bimt_core.networks import MLP, RNN, ModuleNetwork, Network, Transformer
from bimt_core.pictures.canvas import to_png, to_svg
from bimt_core.pictures.network.diagram import plot_connectivity, plot_network_3d
from bimt_core.pictures.network.panel import FAINTEST, MOST_LINES
from bimt_core.pictures.palette import COMMUNITY, INACTIVE, NEGATIVE, OTHER, POSITIVE
from bimt_core.pictures.text import format_name
from bimt_core.population import Population, initialise
from bimt_core.tasks import TASKS, Task, load_task
from bimt_core.wiring import ACTIVE, Neurons, Wiring, linear_wires

PRINTED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
AVAILABLE = [name for name in TASKS if name != "mnist"]  # needs files that users download
ON_LINES = [name for name in AVAILABLE if load_task(name).network.wiring.inputs.positions.shape[1] == 1]


class Parameters(nn.Module):
    """A module with the parameters of a wiring."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__()
        for wire in wiring.wires:
            holder, _, name = wire.tensor.partition(".")
            if not hasattr(self, holder):
                self.add_module(holder, nn.Module())
            self.get_submodule(holder).register_parameter(name, nn.Parameter(torch.randn(wiring.shape(wire))))


def module(sets: dict[str, int], *layers: tuple[str, str] | tuple[str, str, int]) -> ModuleNetwork:
    """Makes a network of linear layers: (source, target) or (source, target, folds of the target)."""
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
    """Makes a task that names the network's inputs and outputs."""
    n, m = len(network.wiring.inputs), len(network.wiring.outputs)
    task = load_task("independence")
    return replace(
        task,
        network=network,
        **{f"{rows}inputs": torch.zeros(1, n) for rows in ("", "validation_", "test_")},
        **{f"{rows}targets": torch.zeros(1, m) for rows in ("", "validation_", "test_")},
        input_names=tuple(f"x{i + 1}" for i in range(n)),
        output_names=tuple(f"y{i + 1}" for i in range(m)),
    )


def pruned(task: Task, n: int = 1, kept: float = 0.05) -> Population:
    """Initialises networks and sets most parameters to 0."""
    population = initialise(task.network, list(range(n)), dtype=task.dtype)
    keep = torch.rand(population.flat.shape, generator=torch.Generator().manual_seed(7)) < kept
    return replace(population, flat=population.flat * keep)


def by_hand(shape: tuple[int, ...], weights: dict[tuple[str, int, int], float]) -> Population:
    """Makes one network with the given weights at (tensor, row, column) and zeros elsewhere."""
    population = initialise(MLP(shape), [0])
    flat = torch.zeros_like(population.flat)
    tensors = population.network.wiring.tensors(flat)
    for (tensor, row, column), value in weights.items():
        tensors[tensor][0, row, column] = value
    return replace(population, flat=flat)


def reversed_ends(population: Population) -> Population:
    """Reverses the input and output rows without changing the function."""
    wiring: Wiring = population.network.wiring
    return population.rearrange(
        {n.name: torch.arange(len(n)).flip(0).repeat(len(population), 1) for n in (wiring.inputs, wiring.outputs)}
    )


def collections(figure: Figure, kind: type[Collection]) -> dict[str, Collection]:
    """Returns collections by name, without the legend's."""
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
    """Returns the names that occur in the figure, from left to right."""
    written = {text.get_text().translate(PRINTED): text.get_position()[0] for text in figure.texts}
    return sorted((name for name in names if name in written), key=written.__getitem__)


def extents(figure: Figure) -> list[tuple[Text, Bbox]]:
    renderer = FigureCanvasAgg(figure).get_renderer()
    return [(text, text.get_window_extent(renderer)) for text in figure.texts if text.get_text()]


def assert_legible(figure: Figure) -> None:
    """Asserts that text is within the figure, overlaps neither text nor neurons, and is not tiny."""
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
    """Maps the centre of each disc of a set to its neuron."""
    return {tuple(np.round(centre, 6)): i % n for i, centre in enumerate(centres(figure, name))}


def assert_weights_are_lines(population: Population, figure: Figure) -> None:
    """Asserts that every active weight is one line that rises from a disc of its source to one of its target."""
    wiring = population.network.wiring
    for wire in wiring.weights:
        target, source = (wiring[end.neurons] for end in wire.ends)
        rows, columns = (population.tensors[wire.tensor][0].abs() > ACTIVE).nonzero(as_tuple=True)
        drawn = np.round(segments(figure, f"network.{wire.tensor}"), 6)
        below, above = (neurons_at(figure, f"network.{n.name}", len(n)) for n in (source, target))
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
    task = task_of(NETWORKS[name])
    population = pruned(task, kept=0.7)
    figure = plot_connectivity(population, task, title=name)
    assert_weights_are_lines(population, figure)
    assert_legible(figure)
    assert len(collections(figure, CircleCollection)) == len(task.network.wiring.neurons)
    to_png(figure), to_svg(figure)


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
    task = task_of(NETWORKS[name])
    figure = plot_connectivity(pruned(task, kept=0.7), task)
    named = [text for text in figure.texts if text.get_text() in ROWS[name]]
    assert [text.get_text() for text in sorted(named, key=lambda text: text.get_position()[1])] == ROWS[name]


def one_weight(network: Network, tensor: str, row: int, column: int) -> Population:
    """Makes one network with a single weight of 1."""
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
def test_weights_of_a_transformer_join_the_right_rows(tensor: str, row: int, below: str, above: str) -> None:
    network = NETWORKS["transformer"]
    figure = plot_connectivity(one_weight(network, tensor, row, 0), task_of(network))
    (line,) = segments(figure, f"network.{tensor}")
    height = {
        y: text for text in figure.texts for y in [text.get_position()[1]] if text.get_text() in ROWS["transformer"]
    }
    ends = [height[min(height, key=lambda y: abs(y - end[1]))].get_text() for end in line]
    assert ends == [below, above]


def test_lines_join_the_copies_of_a_residual_neuron() -> None:
    network = NETWORKS["transformer"]
    figure = plot_connectivity(one_weight(network, "embed.weight", 4, 1), task_of(network))
    rails = segments(figure, "network.carried")
    assert len(rails) == 4 and np.all(rails[:, 0, 0] == rails[:, 1, 0])  # neuron 4, from each of 5 rows to the next
    np.testing.assert_allclose(rails[1:, 0], rails[:-1, 1])
    drawn = centres(figure, "network.residual").reshape(5, 6, 2)
    np.testing.assert_allclose(rails[:, 0], drawn[:-1, 4])
    areas = collections(figure, CircleCollection)["network.residual"].get_sizes().reshape(5, 6)
    assert (areas[:, 4] > areas[:, 3]).all() and "same neuron" in words(figure)


@pytest.mark.parametrize("name", ["line", "tokens", "grids", "recurrent", "gates", "branches"])
def test_networks_without_a_residual_stream_have_no_carried_lines(name: str) -> None:
    task = task_of(NETWORKS[name])
    figure = plot_connectivity(pruned(task, kept=0.7), task)
    assert "network.carried" not in collections(figure, LineCollection) and "same neuron" not in words(figure)


def test_grids_are_plates_seen_from_the_front() -> None:
    network = MLP(((3, 4), (2, 2)))
    figure = plot_connectivity(one_weight(network, "weight0", 0, 0), task_of(network))
    plates = collections(figure, PolyCollection)["network.plates"]
    outlines = [path.vertices for path in plates.get_paths()]
    assert len(outlines) == 2
    for name, outline, shape in (("input", outlines[0], (3, 4)), ("output", outlines[1], (2, 2))):
        drawn = centres(figure, f"network.{name}").reshape(*shape, 2)
        assert np.all(np.diff(drawn[..., 0], axis=1) > 0)  # columns go to the right
        assert np.all(np.diff(drawn[..., 1], axis=0) < 0)  # rows come nearer
        assert np.all(drawn.min((0, 1)) > outline.min(0)) and np.all(drawn.max((0, 1)) < outline.max(0))
    assert outlines[0][:, 1].max() < outlines[1][:, 1].min()


def test_neurons_of_a_square_grid_have_different_horizontal_positions() -> None:
    network = MLP(((10, 10), (6, 6)))
    figure = plot_connectivity(one_weight(network, "weight0", 0, 0), task_of(network))
    for name in ("input", "output"):
        across = np.sort(centres(figure, f"network.{name}")[:, 0])
        assert np.diff(across).min() > 0.1


def test_labels_are_next_to_their_neurons_on_a_plate() -> None:
    task = load_task("delayed_response")
    before = pruned(task, kept=0.3)
    for population in (before, reversed_ends(before)):
        figure = plot_connectivity(population, task)
        for neurons, labels in (("input", population.input_labels), ("output", population.output_labels)):
            drawn = centres(figure, f"network.{neurons}")
            for place, label in enumerate(labels[0].tolist()):
                texts = [t.get_position() for t in figure.texts if t.get_text() == task.input_names[label]]
                nearest = [np.abs(drawn - at).sum(1).argmin() for at in texts]
                assert place in nearest and len(texts) == 2


def test_only_the_strongest_of_many_weights_are_drawn() -> None:
    network = MLP((70, 70))
    task, population = task_of(network), initialise(network, [0, 1])
    weights = population.tensors["weight0"]
    weights[0] = torch.arange(2.0, 2.0 + 4900).view(70, 70)[torch.randperm(70)]
    figure = plot_connectivity(population, task)
    assert len(segments(figure, "network.weight0")) == MOST_LINES == 4000
    assert any("only the 4,000 strongest" in word for word in words(figure))
    below, above = (neurons_at(figure, f"network.{name}", 70) for name in ("input", "output"))
    drawn = np.round(segments(figure, "network.weight0"), 6)
    found = {(above[tuple(end)], below[tuple(begin)]) for begin, end in drawn}
    assert found == {tuple(pair) for pair in (weights[0] >= 902).nonzero().tolist()}
    weights[0][weights[0] < 902] = 0.0
    assert not any("strongest" in word for word in words(plot_connectivity(population, task)))


def test_a_neuron_whose_weights_are_omitted_is_drawn_as_connected() -> None:
    network = MLP((70, 70))
    task, population = task_of(network), initialise(network, [0])
    population.tensors["weight0"][0] = torch.rand(70, 70) + 2
    population.tensors["weight0"][0, 5] = 0.5
    areas = collections(plot_connectivity(population, task), CircleCollection)["network.output"].get_sizes()
    assert areas[5] == areas[6]


def test_weak_weights_between_plates_are_faint() -> None:
    network = MLP(((2, 2), (2, 2)))
    population = one_weight(network, "weight0", 0, 0)
    population.tensors["weight0"][0, 1, 1] = -0.1
    lines = collections(plot_connectivity(population, task_of(network)), LineCollection)["network.weight0"]
    weak, strong = lines.get_colors()[:, 3]
    assert weak < 0.3 * strong and strong == pytest.approx(0.9)


def test_positions_outside_the_unit_square_are_scaled_alike() -> None:
    wiring = MLP(((2, 2), (3, 3))).wiring
    far = replace(wiring, neurons=tuple(replace(n, positions=40 * n.positions - 10) for n in wiring.neurons))
    network = ModuleNetwork(lambda: Flat(far), far)
    figure = plot_connectivity(one_weight(network, "weight0", 0, 0), task_of(network))
    plates = [path.vertices for path in collections(figure, PolyCollection)["network.plates"].get_paths()]
    for name, outline in zip(("input", "output"), plates, strict=True):
        drawn = centres(figure, f"network.{name}")
        assert np.all(drawn.min(0) >= outline.min(0) - 1e-6) and np.all(drawn.max(0) <= outline.max(0) + 1e-6)


class Flat(nn.Module):
    """A module with the parameters of a wiring at its top level."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__()
        for wire in wiring.wires:
            self.register_parameter(wire.tensor, nn.Parameter(torch.zeros(wiring.shape(wire))))


def test_neurons_with_positions_of_three_dimensions_are_all_visible() -> None:
    box = torch.cartesian_prod(*(line(n).flatten() for n in (3, 4, 5)))
    wiring = replace(
        MLP((2, 60)).wiring, neurons=(Neurons("input", torch.rand(2, 3)), Neurons("output", box, movable=False))
    )
    network = ModuleNetwork(lambda: Flat(wiring), wiring)
    drawn = centres(plot_connectivity(one_weight(network, "weight0", 0, 0), task_of(network)), "network.output")
    assert len(np.unique(drawn.round(3), axis=0)) == 60


def test_of_the_largest_published_network_the_strongest_weights_are_drawn() -> None:
    network = MLP(((28, 28), (10, 10), (10, 10), 10), "mean", ring_outputs=True, fixed_inputs=True)
    task, population = task_of(network), initialise(network, [0])
    figure = plot_connectivity(population, task)
    lines = [len(segments(figure, f"network.weight{layer}")) for layer in range(3)]
    assert lines[:2] == [MOST_LINES, MOST_LINES] and lines[2] <= 1000
    assert_legible(figure)


def test_weights_at_the_threshold_are_not_drawn() -> None:
    at, above = float(np.float32(ACTIVE)), 1.01 * ACTIVE
    population = by_hand((2, 3, 2), {("weight0", 0, 0): at, ("weight0", 1, 1): above, ("weight1", 0, 0): -above})
    figure = plot_connectivity(population, load_task("two_moons"))
    assert len(segments(figure, "network.weight0")) == len(segments(figure, "network.weight1")) == 1


def test_width_is_the_size_relative_to_the_layers_largest_and_colour_the_sign() -> None:
    weights = {("weight0", 0, 0): 2.0, ("weight0", 1, 1): -1.0, ("weight0", 2, 0): 0.002, ("weight1", 0, 1): -30.0}
    lines = collections(plot_connectivity(by_hand((2, 3, 2), weights), load_task("two_moons")), LineCollection)
    first, second = lines["network.weight0"], lines["network.weight1"]
    widths = np.asarray(first.get_linewidth())
    np.testing.assert_allclose(widths / widths.max(), [FAINTEST, 0.5, 1.0])  # strongest last, on top
    assert [to_hex(c) for c in first.get_colors()] == [POSITIVE, NEGATIVE, POSITIVE]
    assert second.get_linewidth() == [widths.max()]


def test_inputs_are_lowest_and_neurons_are_at_their_positions() -> None:
    figure = plot_connectivity(pruned(load_task("independence")), load_task("independence"))
    rows = [centres(figure, f"network.{name}") for name in ("input", "hidden1", "hidden2", "output")]
    heights = [np.unique(row[:, 1]) for row in rows]
    assert all(len(height) == 1 for height in heights)
    assert np.all(np.diff(np.concatenate(heights)) > 0)
    left, right = rows[1][0, 0] - np.diff(rows[1][:2, 0]) / 2, rows[1][-1, 0] + np.diff(rows[1][:2, 0]) / 2
    for row in rows:
        n = len(row)
        np.testing.assert_allclose((row[:, 0] - left) / (right - left), (2 * np.arange(n) + 1) / (2 * n))


def test_folds_are_rows_above_each_other_with_different_horizontal_positions() -> None:
    figure = plot_connectivity(pruned(load_task("permutation_s4")), load_task("permutation_s4"))
    first, second = centres(figure, "network.input").reshape(2, 32, 2)
    assert np.all(first[:, 1] < second[:, 1])
    assert np.all(second[:, 1] < centres(figure, "network.hidden1")[:, 1].min())
    assert np.all(first[:, 0] != second[:, 0])
    assert {"token 1", "token 2", "hidden 1", "hidden 2", "outputs"} <= set(words(figure))


@pytest.mark.parametrize("name", ON_LINES)
def test_labels_move_with_the_neurons(name: str) -> None:
    task = load_task(name)
    before = pruned(task)
    after = reversed_ends(before)
    drawn, mirrored = plot_connectivity(before, task), plot_connectivity(after, task)
    for plain in (task.input_names, task.output_names):
        names = tuple(format_name(name).translate(PRINTED) for name in plain)
        assert row_of_labels(drawn, names) == list(names)
        assert row_of_labels(mirrored, names) == list(names)[::-1]


def test_a_label_is_at_the_neuron_that_it_names() -> None:
    task = load_task("independence")
    population = reversed_ends(by_hand((4, 20, 20, 2), {("weight0", 5, 0): 1.0}))  # x1 alone is connected
    figure = plot_connectivity(population, task)
    (end,) = {tuple(line[0]) for line in segments(figure, "network.weight0")}
    label = next(text for text in figure.texts if text.get_text() == "x₁")
    assert label.get_position()[0] == pytest.approx(end[0])
    assert label.get_position()[1] < end[1]


def test_communities_are_those_of_the_metric() -> None:
    task = load_task("independence")
    population = pruned(task, kept=0.2)  # here one Louvain run is not enough
    found = louvain(weight_graph(task.network.wiring, {k: v[0] for k, v in population.tensors.items()}, "layer_max"))
    figure = plot_connectivity(population, task)
    assert to_png(figure) == to_png(plot_connectivity(population, task, communities=found))
    assert any(word.startswith(f"{len(found)} communit") for word in words(figure))


def test_neurons_have_the_colour_of_their_community() -> None:
    population = by_hand((2, 3, 2), {("weight0", 0, 0): 1.0, ("weight1", 1, 2): 1.0})
    given = Communities(0.5, (frozenset({("hidden1", 2), ("output", 1)}), frozenset({("input", 0), ("hidden1", 0)})))
    figure = plot_connectivity(population, load_task("two_moons"), communities=given)
    hidden = collections(figure, CircleCollection)["network.hidden1"]
    colours = [to_hex(c) for c in hidden.get_facecolor()]
    assert colours == [COMMUNITY[1], INACTIVE, COMMUNITY[0]]
    areas = hidden.get_sizes()
    assert areas[1] < areas[0] == areas[2]
    assert "2 communities" in words(figure)


def test_more_communities_than_colours_share_the_last() -> None:
    n = len(COMMUNITY) + 2
    ends = [f"{rows}{end}" for rows in ("", "validation_", "test_") for end in ("inputs", "targets")]
    rows = dict.fromkeys(ends, torch.zeros(1, n))
    names = {"input_names": ("x",) * n, "output_names": ("y",) * n}
    task = replace(load_task("two_moons"), network=MLP((n, n)), **rows, **names)
    population = by_hand((n, n), {("weight0", i, i): 1.0 for i in range(n)})
    given = Communities(0.8, tuple(frozenset({("input", i), ("output", i)}) for i in range(n)))
    figure = plot_connectivity(population, task, communities=given)
    colours = [to_hex(c) for c in collections(figure, CircleCollection)["network.input"].get_facecolor()]
    assert colours == [*COMMUNITY, OTHER, OTHER]
    assert_legible(figure)


@pytest.mark.parametrize(
    ("value", "message"), [(0.0, "no active weight"), (np.nan, "not finite"), (np.inf, "not finite")]
)
@pytest.mark.parametrize("name", ["independence", "modular_addition", "in_context", "digits", "delayed_response"])
def test_a_network_that_cannot_be_drawn_has_a_message(name: str, value: float, message: str) -> None:
    healthy = pruned(load_task(name))
    flat = torch.zeros_like(healthy.flat) if value == 0 else healthy.flat.clone()
    flat[0, 3] = value
    figure = plot_connectivity(replace(healthy, flat=flat), load_task(name), title="broken")
    assert not collections(figure, LineCollection)
    assert any(message in word for word in words(figure))
    assert not any(message in word for word in words(plot_connectivity(healthy, load_task(name))))
    to_png(figure), to_svg(figure)


@pytest.mark.parametrize("name", [*ON_LINES, "delayed_response"])
def test_a_diagram_has_all_labels(name: str) -> None:
    task = load_task(name)
    written = words(plot_connectivity(pruned(task), task))
    assert set(map(format_name, task.input_names + task.output_names)) <= set(written)


def test_network_is_chosen() -> None:
    task = load_task("two_moons")
    population = pruned(task, 3)
    assert to_png(plot_connectivity(population, task, 2)) == to_png(plot_connectivity(population.select([2]), task))
    assert to_png(plot_connectivity(population, task, 2)) != to_png(plot_connectivity(population, task, 1))


def test_bytes_are_reproducible_also_in_threads() -> None:
    task = load_task("independence")
    population = pruned(task)

    def draw(_: int) -> tuple[bytes, bytes]:
        figure = plot_connectivity(population, task, title="a title")
        return to_png(figure), to_svg(figure)

    with ThreadPoolExecutor(4) as threads:
        drawn = {*threads.map(draw, range(8)), draw(0)}
    assert len(drawn) == 1


def test_weights_can_have_the_colours_of_the_paper() -> None:
    task = load_task("independence")
    population = pruned(task, kept=0.3)
    drawn = {}
    for colours in ("safe", "paper"):
        lines = collections(plot_connectivity(population, task, colours=colours), LineCollection)["network.weight1"]
        drawn[colours] = [to_hex(colour) for colour in lines.get_colors()]
    assert drawn["paper"] == [{POSITIVE: "#0000ff", NEGATIVE: "#ff0000"}[colour] for colour in drawn["safe"]]
    with pytest.raises(ValueError, match="colours must be one of"):
        plot_connectivity(population, task, colours="loud")


def test_large_networks_make_light_files() -> None:
    network = MLP(((28, 28), (10, 10), (10, 10), 10), "mean", ring_outputs=True, fixed_inputs=True)
    figure = plot_connectivity(initialise(network, [0]), task_of(network))
    assert len(to_png(figure)) < 400_000 and len(to_svg(figure)) < 3_000_000


@pytest.mark.parametrize("name", AVAILABLE)
def test_text_is_legible(name: str) -> None:
    task = load_task(name)
    figure = plot_connectivity(pruned(task, kept=0.02), task, title="trial 17: score 0.990\ncost 8.4  Q 0.38")
    assert_legible(figure)
    assert len(collections(figure, CircleCollection)) == len(task.network.wiring.neurons)


def test_output_names_that_do_not_fit_are_abbreviated_and_explained() -> None:
    task = load_task("feature_sharing")
    assert not any("=" in word for word in words(plot_connectivity(pruned(task), task)))
    names = tuple(" + ".join(f"x{i}" for i in range(n)) for n in (14, 15, 16))
    figure = plot_connectivity(pruned(task), replace(task, output_names=names))
    assert {"y₁", "y₂", "y₃"} <= set(words(figure))
    key = [word.replace("\N{NO-BREAK SPACE}", " ") for word in words(figure) if "=" in word]
    assert len(key) == 3 and key[-1].startswith("y₁ = x₀ + x₁ + x₂")  # drawn from below
    assert_legible(figure)


def test_titles_are_plain_text_that_fits() -> None:
    task = load_task("two_moons")
    figure = plot_connectivity(pruned(task), task, title="$5 and $6 " + 40 * "very long ")
    assert_legible(figure)
    assert sum(word.startswith("$5 and $6 very") and word.endswith("…") for word in words(figure)) == 1
    figure = plot_connectivity(pruned(task), task, title=r"$\frac$")
    assert r"$\frac$" in words(figure)
    to_png(figure)


def test_missing_networks_are_rejected() -> None:
    task = load_task("two_moons")
    for plot in (plot_connectivity, plot_network_3d):
        with pytest.raises(ValueError, match="network must be between 0 and 0, got 1"):
            plot(pruned(task), task, 1)


def test_weak_weights_among_many_are_faint() -> None:
    ratios = []
    for n in (40, 10):
        network = MLP((n, n))
        figure = plot_connectivity(initialise(network, [0]), task_of(network))
        opacity = collections(figure, LineCollection)["network.weight0"].get_colors()[:, 3]
        ratios.append(opacity[0] / opacity[-1])
    assert ratios[0] < 0.3 and ratios[1] == 1


# In perspective


@pytest.mark.parametrize("name", ["digits", "delayed_response"])
def test_weights_in_perspective_are_lines_between_their_neurons(name: str) -> None:
    task = load_task(name)
    population = pruned(task, kept=0.1)
    figure = plot_network_3d(population, task)
    plates = np.stack([path.vertices for path in collections(figure, PolyCollection)["network.plates"].get_paths()])
    assert len(plates) == 4 and (np.diff(plates[..., 1].mean(1)) > 0).all()
    assert_weights_are_lines(population, figure)


def test_outputs_in_perspective_are_named_at_their_neurons() -> None:
    task = load_task("digits")
    before = pruned(task, kept=0.3)
    for population in (before, reversed_ends(replace(before, network=replace(before.network, fixed_inputs=False)))):
        figure = plot_network_3d(population, replace(task, network=population.network))
        drawn = centres(figure, "network.output")
        for place, label in enumerate(population.output_labels[0].tolist()):
            position = next(text.get_position() for text in figure.texts if text.get_text() == str(label))
            assert np.abs(drawn - position).sum(1).argmin() == place


def test_strongest_lines_in_perspective_have_the_colours_of_choice() -> None:
    network = MLP(((8, 8), (8, 8), 10), ring_outputs=True)
    figure = plot_network_3d(initialise(network, [0]), replace(load_task("digits"), network=network), colours="paper")
    lines = collections(figure, LineCollection)["network.weight0"]
    assert len(lines.get_segments()) == MOST_LINES
    assert {to_hex(colour) for colour in lines.get_colors()} == {"#0000ff", "#ff0000"}
    assert lines.get_linewidths()[-1] == max(lines.get_linewidths())


@pytest.mark.parametrize(("value", "message"), [(np.nan, "weights not finite"), (0.0, "no active weight")])
def test_a_network_without_weights_in_perspective_has_a_message(value: float, message: str) -> None:
    task = load_task("digits")
    population = pruned(task)
    population.flat[:] = value
    figure = plot_network_3d(population, task)
    assert message in words(figure) and not collections(figure, LineCollection)
    to_png(figure)


def test_neurons_on_lines_are_rejected_in_perspective() -> None:
    task = load_task("independence")
    with pytest.raises(ValueError, match=r"needs neurons on grids, those of 'input' \(task 'independence'\) have"):
        plot_network_3d(pruned(task), task)
