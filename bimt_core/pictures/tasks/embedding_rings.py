"""Embedding rings: how each community of a network arranges the tokens."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import fclusterdata

from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import INK, MUTED, Floats
from bimt_core.pictures.chart import chart, entitle, nothing
from bimt_core.pictures.network.legend import COMMUNITY, INACTIVE, OTHER
from bimt_core.pictures.subject import (
    communities_of,
    embedding_of,
    find_fault,
    select_network,
    task_title,
    tensors_of,
    token_names,
)
from bimt_core.population import Population
from bimt_core.tasks import Task

MOST, MOST_COLUMNS = 6, 3
TOKEN = 5.5  # font size
CROWDED, MOST_NAMES = 2.4, 2  # tokens share a label within this part / tokens of the range; so many are named


def plot_embedding_rings(
    population: Population, task: Task, network: int = 0, *, communities: Communities | None = None
) -> Figure:
    """The first two principal components of the embedding's columns of each community, as the paper's rings.

    The columns are the values that the community's input neurons have for each token. Where tokens are numbers, grey
    lines join each to the one `step` further, with the step that makes the lines shortest: tokens on a ring are then
    joined round it. Of more than six communities the largest six with input neurons are drawn.

    Args:
        population: Networks trained on the task.
        task: Whose inputs are tokens.
        network: Which network of the population.
        communities: Found when left out.

    Raises:
        ValueError: If there is no trainable embedding, or no such network.
    """
    one = select_network(population, network)
    wire, inputs = embedding_of(one, task), one.network.wiring.inputs.name
    title = (
        f"{task_title(task)}: what each community makes of the tokens\nprincipal components of its embedding columns"
    )
    why = find_fault(one)
    if why:
        return nothing(title, why)
    members = communities_of(one, communities).members
    places = [(i, sorted(place for name, place in some if name == inputs)) for i, some in enumerate(members)]
    found = [(i, some) for i, some in places if some][:MOST]
    if not found:
        return nothing(title, "no community has input neurons")
    columns = max(2, min(MOST_COLUMNS, len(found)))
    figure, panels = chart(title, len(found), columns=columns, height=150 if columns > 2 else 200)
    values = tensors_of(one)[wire.tensor].double().numpy()
    for axes, (i, some) in zip(panels, found, strict=True):
        _draw(axes, values[:, some], token_names(task, len(values)), i)
    return figure


def components(values: Floats) -> tuple[Floats, float]:
    """The first two principal components.

    Args:
        values: Shape (rows, columns).

    Returns:
        Shape (rows, 2), the second 0 where there is but one column; and which part of the variance they explain.
    """
    left, sizes, _ = np.linalg.svd(values - values.mean(0), full_matrices=False)
    scores = np.zeros((len(values), 2))
    scores[:, : len(sizes)] = (left * sizes)[:, :2]
    total = float((sizes**2).sum())
    return scores, float((sizes[:2] ** 2).sum()) / total if total else 0.0


def ring_step(points: Floats) -> int:
    """How far to go on from each number modulo their count, so that the way is shortest, at most half of them."""
    steps = range(1, len(points) // 2 + 1)
    ways = [float(np.linalg.norm(np.roll(points, -step, axis=0) - points, axis=1).sum()) for step in steps]
    return 1 + int(np.argmin(ways))


def _draw(axes: Axes, values: Floats, names: list[str], community: int) -> None:
    points, explained = components(values)
    colour = COMMUNITY[community] if community < len(COMMUNITY) else OTHER
    n = values.shape[1]
    neurons = f"{n} neuron" if n == 1 else f"{n} neurons"
    told = f"{neurons}, {100 * explained:.0f} % of the variance"
    if names == list(map(str, range(len(names)))):
        step = ring_step(points)
        joined = np.stack([points, np.roll(points, -step, axis=0)], axis=1)
        axes.add_collection(LineCollection(list(joined), colors=INACTIVE, linewidths=0.8, zorder=1, gid="steps"))
        told += f", step {step}"
    axes.scatter(points[:, 0], points[:, 1], s=9, color=colour, edgecolors="none", gid=f"community{community}")
    for text, at in _labels(points, names):
        axes.annotate(text, at, (0, 2), textcoords="offset points", ha="center", fontsize=TOKEN, color=INK)
    entitle(axes, f"community {community + 1}", told)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.12)
    axes.set_aspect("equal", adjustable="datalim")
    axes.axhline(0, color=INACTIVE, linewidth=0.5, zorder=0)
    axes.axvline(0, color=INACTIVE, linewidth=0.5, zorder=0)
    axes.title.set_color(colour if community < len(COMMUNITY) else MUTED)


def _labels(points: Floats, names: list[str]) -> list[tuple[str, tuple[float, float]]]:
    """Label and place of every group of tokens that (nearly) share a place: the first few names, and how many more."""
    if len(points) < 2:
        return [(names[0].split()[0], (0.0, 0.0))]
    nearby = CROWDED / len(points) * max(float(np.ptp(points, axis=0).max()), 1e-12)
    groups: dict[int, list[int]] = {}
    for i, group in enumerate(fclusterdata(points, nearby, criterion="distance", method="complete").tolist()):
        groups.setdefault(group, []).append(i)
    found = []
    for some in groups.values():
        words = [names[i].split()[0] for i in some]
        more = [f"+{len(words) - MOST_NAMES}"] if len(words) > MOST_NAMES + 1 else words[MOST_NAMES:]
        x, y = points[some].mean(0).tolist()
        found.append(("\n".join(words[:MOST_NAMES] + more), (x, y)))
    return found
