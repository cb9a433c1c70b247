"""Decision regions: which class a network sees at every point of the plane, under its connectivity diagram."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import INK, MARGIN, WIDTH, Floats
from bimt_core.pictures.chart import BOTTOM, TEXT, entitle, note, plain, shades
from bimt_core.pictures.network.diagram import compose
from bimt_core.pictures.network.labels import readable
from bimt_core.pictures.subject import BROKEN, select_network, task_title
from bimt_core.population import Population
from bimt_core.tasks import Task

# Neither the colours of weights nor of communities.
CLASSES = ("#4a5a78", "#c2a05a", "#6f9e8c", "#a8678a", "#8a8f3c", "#7f6bb3", "#b56a55", "#5f9bb8", "#3c3c3c", "#a9a9a9")
LEFT, HEIGHT, LARGEST_WIDTH = 64.0, 230.0, 330.0  # of the region, in points
FINENESS, BORDER = 160, 0.12  # points along a side; how far the region goes beyond the data, as a part of their range
PALE = 0.45  # how much of a class's colour is in its region


def plot_decision_regions(
    population: Population,
    task: Task,
    network: int = 0,
    *,
    communities: Communities | None = None,
    title: str | None = None,
) -> Figure:
    """What class one network sees where, with the training points, under its connectivity diagram, as in the paper.

    The colour of a point of the plane is that of its classes, mixed by their probabilities (of one-hot values: the
    colour of the largest). Dark lines are borders between classes.

    Args:
        population: Networks trained on the task.
        task: Classes of points in the plane.
        network: Which network of the population.
        communities: Colours the neurons; found when left out.
        title: Of the diagram; the task's name when left out.

    Raises:
        ValueError: If the task has no classes, or not two inputs, or there is no such network.
    """
    check_classes_of_points(task)
    one, room = select_network(population, network), BOTTOM + HEIGHT + MARGIN
    figure = compose(one, task, [title or task_title(task)], [communities], room=room)
    height = figure.get_figheight() * 72
    x, y = task.inputs.cpu().double().numpy().T
    low, high = (np.array([f(x), f(y)]) for f in (np.min, np.max))
    low, high = low - BORDER * (high - low), high + BORDER * (high - low)
    width = min(LARGEST_WIDTH, HEIGHT * float(np.divide(*(high - low))))
    axes = figure.add_axes((LEFT / WIDTH, BOTTOM / height, width / WIDTH, HEIGHT / height))
    plain(axes)
    entitle(axes, "", *map(readable, task.input_names))
    if one.flat.isfinite().all():
        _draw_regions(axes, one, task, low, high)
        _draw_points(axes, task)
    else:
        note(axes, BROKEN)
    return figure


def check_classes_of_points(task: Task) -> None:
    """Whether there are decision regions to draw.

    Raises:
        ValueError: If the task has no classes, or not two inputs.
    """
    if task.loss_name != "cross_entropy" and not task.one_hot:
        raise ValueError(f"decision regions need classes, the targets of task {task.name!r} are values")
    if task.network.takes_tokens or task.inputs.ndim != 2 or task.inputs.shape[1] != 2:
        raise ValueError(f"decision regions need two inputs, task {task.name!r} has {len(task.input_names)}")


def _draw_regions(axes: Axes, one: Population, task: Task, low: Floats, high: Floats) -> None:
    across, up = (np.linspace(*ends, FINENESS) for ends in zip(low, high, strict=True))
    points = np.stack(np.meshgrid(across, up), axis=2).reshape(-1, 2)
    outputs = one.predict(torch.from_numpy(points).to(task.inputs.dtype))[0]
    chances = _chances(outputs, task).double().numpy().reshape(FINENESS, FINENESS, -1)
    colours = np.array([to_rgb(colour) for colour in shades(CLASSES, chances.shape[2])])
    image = 1 - PALE * (1 - chances @ colours)
    step = (high - low) / (FINENESS - 1) / 2  # an image ends half a pixel beyond its outer points
    extent = (low[0] - step[0], high[0] + step[0], low[1] - step[1], high[1] + step[1])
    axes.imshow(image.clip(0, 1), extent=extent, origin="lower", aspect="auto", interpolation="bilinear", gid="regions")
    for k in range(chances.shape[2] if chances.shape[2] > 2 else 1):
        ahead = chances[..., k] - np.delete(chances, k, axis=2).max(2)
        if ahead.min() < 0 < ahead.max():
            axes.contour(across, up, ahead, levels=[0.0], colors=[INK], linewidths=1.2)


def _chances(outputs: Tensor, task: Task) -> Tensor:
    """Probability of each class, shape (points, classes); of one-hot values 1 for the largest."""
    if task.loss_name == "cross_entropy":
        return outputs.softmax(1)
    return torch.nn.functional.one_hot(outputs.argmax(1), outputs.shape[1])


def _draw_points(axes: Axes, task: Task) -> None:
    labels = task.targets.argmax(1) if task.one_hot else task.targets
    points = task.inputs.cpu().double().numpy()
    for k, name in enumerate(task.output_names):
        here = points[(labels == k).cpu().numpy()]
        dots = axes.scatter(here[:, 0], here[:, 1], s=11, color=CLASSES[k % len(CLASSES)], edgecolors="white")
        dots.set(gid=f"points{k}", linewidths=0.5, label=readable(name))
    axes.legend(
        title="training points",
        title_fontsize=TEXT,
        fontsize=TEXT,
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1, 1),
        borderpad=0,
        handletextpad=0.1,
    )
