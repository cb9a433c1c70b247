"""The variant grid: small diagrams of several tasks (rows) trained in several ways (columns), with their metrics."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from bimt_core.cost import published_cost
from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import MARGIN, WIDTH, Canvas
from bimt_core.pictures.network.labels import PAD, Labels
from bimt_core.pictures.network.layout import Layout, make_layout
from bimt_core.pictures.network.legend import draw_legend
from bimt_core.pictures.network.panel import Panel
from bimt_core.pictures.network.projection import Flat
from bimt_core.pictures.palette import INK, MUTED, Colours
from bimt_core.pictures.subject import BROKEN, find_fault, select_network, task_title
from bimt_core.pictures.text import LINE, fit_text, format_name
from bimt_core.population import Population
from bimt_core.tasks import Task

HEADING, METRICS, LABEL = 9.0, 7.0, 6.6  # font sizes
ROW_NAME = 20.0  # space for a task's name, rotated, in points
HEIGHT = 0.95  # of a diagram, as a fraction of its width


def plot_variant_grid(
    networks: Mapping[str, Mapping[str, Population]], tasks: Mapping[str, Task], *, colours: Colours = "safe"
) -> Figure:
    """Plots connectivity diagrams of every task (row) and variant (column), as the paper's comparison of methods.

    Under each diagram are the score on the test rows, the connection cost (with the task's published weight factor and
    layer distance) and Newman's Q of |w| / layer maximum. The first network of each population is shown. If a task
    lacks a variant, its cell stays empty.

    Args:
        networks: By task and by variant, in the order in which they are shown.
        tasks: By the same names.
        colours: Colours of weights; see `plot_connectivity`.

    Raises:
        ValueError: If there is no network, a task is unknown, or networks of one task differ in shape.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> variants = {f"seed {seed}": initialise(task.network, [seed]) for seed in (0, 1)}
        >>> figure = plot_variant_grid({"two_moons": variants}, {"two_moons": task})
    """
    variants = list(dict.fromkeys(variant for row in networks.values() for variant in row))
    if not variants:
        raise ValueError("a variant grid needs at least 1 network, got none")
    networks = {name: row for name, row in networks.items() if row}
    layouts = {name: _find_layout(name, row, tasks) for name, row in networks.items()}
    width = (WIDTH - MARGIN - ROW_NAME) / len(variants) - MARGIN
    labels = {name: _fit_labels(tasks[name], layout, width) for name, layout in layouts.items()}
    heights = {n: HEIGHT * width + inputs.height + outputs.height + 2 * PAD for n, (inputs, outputs) in labels.items()}
    beneath = 2 * LINE * METRICS + 12
    footer, header = MARGIN + 20, MARGIN + 1.6 * HEADING
    top = footer + sum(heights.values()) + len(heights) * beneath
    canvas = Canvas.create(WIDTH, top + header)
    lefts = {variant: ROW_NAME + MARGIN + i * (width + MARGIN) for i, variant in enumerate(variants)}
    for variant, left in lefts.items():
        canvas.write(left + width / 2, top + 0.5 * HEADING, *fit_text(variant, HEADING, width))
    for name, row in networks.items():
        task, (inputs, outputs), bottom = tasks[name], labels[name], top - heights[name]
        title, size = fit_text(task_title(task), HEADING, heights[name])
        canvas.write(ROW_NAME / 2 + 2, (top + bottom) / 2, title, size, rotation=90)
        for variant, population in row.items():
            flat = Flat(lefts[variant], bottom + inputs.height + PAD, width, *_spacing(layouts[name], width))
            panel, one = Panel(canvas, layouts[name], flat, colours), select_network(population, 0)
            found = panel.draw_network(one, inputs, outputs, f"{task_title(task)}.{variant}")
            if find_fault(one) != BROKEN:
                _write_metrics(canvas, lefts[variant] + width / 2, bottom - 3, one, task, found, width)
        top = bottom - beneath
    draw_legend(canvas, None, colours=colours)
    return canvas.figure


def _find_layout(name: str, row: Mapping[str, Population], tasks: Mapping[str, Task]) -> Layout:
    """Returns the layout that all networks of a task share."""
    if name not in tasks:
        raise ValueError(f"tasks must contain {name!r}, they are {', '.join(tasks)}")
    wirings = [population.network.wiring for population in row.values()]
    shapes = {tuple((n.name, len(n)) for n in wiring.neurons) for wiring in wirings}
    if len(shapes) > 1:
        raise ValueError(f"networks of task {name!r} must have equal shapes, got {len(shapes)} of them")
    return make_layout(wirings[0])


def _spacing(layout: Layout, width: float) -> tuple[float, float]:
    """Returns the gap between levels and the depth of plates with which all diagrams have the same height."""
    depth = 0.2 * width if layout.depths else 0.0
    return (HEIGHT * width - layout.depths * depth) / layout.gaps, depth


def _fit_labels(task: Task, layout: Layout, width: float) -> tuple[Labels, Labels]:
    """Fits labels of inputs and outputs; outputs whose formulas do not fit are called y1, y2, ..."""
    size = width, _spacing(layout, width)[1], LABEL
    outputs, _ = Labels.abbreviate(task.output_names, layout.outputs, *size)
    return Labels.fit(task.input_names, layout.inputs, *size), outputs


def _write_metrics(
    canvas: Canvas, x: float, top: float, one: Population, task: Task, communities: Communities, width: float
) -> None:
    score = task.score(one.predict(task.test_inputs.cpu()), task.test_targets.cpu()).item()
    cost = published_cost(one.network.wiring, one.flat, task.per_network).item()
    texts = f"{format_name(task.score_name)} {score:.3f}", f"cost {cost:.3g}   Q {communities.modularity:.2f}"
    for i, text in enumerate(texts):
        canvas.write(x, top - (i + 0.5) * LINE * METRICS, *fit_text(text, METRICS, width), INK if i == 0 else MUTED)
