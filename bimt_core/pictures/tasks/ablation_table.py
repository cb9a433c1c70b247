"""The knock-out table: a network's score with every subset of its communities."""

import math
from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import INK, MUTED
from bimt_core.pictures.chart import TEXT, chart, entitle, nothing
from bimt_core.pictures.network.legend import COMMUNITY, INACTIVE
from bimt_core.pictures.subject import communities_of, find_fault, select_network, task_title
from bimt_core.population import Population
from bimt_core.surgery import score_subset_ablations
from bimt_core.tasks import Task

MOST, LOOKED_AT = 4, 2000
ROW = 13.0  # height, in points
DOT_ROOM = 0.09  # width of the column of a community, as a part of the range of scores


def plot_ablation_table(
    population: Population, task: Task, network: int = 0, *, communities: Communities | None = None, most: int = MOST
) -> Figure:
    """The test score with every subset of the largest communities kept and the others of them knocked out.

    A row is a subset: full dots are communities that are kept, empty ones are knocked out, and the bar is the score.
    Neurons of smaller communities stay. Of more than 2000 test rows the first 2000 are looked at.

    Args:
        population: Networks trained on the task.
        task: The task.
        network: Which network of the population.
        communities: Found when left out.
        most: How many communities are kept or knocked out; each doubles the rows.

    Raises:
        ValueError: If there is no such network, or `most` is out of range; see `score_subset_ablations`.
    """
    one, title = (
        select_network(population, network),
        f"{task_title(task)}: {task.score_name} with some communities knocked out",
    )
    why = find_fault(one)
    if why:
        return nothing(title, why)
    found = communities_of(one, communities)
    scores = score_subset_ablations(one, _first_rows(task.to("cpu")), 0, found, most)
    order = sorted(scores, key=lambda kept: -sum(kept))  # of equal numbers, as they come: largest communities first
    n = len(order[0])
    figure, (axes,) = chart(title, 1, columns=1, height=ROW * len(order))
    low = min(0.0, *(score for score in scores.values() if math.isfinite(score)))
    low = max(low, -1.0)  # an R^2 far below 0 says no more than that
    step = DOT_ROOM * (1 - low)
    _draw_bars(axes, [scores[kept] for kept in order], low)
    dots = [(low - (n - i) * step, row) for row in range(len(order)) for i in range(n)]
    faces = [COMMUNITY[i] if is_kept else "white" for kept in order for i, is_kept in enumerate(kept)]
    edges = [INACTIVE if face == "white" else face for face in faces]
    across, up = zip(*dots, strict=True)
    axes.scatter(across, up, s=34, c=faces, edgecolors=edges, linewidths=1.0, gid="kept")
    axes.set(ylim=(len(order) - 0.4, -0.6), xlim=(low - (n + 0.6) * step, 1.12), yticks=[])
    axes.set_xticks([tick for tick in (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0) if tick >= low])
    axes.spines["left"].set_visible(False)
    sizes = ", ".join(str(len(some)) for some in found.members[:n])
    entitle(axes, "", f"test {task.score_name}   (communities of {sizes} neurons, largest first)")
    return figure


def _first_rows(task: Task) -> Task:
    return replace(task, test_inputs=task.test_inputs[:LOOKED_AT], test_targets=task.test_targets[:LOOKED_AT])


def _draw_bars(axes: Axes, scores: Sequence[float], low: float) -> None:
    """A bar and a number for each score, the first of the whole network."""
    ends = [max(score, low) for score in scores]
    colours = [INK] + [MUTED] * (len(scores) - 1)
    axes.barh(range(len(scores)), [end - low for end in ends], left=low, height=0.62, color=colours, gid="score")
    for row, (score, end) in enumerate(zip(scores, ends, strict=True)):
        axes.text(end + 0.01, row, f"{score:.3f}", va="center", fontsize=TEXT, color=INK, parse_math=False)
