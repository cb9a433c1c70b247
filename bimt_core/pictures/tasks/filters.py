"""Filters: the weights of the first layer of a network of images, as images."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from bimt_core.modularity import ACTIVE
from bimt_core.pictures.canvas import INK, MARGIN, WIDTH, Floats
from bimt_core.pictures.chart import BETWEEN, BOTTOM, DIVERGING, LEFT, bare, chart, entitle, nothing, plain
from bimt_core.pictures.network.legend import POSITIVE
from bimt_core.pictures.subject import find_fault, select_network, task_title, tensors_of
from bimt_core.population import Population
from bimt_core.tasks import Task
from bimt_core.wiring import Wire, Wiring

MOST, COLUMNS = 100, 12
SCORES, PICTURE = 90.0, 60.0  # height of the chart of scores, largest width of an image, in points


def plot_filters(population: Population, task: Task, network: int = 0, *, most: int = MOST) -> Figure:
    """The first-layer weights of each hidden neuron as an image, highest score first, over score against rank.

    A neuron's score is sum |w in| + sum |w out|, as relocation takes it. Each image has its own scale: blue is the
    largest |w|, orange-red minus it, white 0; neurons without an active incoming weight are left out.

    Args:
        population: Networks trained on the task.
        task: Whose inputs stand on a grid, such as the pixels of an image.
        network: Which network of the population.
        most: Images shown.

    Raises:
        ValueError: If the inputs stand on no grid, or there is no such network.
    """
    one, title = (
        select_network(population, network),
        f"{task_title(task)}: what each neuron of the first hidden layer looks at",
    )
    wiring = one.network.wiring
    shape, wire = image_shape(wiring, task.name), first_layer(wiring)
    why = find_fault(one)
    if why:
        return nothing(title, why)
    tensors = tensors_of(one)
    weight, scores = tensors[wire.tensor].double(), neuron_strengths(wiring, tensors, wire.ends[0].neurons)
    images = np.zeros((len(weight), math.prod(shape)))
    images[:, one.input_labels[0].numpy()] = weight.numpy()  # as the pixels are numbered, wherever they sit
    used = np.flatnonzero(np.abs(images).max(1) > ACTIVE)
    ranked = sorted(used.tolist(), key=lambda i: -scores[i].item())[:most]
    if not ranked:
        return nothing(title, "no hidden neuron has an active incoming weight")
    columns = min(COLUMNS, len(ranked))
    mosaic = _mosaic(images[ranked].reshape(-1, *shape), columns)
    told = f"{len(used)} of {len(images)} neurons have active weights, highest score first"
    foot = SCORES + BETWEEN + BOTTOM
    width = columns * min(PICTURE, (WIDTH - 2 * MARGIN) / columns)
    height = width * mosaic.shape[0] / mosaic.shape[1]
    figure, (above,) = chart(f"{title}\n{told}", 1, columns=1, height=height, left=MARGIN, bottom=4, foot=foot)
    above.imshow(mosaic, cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest", gid="filters")
    bare(above)
    above.set_anchor("W")
    total = 72 * figure.get_figheight()
    below = figure.add_axes((LEFT / WIDTH, BOTTOM / total, 1 - (LEFT + MARGIN) / WIDTH, SCORES / total))
    plain(below)
    every = scores.sort(descending=True).values.numpy()
    below.plot(
        np.arange(1, len(every) + 1), every, color=POSITIVE, marker="o", markersize=2.5, linewidth=1, gid="scores"
    )
    entitle(below, "score against rank", "rank", "sum |w|")
    below.axvline(len(used) + 0.5, color=INK, linewidth=0.6, linestyle=":")
    return figure


def image_shape(wiring: Wiring, name: str) -> tuple[int, int]:
    """Rows and columns of the grid that inputs stand on.

    Raises:
        ValueError: If they stand on no grid that is fully occupied.
    """
    positions = wiring.inputs.positions
    if positions.shape[1] == 2:
        rows, columns = (len(positions[:, i].unique()) for i in range(2))
        if rows * columns == len(positions) and min(rows, columns) > 1:
            return rows, columns
    raise ValueError(f"filters need inputs on a grid, those of task {name!r} stand on none")


def first_layer(wiring: Wiring) -> Wire:
    """The first weight that reads the inputs."""
    return next(wire for wire in wiring.weights if wire.ends[1].neurons == wiring.inputs.name)


def neuron_strengths(wiring: Wiring, tensors: Mapping[str, Tensor], neurons: str) -> Tensor:
    """Score of each neuron of a set, sum |w in| + sum |w out|; shape (n,)."""
    total = tensors[wiring.weights[0].tensor].new_zeros(len(wiring[neurons])).double()
    for wire in wiring.weights:
        for dimension, end in enumerate(wire.ends):
            if end.neurons == neurons:
                sums = tensors[wire.tensor].double().abs().sum(1 - dimension)
                total += sums.unflatten(0, (end.folds, -1)).sum(0)
    return total


def _mosaic(images: Floats, columns: int) -> Floats:
    """Images side by side, each divided by its largest entry, with a gap of NaN between them."""
    n, height, width = images.shape
    rows, gap = math.ceil(n / columns), max(1, round(0.1 * width))
    mosaic = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for i, image in enumerate(images / np.abs(images).max((1, 2), keepdims=True)):
        row, column = divmod(i, columns)
        y, x = row * (height + gap), column * (width + gap)
        mosaic[y : y + height, x : x + width] = image
    return mosaic
