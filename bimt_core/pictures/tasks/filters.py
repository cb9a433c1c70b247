"""Filters: the weights of the first layer of an image network, as images."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from bimt_core.pictures.canvas import MARGIN, WIDTH, Floats
from bimt_core.pictures.chart import BETWEEN, BOTTOM, LEFT, create_chart, create_message, set_titles, style_axes
from bimt_core.pictures.palette import DIVERGING, INK, POSITIVE
from bimt_core.pictures.subject import find_fault, select_network, task_title, tensors_of
from bimt_core.population import Population
from bimt_core.tasks import Task
from bimt_core.wiring import Wiring, is_active

MOST, COLUMNS = 100, 12
CURVE, IMAGE = 90.0, 60.0  # height of the curve of strengths, largest width of an image, in points


def plot_filters(population: Population, task: Task, network: int = 0, *, most: int = MOST) -> Figure:
    """Plots the first-layer weights of each hidden neuron as an image, the strongest first, and all strengths.

    A neuron's strength is sum |w in| + sum |w out|, as in relocation. Each image has its own scale: blue is the largest
    |w|, orange-red minus that, white 0. Neurons without an active incoming weight are left out.

    Args:
        population: Networks trained on the task.
        task: A task whose inputs are on a grid, such as the pixels of an image.
        network: Index of the network in the population.
        most: Largest number of images.

    Raises:
        ValueError: If the inputs are not on a grid, or there is no such network.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("digits")
        >>> figure = plot_filters(initialise(task.network, [0]), task)
    """
    one, title = select_network(population, network), f"{task_title(task)}: incoming weights of the first hidden layer"
    wiring = one.network.wiring
    shape = _image_shape(wiring, task.name)
    wire = next(wire for wire in wiring.weights if wire.ends[1].neurons == wiring.inputs.name)
    if fault := find_fault(one):
        return create_message(title, fault)
    tensors = tensors_of(one)
    weight, strengths = tensors[wire.tensor].double(), _neuron_strengths(wiring, tensors, wire.ends[0].neurons)
    images = np.zeros((len(weight), math.prod(shape)))
    images[:, one.input_labels[0].numpy()] = weight.numpy()  # in the order of pixels, not of places
    used = np.flatnonzero(is_active(images).any(1))
    ranked = sorted(used.tolist(), key=lambda i: -strengths[i].item())[:most]
    if not ranked:
        return create_message(title, "no hidden neuron has an active incoming weight")
    columns = min(COLUMNS, len(ranked))
    mosaic = _mosaic(images[ranked].reshape(-1, *shape), columns)
    foot = CURVE + BETWEEN + BOTTOM
    width = columns * min(IMAGE, (WIDTH - 2 * MARGIN) / columns)
    height = width * mosaic.shape[0] / mosaic.shape[1]
    title += f"\n{len(used)} of {len(images)} neurons have active weights, strongest first"
    figure, (above,) = create_chart(title, 1, columns=1, height=height, left=MARGIN, bottom=4, foot=foot)
    above.imshow(mosaic, cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest", gid="filters")
    above.set_axis_off()
    above.set_anchor("W")
    total = 72 * figure.get_figheight()
    below = figure.add_axes((LEFT / WIDTH, BOTTOM / total, 1 - (LEFT + MARGIN) / WIDTH, CURVE / total))
    style_axes(below)
    every = strengths.sort(descending=True).values.numpy()
    ranks = range(1, len(every) + 1)
    below.plot(ranks, every, color=POSITIVE, marker="o", markersize=2.5, linewidth=1, gid="strengths")
    set_titles(below, "strength against rank", "rank", "sum |w|")
    below.axvline(len(used) + 0.5, color=INK, linewidth=0.6, linestyle=":")
    return figure


def _image_shape(wiring: Wiring, name: str) -> tuple[int, int]:
    """Returns the numbers of rows and columns of the grid of inputs."""
    positions = wiring.inputs.positions
    if positions.shape[1] == 2:
        rows, columns = (len(positions[:, i].unique()) for i in range(2))
        if rows * columns == len(positions) and min(rows, columns) > 1:
            return rows, columns
    raise ValueError(f"filters need inputs on a grid, those of task {name!r} are not")


def _neuron_strengths(wiring: Wiring, tensors: Mapping[str, Tensor], neurons: str) -> Tensor:
    """Computes sum |w in| + sum |w out| for each neuron of a set, shape (n,)."""
    total = tensors[wiring.weights[0].tensor].new_zeros(len(wiring[neurons])).double()
    for wire in wiring.weights:
        for dimension, end in enumerate(wire.ends):
            if end.neurons == neurons:
                sums = tensors[wire.tensor].double().abs().sum(1 - dimension)
                total += sums.unflatten(0, (end.folds, -1)).sum(0)
    return total


def _mosaic(images: Floats, columns: int) -> Floats:
    """Joins images, each divided by its largest entry, with gaps of NaN between them."""
    n, height, width = images.shape
    rows, gap = math.ceil(n / columns), max(1, round(0.1 * width))
    mosaic = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for i, image in enumerate(images / np.abs(images).max((1, 2), keepdims=True)):
        row, column = divmod(i, columns)
        y, x = row * (height + gap), column * (width + gap)
        mosaic[y : y + height, x : x + width] = image
    return mosaic
