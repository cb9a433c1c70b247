"""The ablation grid: small diagrams of several tasks (rows) trained in several ways (columns), with their figures."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from matplotlib.figure import Figure

from bimt_core.cost import published_cost
from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import INK, MARGIN, MUTED, WIDTH, Canvas
from bimt_core.pictures.network.labels import LINE, PAD, Labels, readable, shortened
from bimt_core.pictures.network.layout import Layout, Row, layout
from bimt_core.pictures.network.legend import Colours, draw_legend
from bimt_core.pictures.network.panel import Panel
from bimt_core.pictures.subject import BROKEN, communities_of, find_fault, task_title, tensors_of
from bimt_core.population import Population
from bimt_core.tasks import Task

HEADING, FIGURES, LABEL = 9.0, 7.0, 6.6  # font sizes
ROW_NAME = 20.0  # room for what a row is called, written on end, in points
HEIGHT = 0.95  # of a diagram, as a part of its width


@dataclass(frozen=True)
class _Line:
    """A row of the grid.

    Args:
        task: The task.
        rows_of: The rows of its networks.
        populations: By method.
    """

    task: Task
    rows_of: Layout
    populations: Mapping[str, Population]


def plot_variant_grid(
    networks: Mapping[str, Mapping[str, Population]], tasks: Mapping[str, Task], *, colours: Colours = "safe"
) -> Figure:
    """Connectivity diagrams of every task (row) and method (column), as the paper's comparison of what BIMT is made of.

    Under each diagram stand the score on the test rows, the connection cost (with the task's published weight factor
    and layer distance) and Newman's Q of |w| / layer maximum. Of each population the first network is shown; a task
    may lack a method, whose place then stays empty.

    Args:
        networks: By task and by method, in the order in which they are shown.
        tasks: By the same names.
        colours: Of weights; see `connectivity`.

    Raises:
        ValueError: If there is no network, a task is unknown, or networks of one task differ in shape.
    """
    methods = list(dict.fromkeys(method for row in networks.values() for method in row))
    if not methods:
        raise ValueError("an ablation grid needs at least 1 network, got none")
    lines = [_line(name, row, tasks) for name, row in networks.items() if row]
    width = (WIDTH - MARGIN - ROW_NAME) / len(methods) - MARGIN
    labels = [_labels(line, width) for line in lines]
    heights = [inputs.height + outputs.height + 2 * PAD for inputs, outputs in labels]
    beneath = 2 * LINE * FIGURES + 12
    footer, header = MARGIN + 20, MARGIN + 1.6 * HEADING
    canvas = Canvas.of(WIDTH, footer + sum(heights) + len(lines) * (HEIGHT * width + beneath) + header)
    top = 72 * canvas.figure.get_figheight() - header
    for column, method in enumerate(methods):
        x = ROW_NAME + MARGIN + column * (width + MARGIN) + width / 2
        canvas.text(x, top + 0.5 * HEADING, *shortened(method, HEADING, width))
    for line, (inputs, outputs), room in zip(lines, labels, heights, strict=True):
        bottom = top - room - HEIGHT * width
        name, size = shortened(task_title(line.task), HEADING, room + HEIGHT * width)
        canvas.text(ROW_NAME / 2 + 2, (top + bottom) / 2, name, size, rotation=90)
        for column, method in enumerate(methods):
            if method not in line.populations:
                continue
            x = ROW_NAME + MARGIN + column * (width + MARGIN)
            gap, depth = _lengths(line.rows_of, width)
            panel = Panel(canvas, line.rows_of, x, bottom + inputs.height + PAD, width, gap, depth, colours)
            one = line.populations[method].select([0]).to("cpu")
            found = _draw(panel, one, f"{task_title(line.task)}.{method}")
            panel.label(one.input_labels[0], inputs, line.rows_of.inputs)
            panel.label(one.output_labels[0], outputs, line.rows_of.outputs)
            _tell(canvas, x + width / 2, bottom - 3, one, line.task, found, width)
        top = bottom - beneath
    draw_legend(canvas, [], None, colours=colours)
    return canvas.figure


def _line(name: str, row: Mapping[str, Population], tasks: Mapping[str, Task]) -> _Line:
    if name not in tasks:
        raise ValueError(f"tasks must hold {name!r}, they are {', '.join(tasks)}")
    wirings = [population.network.wiring for population in row.values()]
    shapes = [[(n.name, len(n)) for n in wiring.neurons] for wiring in wirings]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError(f"networks of task {name!r} must have equal shapes, got {len(set(map(str, shapes)))} of them")
    return _Line(tasks[name], layout(wirings[0]), row)


def _lengths(rows_of: Layout, width: float) -> tuple[float, float]:
    """The gap between levels and the depth of plates with which a diagram is as high as all others."""
    depth = 0.2 * width if rows_of.depths else 0.0
    return (HEIGHT * width - rows_of.depths * depth) / rows_of.gaps, depth


def _labels(line: _Line, width: float) -> tuple[Labels, Labels]:
    """Of inputs and outputs; outputs whose formulas do not fit are called y1, y2, ..."""

    def fit(row: Row, texts: list[str]) -> Labels:
        depth = _lengths(line.rows_of, width)[1]
        if row.is_plate:
            return Labels.around(texts, row.places * (width, depth), (width, depth), LABEL)
        return Labels.fitting(texts, width * row.spacing, LABEL)

    rows_of, task = line.rows_of, line.task
    inputs = fit(rows_of.inputs, list(map(readable, task.input_names)))
    outputs, _ = Labels.abbreviated(list(map(readable, task.output_names)), lambda texts: fit(rows_of.outputs, texts))
    return inputs, outputs


def _draw(panel: Panel, one: Population, name: str) -> Communities:
    """Draws a population of one network; returns its communities."""
    why = find_fault(one)
    if why:
        one = replace(one, flat=torch.zeros_like(one.flat))
    found = communities_of(one, None)
    panel.draw(tensors_of(one), found, name)
    if why:
        panel.say(why)
    return found


def _tell(canvas: Canvas, x: float, top: float, one: Population, task: Task, found: Communities, width: float) -> None:
    """Writes a network's figures."""
    score = task.score(one.predict(task.test_inputs.cpu()), task.test_targets.cpu()).item()
    told = (
        f"{readable(task.score_name)} {score:.3f}",
        f"cost {published_cost(one.network.wiring, one.flat, task.per_network).item():.3g}   Q {found.modularity:.2f}",
    )
    for i, text in enumerate(told if find_fault(one) != BROKEN else ()):
        y = top - (i + 0.5) * LINE * FIGURES
        canvas.text(x, y, *shortened(text, FIGURES, width), INK if i == 0 else MUTED)
