"""Embedding rings: the arrangement of tokens in each community of a network."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import fclusterdata

from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import Floats
from bimt_core.pictures.chart import create_chart, create_message, set_titles
from bimt_core.pictures.palette import INACTIVE, INK, community_colour
from bimt_core.pictures.subject import (
    find_communities,
    find_embedding,
    find_fault,
    select_network,
    task_title,
    token_names,
)
from bimt_core.population import Population
from bimt_core.tasks import Task

MOST, MOST_COLUMNS = 6, 3
TOKEN = 5.5  # font size
CROWDED, MOST_NAMES = 2.4, 2  # tokens nearer than CROWDED / n of the range share a label; names in a label


def plot_embedding_rings(
    population: Population, task: Task, network: int = 0, *, communities: Communities | None = None
) -> Figure:
    """Plots the first two principal components of each community's embedding columns, as the paper's rings.

    The columns are the values of the community's input neurons for each token. If tokens are numbers, grey lines join
    each to the one `step` further, with the step for which the lines are shortest: tokens on a ring are then joined
    around it. At most the six largest communities with input neurons are drawn.

    Args:
        population: Networks trained on the task.
        task: A task whose inputs are tokens.
        network: Index of the network in the population.
        communities: Found when left out.

    Raises:
        ValueError: If there is no trainable embedding, or no such network.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("modular_addition")
        >>> figure = plot_embedding_rings(initialise(task.network, [0]), task)
    """
    one = select_network(population, network)
    values, inputs = find_embedding(one, task).double().numpy(), one.network.wiring.inputs.name
    title = f"{task_title(task)}: tokens in each community\nprincipal components of its embedding columns"
    if fault := find_fault(one):
        return create_message(title, fault)
    members = find_communities(one, communities).members
    places = [(i, sorted(place for name, place in nodes if name == inputs)) for i, nodes in enumerate(members)]
    shown = [(i, own) for i, own in places if own][:MOST]
    if not shown:
        return create_message(title, "no community has input neurons")
    columns = max(2, min(MOST_COLUMNS, len(shown)))
    figure, panels = create_chart(title, len(shown), columns=columns, height=150 if columns > 2 else 200)
    for axes, (i, own) in zip(panels, shown, strict=True):
        _draw_panel(axes, values[:, own], token_names(task, len(values)), i)
    return figure


def _principal_components(values: Floats) -> tuple[Floats, float]:
    """Computes the first two principal components, shape (rows, 2), and the fraction of the variance they explain."""
    left, sizes, _ = np.linalg.svd(values - values.mean(0), full_matrices=False)
    scores = np.zeros((len(values), 2))
    scores[:, : len(sizes)] = (left * sizes)[:, :2]
    total = float((sizes**2).sum())
    return scores, float((sizes[:2] ** 2).sum()) / total if total else 0.0


def _ring_step(points: Floats) -> int:
    """Finds the step for which the path from each point to the one `step` further (modulo n) is shortest."""
    steps = range(1, len(points) // 2 + 1)
    lengths = [float(np.linalg.norm(np.roll(points, -step, axis=0) - points, axis=1).sum()) for step in steps]
    return 1 + int(np.argmin(lengths))


def _draw_panel(axes: Axes, values: Floats, names: list[str], community: int) -> None:
    points, explained = _principal_components(values)
    n = values.shape[1]
    subtitle = f"{n} neuron{'' if n == 1 else 's'}, {100 * explained:.0f} % of the variance"
    if names == list(map(str, range(len(names)))):
        step = _ring_step(points)
        ends = np.stack([points, np.roll(points, -step, axis=0)], axis=1)
        axes.add_collection(LineCollection(list(ends), colors=INACTIVE, linewidths=0.8, zorder=1, gid="steps"))
        subtitle += f", step {step}"
    colour = community_colour(community)
    axes.scatter(points[:, 0], points[:, 1], s=9, color=colour, edgecolors="none", gid=f"community{community}")
    for text, at in _label_groups(points, names):
        axes.annotate(text, at, (0, 2), textcoords="offset points", ha="center", fontsize=TOKEN, color=INK)
    set_titles(axes, f"community {community + 1}", subtitle)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.12)
    axes.set_aspect("equal", adjustable="datalim")
    axes.axhline(0, color=INACTIVE, linewidth=0.5, zorder=0)
    axes.axvline(0, color=INACTIVE, linewidth=0.5, zorder=0)


def _label_groups(points: Floats, names: list[str]) -> list[tuple[str, tuple[float, float]]]:
    """Returns label and position of every group of nearby tokens: the first few names, and the number of others."""
    if len(points) < 2:
        return [(names[0].split()[0], (0.0, 0.0))]
    nearby = CROWDED / len(points) * max(float(np.ptp(points, axis=0).max()), 1e-12)
    groups: dict[int, list[int]] = {}
    for i, number in enumerate(fclusterdata(points, nearby, criterion="distance", method="complete").tolist()):
        groups.setdefault(number, []).append(i)
    labels = []
    for group in groups.values():
        words = [names[i].split()[0] for i in group]
        more = [f"+{len(words) - MOST_NAMES}"] if len(words) > MOST_NAMES + 1 else words[MOST_NAMES:]
        x, y = points[group].mean(0).tolist()
        labels.append(("\n".join(words[:MOST_NAMES] + more), (x, y)))
    return labels
