"""Diagrams of one network: the paper's connectivity diagram, and the same in perspective."""

from matplotlib.figure import Figure

from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import MARGIN, WIDTH, Canvas
from bimt_core.pictures.network.labels import PAD, Labels
from bimt_core.pictures.network.layout import make_layout
from bimt_core.pictures.network.legend import LEGEND_STEP, draw_legend
from bimt_core.pictures.network.panel import MOST_LINES, Panel, row_name_width
from bimt_core.pictures.network.projection import Flat, Perspective, find_bounds
from bimt_core.pictures.palette import Colours
from bimt_core.pictures.subject import select_network, task_title
from bimt_core.pictures.text import LINE, format_name
from bimt_core.population import Population
from bimt_core.tasks import Task
from bimt_core.wiring import is_active

LAYER_GAP, TALLEST = 84.0, 520.0  # between levels; of all gaps together; in points
PLATE_DEPTH = 0.2  # of a plate, as a fraction of its width
TITLE, LABEL = 11.0, 9.02  # font sizes
MOST_NAMED = 30  # outputs with a name each, in perspective


def plot_connectivity(
    population: Population,
    task: Task,
    network: int = 0,
    *,
    communities: Communities | None = None,
    title: str | None = None,
    colours: Colours = "safe",
) -> Figure:
    """Plots the paper's connectivity diagram of one network.

    Neurons are in rows by their positions, inputs at the bottom; neurons with positions of two dimensions are on
    plates seen from above. There is one row of inputs per token, and one row each for query, key and value of attention
    heads. Every active weight is a line: blue if positive, red if negative, as wide as |w| / the largest |w| of its
    layer (but always wide enough to be visible). Of a tensor with more than 4000 active weights the strongest 4000 are
    drawn, and the figure says so. Between plates and among many lines, weak weights are fainter. Neurons of one
    community share a colour. Neurons without an active weight are small and grey.

    If the outputs of a set of neurons come back to it, the set is drawn again above: a residual stream after each part
    that adds to it, with grey lines from every used neuron to itself, and recurrent neurons at time t + 1. A network
    without active weights, or with weights that are not finite, is drawn without lines and with a message.

    Args:
        population: Networks trained on the task.
        task: Names the inputs and outputs.
        network: Index of the network in the population.
        communities: Colour the neurons; found from |w| / layer maximum when left out.
        title: One or more lines, the first larger.
        colours: Colours of weights: "safe" for blue and orange-red, which everybody can tell apart, "paper" for pure
            blue and red.

    Raises:
        ValueError: If there is no such network, or `colours` is unknown.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> figure = plot_connectivity(initialise(task.network, [0]), task, title="untrained")
    """
    return create_diagram(select_network(population, network), task, title or "", communities, colours=colours)


def plot_network_3d(
    population: Population,
    task: Task,
    network: int = 0,
    *,
    communities: Communities | None = None,
    title: str | None = None,
    colours: Colours = "safe",
) -> Figure:
    """Plots a network whose neurons are on grids or rings in perspective, as the paper's figure of MNIST.

    Each set of neurons is a plate (recurrent neurons have two, at time t and t + 1), inputs at the bottom. Lines and
    colours are those of `plot_connectivity`.

    Args:
        population: Networks trained on the task.
        task: Names the outputs.
        network: Index of the network in the population.
        communities: Colour the neurons; found when left out.
        title: One or more lines; the task's name when left out.
        colours: Colours of weights.

    Raises:
        ValueError: If positions have not two dimensions, there is no such network, or `colours` is unknown.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("delayed_response")
        >>> figure = plot_network_3d(initialise(task.network, [0]), task)
    """
    one = select_network(population, network)
    for neurons in one.network.wiring.neurons:
        if neurons.positions.shape[1] != 2:
            raise ValueError(
                f"a figure in three dimensions needs neurons on grids, those of {neurons.name!r} "
                f"(task {task.name!r}) have positions of {neurons.positions.shape[1]}"
            )
    return create_diagram(one, task, title or task_title(task), communities, colours=colours, perspective=True)


def create_diagram(
    one: Population,
    task: Task,
    title: str,
    communities: Communities | None,
    *,
    colours: Colours = "safe",
    perspective: bool = False,
    below: float = 0.0,
) -> Figure:
    """Creates a figure of one network with row names, labels, title and legend.

    Args:
        one: A population of one network.
        task: Names the inputs and outputs.
        title: One or more lines, the first larger.
        communities: Colour the neurons; found when None.
        colours: Colours of weights.
        perspective: Whether to draw plates in perspective.
        below: Free space under the legend, in points.
    """
    rows = make_layout(one.network.wiring)
    left = MARGIN + row_name_width(rows)
    width = WIDTH - MARGIN - left
    gap, depth = min(LAYER_GAP, TALLEST / rows.gaps), PLATE_DEPTH * width
    key: list[str] = []
    if perspective:
        names = list(map(format_name, task.output_names))
        inputs, outputs = Labels([], 0.0), Labels(names, LABEL if len(names) <= MOST_NAMED else 0.0)
    else:
        inputs = Labels.fit(task.input_names, rows.inputs, width, depth, LABEL)
        outputs, key = Labels.abbreviate(task.output_names, rows.outputs, width, depth, LABEL)
    if any(is_active(one.tensors[wire.tensor]).sum() > MOST_LINES for wire in one.network.wiring.weights):
        key.append(f"Of the weights of each tensor only the {MOST_LINES:,} strongest are drawn.")
    bottom = MARGIN + LEGEND_STEP * (1 + len(key)) + inputs.height + 2.5 * PAD
    projection = Perspective.fit(rows, left, bottom, width) if perspective else Flat(left, bottom, width, gap, depth)
    top = find_bounds(projection, rows)[1, 1] + outputs.height + 1.5 * PAD + LINE * TITLE * len(title.splitlines())
    canvas = Canvas.create(WIDTH, top + MARGIN / 2, below=below)
    panel = Panel(canvas, rows, projection, colours)
    communities = panel.draw_network(one, inputs, outputs, "network", communities)
    panel.write_title(title, top, TITLE)
    panel.write_row_names()
    draw_legend(canvas, communities, key, carried=bool(rows.carried), colours=colours)
    return canvas.figure
