"""Pictures of networks: the paper's connectivity diagram and contact sheets of many.

Everything is drawn straight onto a canvas, without axes and without pyplot, so a diagram takes milliseconds.
"""

import math
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from bimt_core.modularity import ACTIVE, Communities
from bimt_core.pictures.canvas import MARGIN, WIDTH, Canvas
from bimt_core.pictures.network.labels import LINE, PAD, Labels, readable
from bimt_core.pictures.network.layout import Layout, Row, layout
from bimt_core.pictures.network.legend import LEGEND_STEP, Colours, draw_legend
from bimt_core.pictures.network.panel import MOST_LINES, Panel, room_for_names
from bimt_core.pictures.subject import EMPTY, communities_of, find_fault, make_drawable, tensors_of
from bimt_core.population import Population
from bimt_core.tasks import Task

LAYER_GAP, TALLEST = 84.0, 520.0  # between levels of a single diagram; of all gaps together; in points
PLATE_DEPTH = 0.2  # of a plate, as a part of its width
LARGE_TITLE, SMALL_TITLE = 11.0, 8.0  # font sizes
LABEL = 0.82  # labels as a part of the title's size
MOST_COLUMNS = 6


def plot_connectivity(
    population: Population,
    task: Task,
    network: int = 0,
    *,
    communities: Communities | None = None,
    title: str | None = None,
    colours: Colours = "safe",
) -> Figure:
    """The paper's connectivity diagram of one network.

    Neurons stand in rows by their positions, or on plates seen from above where they have two dimensions, inputs at the
    bottom (one row a token where there are several, and one for query, key and value of attention heads). Every active
    weight is a line: blue positive, red negative, its width |w| / the largest |w| of its layer (but always enough to be
    seen). Of a tensor with more than 4000 active weights the strongest 4000 are drawn, and the picture says so; between
    plates, weak weights and many are also fainter. Neurons of one community share a colour; those without an active
    weight are small and grey.

    What a set of neurons writes may come back to it. Then the set is drawn again above: a residual stream after each
    part that adds to it, with grey lines from every neuron in use to itself, and recurrent neurons at time t + 1.

    Args:
        population: Networks trained on the task.
        task: Names the inputs and outputs.
        network: Which network of the population.
        communities: Colours the neurons; found from |w| / layer maximum when left out.
        title: A line or more; the first is larger.
        colours: Of weights: "safe" for blue and orange-red, which everybody tells apart, "paper" for pure blue and red.

    Returns:
        The figure. A network without active weights, or with weights that are not finite, is drawn without lines and
        says so.

    Raises:
        ValueError: If there are no such colours.
    """
    return compose(population.select([network]), task, [title or ""], [communities], colours=colours)


def contact_sheet(
    population: Population, task: Task, titles: Sequence[str], *, communities: Sequence[Communities | None] = ()
) -> Figure:
    """Small connectivity diagrams of all networks, row by row.

    Output names that would not fit are abbreviated to y1, y2, ... and explained below; other labels that would not fit
    are left out.

    Args:
        population: Networks trained on the task, 1 to about 32.
        task: Names the inputs and outputs.
        titles: One or two short lines a network.
        communities: Of each network; found when left out.

    Raises:
        ValueError: If there is not one title a network, or there are communities but not of each.
    """
    if len(titles) != len(population):
        raise ValueError(f"titles must be one a network: {len(population)} networks, got {len(titles)}")
    if len(communities) not in (0, len(population)):
        raise ValueError(f"communities must be one a network: {len(population)} networks, got {len(communities)}")
    return compose(population, task, titles, communities or [None] * len(population))


def compose(
    population: Population,
    task: Task,
    titles: Sequence[str],
    communities: Sequence[Communities | None],
    *,
    colours: Colours = "safe",
    room: float = 0.0,
) -> Figure:
    """Panels, one a network, in a grid, over a legend.

    Args:
        population: The networks.
        task: Names the inputs and outputs.
        titles: One a network.
        communities: Of each network; None for those that are to be found.
        colours: Of weights.
        room: What is left free under it all, in points.
    """
    n, rows_of = len(population), layout(population.network.wiring)
    columns = min(math.ceil(math.sqrt(n)), MOST_COLUMNS)
    rows, single = math.ceil(n / columns), columns == 1
    left = MARGIN + (room_for_names(rows_of) if single else 0)
    width = (WIDTH - left) / columns - MARGIN
    gap, depth = _lengths(rows_of, width, single=single)
    title_size = LARGE_TITLE if single else SMALL_TITLE
    fit_inputs, fit_outputs = (_fit(row, width, depth, title_size) for row in (rows_of.inputs, rows_of.outputs))
    inputs = fit_inputs(list(map(readable, task.input_names)))
    outputs, key = Labels.abbreviated(list(map(readable, task.output_names)), fit_outputs)
    key += _left_out(population)

    title_height = LINE * title_size * max(len(title.splitlines()) for title in titles)
    below, above = inputs.height + 2.5 * PAD, outputs.height + 1.5 * PAD + title_height
    height = rows_of.gaps * gap + rows_of.depths * depth
    panel_height = below + height + above
    footer = MARGIN + LEGEND_STEP * (1 + len(key))
    canvas = Canvas.of(WIDTH, footer + rows * panel_height + MARGIN / 2, below=room)
    there: list[int] = []
    for i in range(n):
        row, column = divmod(i, columns)
        top = footer + (rows - row) * panel_height
        at = left + column * (width + MARGIN), top - above - height
        panel = Panel(canvas, rows_of, *at, width, gap, depth, colours)
        one = population.select([i]).to("cpu")
        found = _draw(panel, one, communities[i], f"network{i}", quick=not single)
        there = [number for number, some in enumerate(found.members) if some]
        panel.label(population.input_labels[i], inputs, rows_of.inputs)
        panel.label(population.output_labels[i], outputs, rows_of.outputs)
        panel.title(titles[i], top, title_size)
        if single:
            panel.name_rows()
    n_communities = len(there) if n == 1 else None
    draw_legend(canvas, key, n_communities, carried=bool(rows_of.carried), colours=colours, which=there)
    return canvas.figure


def _lengths(rows: Layout, width: float, *, single: bool) -> tuple[float, float]:
    """The gap between levels and the depth of plates; many levels stand closer."""
    gap = min(LAYER_GAP, TALLEST / rows.gaps) if single else max(16.0, min(0.2 * width, 1.2 * width / rows.gaps))
    return gap, PLATE_DEPTH * width


def _fit(row: Row, width: float, depth: float, title_size: float) -> Callable[[list[str]], Labels]:
    """Makes labels that fit to a row."""
    size = LABEL * title_size
    if row.is_plate:
        return lambda texts: Labels.around(texts, row.places * (width, depth), (width, depth), size)
    return lambda texts: Labels.fitting(texts, width * row.spacing, size)


def _left_out(population: Population) -> list[str]:
    """A line that tells of lines that are not drawn."""
    tensors = population.tensors
    active = (tensors[wire.tensor].abs() > ACTIVE for wire in population.network.wiring.weights)
    if all((weight.sum((1, 2)) <= MOST_LINES).all() for weight in active):
        return []
    return [f"Of the weights of each tensor only the {MOST_LINES:,} strongest are drawn."]


def _draw(panel: Panel, one: Population, communities: Communities | None, name: str, *, quick: bool) -> Communities:
    """Draws a population of one network; returns its communities."""
    shown = make_drawable(one)
    communities = communities_of(shown, communities, quick=quick)
    if not panel.draw(tensors_of(shown), communities, name):
        panel.say(find_fault(one) or EMPTY)
    return communities
