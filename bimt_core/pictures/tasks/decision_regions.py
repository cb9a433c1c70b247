"""Decision regions: the class that a network predicts at every point of the plane, under its connectivity diagram."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch.nn.functional import one_hot

from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import MARGIN, WIDTH, Floats
from bimt_core.pictures.chart import BOTTOM, TEXT, set_titles, style_axes, write_message
from bimt_core.pictures.network.diagram import create_diagram
from bimt_core.pictures.palette import INK
from bimt_core.pictures.subject import BROKEN, select_network, task_title
from bimt_core.pictures.text import format_name
from bimt_core.population import Population
from bimt_core.tasks import Task

# Different from the colours of weights and communities.
CLASSES = ("#4a5a78", "#c2a05a", "#6f9e8c", "#a8678a", "#8a8f3c", "#7f6bb3", "#b56a55", "#5f9bb8", "#3c3c3c", "#a9a9a9")
LEFT, HEIGHT, LARGEST_WIDTH = 64.0, 230.0, 330.0  # of the region, in points
FINENESS, BORDER = 160, 0.12  # points along a side; margin around the data, as a fraction of their range
PALE = 0.45  # fraction of a class's colour in the colour of its region


def plot_decision_regions(
    population: Population,
    task: Task,
    network: int = 0,
    *,
    communities: Communities | None = None,
    title: str | None = None,
) -> Figure:
    """Plots the class that one network predicts at every point, with the training points, under its diagram.

    The colour of a point is that of all classes, mixed by their probabilities (of one-hot values: that of the
    largest). Dark lines are borders between classes.

    Args:
        population: Networks trained on the task.
        task: Classes of points in the plane.
        network: Index of the network in the population.
        communities: Colour the neurons; found when left out.
        title: Title of the diagram; the task's name when left out.

    Raises:
        ValueError: If the task has no classes, or not two inputs, or there is no such network.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> figure = plot_decision_regions(initialise(task.network, [0]), task)
    """
    if task.loss_name != "cross_entropy" and not task.one_hot:
        raise ValueError(f"decision regions need classes, the targets of task {task.name!r} are values")
    if task.network.takes_tokens or task.inputs.ndim != 2 or task.inputs.shape[1] != 2:
        raise ValueError(f"decision regions need two inputs, task {task.name!r} has {len(task.input_names)}")
    one = select_network(population, network)
    figure = create_diagram(one, task, title or task_title(task), communities, below=BOTTOM + HEIGHT + MARGIN)
    height = figure.get_figheight() * 72
    points = task.inputs.cpu().double().numpy()
    low, high = points.min(0), points.max(0)
    low, high = low - BORDER * (high - low), high + BORDER * (high - low)
    width = min(LARGEST_WIDTH, HEIGHT * float(np.divide(*(high - low))))
    axes = figure.add_axes((LEFT / WIDTH, BOTTOM / height, width / WIDTH, HEIGHT / height))
    style_axes(axes)
    set_titles(axes, "", *map(format_name, task.input_names))
    if one.flat.isfinite().all():
        _draw_regions(axes, one, task, low, high)
        _draw_points(axes, task)
    else:
        write_message(axes, BROKEN)
    return figure


def _draw_regions(axes: Axes, one: Population, task: Task, low: Floats, high: Floats) -> None:
    across, up = (np.linspace(*ends, FINENESS) for ends in zip(low, high, strict=True))
    points = np.stack(np.meshgrid(across, up), axis=2).reshape(-1, 2)
    outputs = one.predict(torch.from_numpy(points).to(task.inputs.dtype))[0]
    classes = outputs.softmax(1) if task.loss_name == "cross_entropy" else one_hot(outputs.argmax(1), outputs.shape[1])
    probabilities = classes.double().numpy().reshape(FINENESS, FINENESS, -1)
    colours = np.array([to_rgb(CLASSES[k % len(CLASSES)]) for k in range(probabilities.shape[2])])
    image = 1 - PALE * (1 - probabilities @ colours)
    step = (high - low) / (FINENESS - 1) / 2  # an image extends half a pixel beyond its outer points
    extent = (low[0] - step[0], high[0] + step[0], low[1] - step[1], high[1] + step[1])
    axes.imshow(image.clip(0, 1), extent=extent, origin="lower", aspect="auto", interpolation="bilinear", gid="regions")
    for k in range(probabilities.shape[2] if probabilities.shape[2] > 2 else 1):
        ahead = probabilities[..., k] - np.delete(probabilities, k, axis=2).max(2)
        if ahead.min() < 0 < ahead.max():
            axes.contour(across, up, ahead, levels=[0.0], colors=[INK], linewidths=1.2)


def _draw_points(axes: Axes, task: Task) -> None:
    labels = task.targets.argmax(1) if task.one_hot else task.targets
    points = task.inputs.cpu().double().numpy()
    for k, name in enumerate(task.output_names):
        own = points[(labels == k).cpu().numpy()]
        dots = axes.scatter(own[:, 0], own[:, 1], s=11, color=CLASSES[k % len(CLASSES)], edgecolors="white")
        dots.set(gid=f"points{k}", linewidths=0.5, label=format_name(name))
    at: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1), "borderpad": 0, "handletextpad": 0.1}
    axes.legend(title="training points", title_fontsize=TEXT, fontsize=TEXT, frameon=False, **at)
