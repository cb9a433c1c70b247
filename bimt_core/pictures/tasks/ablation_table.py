"""The ablation table: a network's score with every subset of its communities."""

import math
from dataclasses import replace

from matplotlib.figure import Figure

from bimt_core.modularity import Communities
from bimt_core.pictures.chart import TEXT, create_chart, create_message, set_titles
from bimt_core.pictures.palette import COMMUNITY, INACTIVE, INK, MUTED
from bimt_core.pictures.subject import find_communities, find_fault, select_network, task_title
from bimt_core.population import Population
from bimt_core.surgery import score_subset_ablations
from bimt_core.tasks import Task

MOST, ROWS = 4, 2000
ROW = 13.0  # height, in points
DOT_COLUMN = 0.09  # width of the column of a community, as a fraction of the range of scores


def plot_ablation_table(
    population: Population,
    task: Task,
    network: int = 0,
    *,
    communities: Communities | None = None,
    max_communities: int = MOST,
) -> Figure:
    """Plots the test score for every subset of the largest communities, with the others of them ablated.

    Each row is a subset: full dots are communities that are kept, empty ones are ablated, and the bar is the score.
    Neurons of smaller communities are kept. At most the first 2000 test rows are used.

    Args:
        population: Networks trained on the task.
        task: The task.
        network: Index of the network in the population.
        communities: Found when left out.
        max_communities: Number of communities to ablate; each doubles the rows.

    Raises:
        ValueError: If there is no such network, or `max_communities` is out of range; see `score_subset_ablations`.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> figure = plot_ablation_table(initialise(task.network, [0]), task)
    """
    one, title = select_network(population, network), f"{task_title(task)}: {task.score_name} without some communities"
    if fault := find_fault(one):
        return create_message(title, fault)
    communities, task = find_communities(one, communities), task.to("cpu")
    few = replace(task, test_inputs=task.test_inputs[:ROWS], test_targets=task.test_targets[:ROWS])
    scores = score_subset_ablations(one, few, 0, communities, max_communities)
    order = sorted(scores, key=lambda kept: -sum(kept))  # among equal numbers, the largest communities first
    n = len(order[0])
    figure, (axes,) = create_chart(title, 1, columns=1, height=ROW * len(order))
    finite = [score for score in scores.values() if math.isfinite(score)]
    low = max(min(0.0, *finite), -1.0)  # how far an R^2 is below -1 does not matter
    step = DOT_COLUMN * (1 - low)
    ends = [max(scores[kept], low) for kept in order]
    colours = [INK] + [MUTED] * (len(order) - 1)
    axes.barh(range(len(order)), [end - low for end in ends], left=low, height=0.62, color=colours, gid="score")
    for row, (kept, end) in enumerate(zip(order, ends, strict=True)):
        axes.text(end + 0.01, row, f"{scores[kept]:.3f}", va="center", fontsize=TEXT, color=INK, parse_math=False)
    x, y = [low - (n - i) * step for i in range(n)] * len(order), [row for row in range(len(order)) for _ in range(n)]
    faces = [COMMUNITY[i] if is_kept else "white" for kept in order for i, is_kept in enumerate(kept)]
    edges = [INACTIVE if face == "white" else face for face in faces]
    axes.scatter(x, y, s=34, c=faces, edgecolors=edges, linewidths=1.0, gid="kept")
    axes.set(ylim=(len(order) - 0.4, -0.6), xlim=(low - (n + 0.6) * step, 1.12), yticks=[])
    axes.set_xticks([tick for tick in (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0) if tick >= low])
    axes.spines["left"].set_visible(False)
    sizes = ", ".join(str(len(members)) for members in communities.members[:n])
    set_titles(axes, "", f"test {task.score_name}   (communities of {sizes} neurons, largest first)")
    return figure
