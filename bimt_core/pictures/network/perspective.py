"""A network of grids in three dimensions: plates of neurons above each other, seen in perspective."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure

from bimt_core.modularity import Communities, Node
from bimt_core.pictures.canvas import INK, MARGIN, MUTED, WIDTH, Canvas, Floats
from bimt_core.pictures.chart import PANEL_TITLE, TITLE
from bimt_core.pictures.network.labels import LEGEND_TEXT, LINE, beside, readable
from bimt_core.pictures.network.layout import Layout, Row, layout
from bimt_core.pictures.network.legend import COMMUNITY, INACTIVE, OTHER, PLATE, Colours, draw_legend, signs
from bimt_core.pictures.network.panel import active_entries
from bimt_core.pictures.subject import communities_of, find_fault, select_network, task_title, tensors_of
from bimt_core.population import Population
from bimt_core.tasks import Task
from bimt_core.wiring import Wiring

TURN, TILT, DISTANCE = math.radians(24), math.radians(32), 7.0  # of the camera; in sides of a plate
APART = 0.72  # plates, in their sides
MOST_LINES, WIDEST, FAINTEST = 2000, 3.0, 0.08
SMALL, LARGE, OPAQUE, CLEAR = 1.4, 8.0, 0.85, 0.12
FEW = 30  # neurons with a name each
ROW_NAMES = 46.0  # room for them, in points

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def plot_network_3d(
    population: Population,
    task: Task,
    network: int = 0,
    *,
    communities: Communities | None = None,
    title: str | None = None,
    colours: Colours = "safe",
) -> Figure:
    """A network whose neurons stand on grids or rings, in perspective, as the paper's picture of MNIST.

    Each plate is a layer (recurrent neurons have two, at one time and the next), inputs at the bottom. Weights are
    lines as in `connectivity`, weak ones fainter; of each tensor at most the 2000 strongest are drawn.

    Args:
        population: Networks trained on the task.
        task: Names the outputs.
        network: Which network of the population.
        communities: Colour the neurons; found when left out.
        title: A line or more; the task's name when left out.
        colours: Of weights.

    Raises:
        ValueError: If positions have not two dimensions, there are no such colours, or no such network.
    """
    one = select_network(population, network)
    wiring, rows_of = one.network.wiring, layout(one.network.wiring)
    for neurons in wiring.neurons:
        if neurons.positions.shape[1] != 2:
            raise ValueError(
                f"a picture in three dimensions needs neurons on grids, those of {neurons.name!r} "
                f"(task {task.name!r}) have positions of {neurons.positions.shape[1]}"
            )
    why, lines = find_fault(one), (title or task_title(task)).splitlines()
    found = communities_of(one, communities) if why is None else Communities(0.0, ())
    header, footer = 2 * MARGIN + LINE * (TITLE + PANEL_TITLE * (len(lines) - 1)), 2.5 * MARGIN
    scene = _scene(wiring, rows_of, footer)
    canvas = Canvas.of(WIDTH, scene.top + header)
    for i, text in enumerate(lines):
        y = scene.top + header - MARGIN / 2 - LINE * (TITLE / 2 + i * PANEL_TITLE)
        canvas.text(WIDTH / 2, y, text, TITLE if i == 0 else PANEL_TITLE, INK if i == 0 else MUTED)
    canvas.areas(np.stack(scene.plates), PLATE, INACTIVE, "plates")
    used = [np.zeros(len(points), dtype=bool) for points in scene.points]
    if why is None:
        for tensor, values in tensors_of(one).items():
            if tensor in rows_of.targets:
                _draw_lines(canvas, scene, rows_of, tensor, active_entries(values), used, colours)
    for i, row in enumerate(rows_of.rows):
        _draw_neurons(canvas, row, scene.points[i], used[i], found, i)
        canvas.text(MARGIN, scene.plates[i][:, 1].mean(), row.name, LEGEND_TEXT, MUTED, ha="left")
    _name_outputs(canvas, one, task, scene.points[rows_of.rows.index(rows_of.outputs)])
    if why:
        box = {"facecolor": "white", "edgecolor": INACTIVE}
        canvas.text(WIDTH / 2, (footer + scene.top) / 2, why, PANEL_TITLE, MUTED, bbox=box)
    draw_legend(canvas, [], len(found), colours=colours)
    return canvas.figure


@dataclass(frozen=True)
class _Scene:
    """Where everything is on the canvas, in points.

    Args:
        points: Of the neurons of each row, shape (n, 2).
        plates: Corners of the plate of each row, shape (4, 2).
        top: The highest of all.
    """

    points: list[Floats]
    plates: list[Floats]
    top: float


def _scene(wiring: Wiring, rows_of: Layout, bottom: float) -> _Scene:
    """All rows above each other, as wide as the canvas allows."""
    low = min(0.0, *(n.positions.min().item() for n in wiring.neurons))
    high = max(1.0, *(n.positions.max().item() for n in wiring.neurons))
    points, plates = [], []
    for level, row in enumerate(rows_of.rows):
        at = (wiring[row.copy.neurons].positions.cpu().double().numpy() - low) / (high - low)
        middle = level - (len(rows_of.rows) - 1) / 2
        points.append(seen(_in_space(at, middle)))
        plates.append(seen(_in_space(np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)]), middle)))
    corners = np.concatenate(plates)
    left = MARGIN + ROW_NAMES
    scale = (WIDTH - left - 2 * MARGIN) / np.ptp(corners[:, 0])
    shift = np.array([left, bottom]) - scale * corners.min(0)
    points, plates = ([scale * some + shift for some in those] for those in (points, plates))
    return _Scene(points, plates, float(max(some[:, 1].max() for some in plates)))


def _in_space(positions: Floats, level: float) -> Floats:
    """(row, column) on a plate as (across, back, up), shape (n, 3); the first row is far, as the top of an image."""
    row, column = positions.T
    return np.stack([column - 0.5, 0.5 - row, np.full(len(row), APART * level)], axis=1)


def seen(points: Floats) -> Floats:
    """Points in space as a camera sees them from the front, a little from the side and from above.

    Args:
        points: (across, back, up), shape (n, 3), the camera looking at the origin.

    Returns:
        (across, up) in the picture, shape (n, 2); what is nearer is larger.
    """
    x, y, z = points.T
    across, back = x * math.cos(TURN) - y * math.sin(TURN), x * math.sin(TURN) + y * math.cos(TURN)
    up, away = z * math.cos(TILT) + back * math.sin(TILT), back * math.cos(TILT) - z * math.sin(TILT)
    in_picture: Floats = np.stack([across, up], axis=1) / (1 + away / DISTANCE)[:, None]
    return in_picture


def _draw_lines(
    canvas: Canvas,
    scene: _Scene,
    rows_of: Layout,
    tensor: str,
    entries: tuple[Ints, Ints, Floats],
    used: list[Bools],
    colours: Colours,
) -> None:
    to, of, values = entries
    if not len(values):
        return
    ends = []
    for rows, index in ((rows_of.sources[tensor], of), (rows_of.targets[tensor], to)):
        fold, place = np.divmod(index, len(scene.points[rows[0]]))
        for i, row in enumerate(rows):
            used[row][place[fold == i]] = True
        ends.append(np.stack([scene.points[row] for row in rows])[fold, place])
    strength = np.abs(values) / np.abs(values).max()
    order = strength.argsort(kind="stable")[-MOST_LINES:]  # the strongest on top
    strength, many = strength[order], math.sqrt(min(1.0, 150 / len(order)))
    shades = to_rgba_array(signs(colours))[(values[order] < 0).astype(int)]
    shades[:, 3] = OPAQUE * (CLEAR + (1 - CLEAR) * strength) * math.sqrt(many)
    canvas.lines(np.stack(ends, axis=1)[order], WIDEST * many * np.maximum(strength, FAINTEST), shades, tensor)


def _draw_neurons(canvas: Canvas, row: Row, points: Floats, used: Bools, found: Communities, level: int) -> None:
    colour: dict[Node, str] = {}
    for i, members in enumerate(found.members):
        colour |= dict.fromkeys(members, COMMUNITY[i] if i < len(COMMUNITY) else OTHER)
    nodes = [(row.copy.neurons, place) for place in range(len(points))]
    colours = [colour.get(node, OTHER) if there else INACTIVE for node, there in zip(nodes, used, strict=True)]
    size = max(SMALL, min(LARGE, 150 / math.sqrt(len(points)) / 2.4))
    canvas.circles(points, np.where(used, 1.0, 0.5) * size, colours, f"row{level}")


def _name_outputs(canvas: Canvas, one: Population, task: Task, points: Floats) -> None:
    if len(points) > FEW:
        return
    halo = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.4}
    for label, spot in zip(one.output_labels[0].tolist(), beside(points), strict=True):
        canvas.text(spot.x, spot.y, readable(task.output_names[label]), 8.5, ha=spot.ha, va=spot.va, bbox=halo)
