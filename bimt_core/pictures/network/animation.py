"""Animation of a training: one connectivity diagram per step, as a GIF."""

import io
from collections.abc import Sequence

import torch
from PIL import Image, ImageOps
from scipy.optimize import linear_sum_assignment

from bimt_core.cost import published_cost
from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import reduce_colours, to_image
from bimt_core.pictures.network.diagram import plot_connectivity
from bimt_core.pictures.palette import Colours
from bimt_core.pictures.subject import find_communities, find_fault, select_network, task_title
from bimt_core.population import Population
from bimt_core.tasks import Task

DPI = 75
LAST = 3  # display time of the last frame, in display times of the others


def render_animation(
    history: Sequence[Population],
    task: Task,
    network: int = 0,
    *,
    steps: Sequence[int] | None = None,
    frame_s: float = 0.4,
    colours: Colours = "safe",
) -> bytes:
    """Renders one network's training as an animated GIF: connectivity diagrams with step, test loss and cost.

    Places stay where they are; neurons move, with their labels. Communities keep their colours from frame to frame as
    far as they share neurons.

    Args:
        history: At least 2 populations of the same networks, in the order of the frames.
        task: The task.
        network: Index of the network in the populations.
        steps: Training step of each population; None if unknown.
        frame_s: Display time of a frame, in seconds.
        colours: Colours of weights; see `plot_connectivity`.

    Raises:
        ValueError: If there are fewer than 2 populations, not one step per population, no such network, or `frame_s`
            is not above 0.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> render_animation([initialise(task.network, [seed]) for seed in (0, 1)], task)[:3]
        b'GIF'
    """
    if len(history) < 2:
        raise ValueError(f"an animation needs a history of at least 2 populations, got {len(history)}")
    if steps is not None and len(steps) != len(history):
        raise ValueError(f"steps must be one per population: {len(history)} populations, got {len(steps)}")
    if not frame_s > 0:
        raise ValueError(f"frame_s must be above 0, got {frame_s}")
    first, *others = map(reduce_colours, _draw_frames(history, task, network, steps, colours))
    file, milliseconds = io.BytesIO(), round(1000 * frame_s)
    durations = [milliseconds] * len(others) + [LAST * milliseconds]
    first.save(file, "gif", save_all=True, append_images=others, duration=durations, loop=0, optimize=False)
    return file.getvalue()


def _draw_frames(
    history: Sequence[Population], task: Task, network: int, steps: Sequence[int] | None, colours: Colours
) -> list[Image.Image]:
    """Draws all frames at the same size."""
    images, communities, task = [], Communities(0.0, ()), task.to("cpu")
    for i, population in enumerate(history):
        one = select_network(population, network)
        if find_fault(one) is None:
            communities = _match_colours(find_communities(one, quick=True), communities)
        loss = task.loss(one.predict(task.test_inputs), task.test_targets).item()
        cost = published_cost(one.network.wiring, one.flat, task.per_network).item()
        step = f"{i + 1} of {len(history)}" if steps is None else f"step {steps[i]:,}"
        title = f"{task_title(task)}, {step}\ntest loss {loss:.2e}   connection cost {cost:.3g}"
        figure = plot_connectivity(one, task, communities=communities, title=title, colours=colours)
        images.append(to_image(figure, DPI))
    size = images[0].width, max(image.height for image in images)
    return [ImageOps.pad(image, size, color="white", centering=(0.5, 0.0)) for image in images]


def _match_colours(communities: Communities, previous: Communities) -> Communities:
    """Reorders communities so that each takes the number of the previous one that it shares most neurons with."""
    n = max(len(communities), len(previous))
    shared = torch.zeros(n, n, dtype=torch.int64)
    for i, members in enumerate(communities.members):
        for j, others in enumerate(previous.members):
            shared[j, i] = len(members & others)
    _, chosen = linear_sum_assignment(shared.numpy(), maximize=True)
    padded = [*communities.members, *[frozenset[tuple[str, int]]()] * n]
    return Communities(communities.modularity, tuple(padded[i] for i in chosen.tolist()))
