"""Predictions: what a network says against what is true."""

import numpy as np
from matplotlib.figure import Figure

from bimt_core.pictures.canvas import MUTED, Floats
from bimt_core.pictures.chart import chart, entitle, nothing
from bimt_core.pictures.network.labels import readable
from bimt_core.pictures.network.legend import NEGATIVE, POSITIVE
from bimt_core.pictures.subject import BROKEN, select_network, task_title
from bimt_core.population import Population
from bimt_core.tasks import Task

WIDE, NARROW = 190.0, 130.0  # heights of panels, in points
MOST, MOST_COLUMNS, ROWS = 12, 3, 1000  # outputs shown; side by side; test rows drawn


def plot_predictions(population: Population, task: Task, network: int = 0) -> Figure:
    """Predicted against true values on the test rows, a panel an output, with its R^2.

    On the grey diagonal a prediction is right. Of sequences, the last place is shown, and there the outputs that are
    scored; of more than twelve outputs the first twelve.

    Args:
        population: Networks trained on the task.
        task: A task whose targets are values.
        network: Which network of the population.

    Raises:
        ValueError: If the targets are classes, or there is no such network.
    """
    if task.score_name == "accuracy":
        raise ValueError(f"predicted against true values needs values, the targets of task {task.name!r} are classes")
    one, title = (
        select_network(population, network),
        f"{task_title(task)}: predicted against true values of the test rows",
    )
    if not one.flat.isfinite().all():
        return nothing(title, BROKEN)
    predicted, true = one.predict(task.test_inputs.cpu())[0], task.test_targets.cpu()
    names = list(task.output_names)
    if true.ndim == 3:
        predicted, true = predicted[:, -1], true[:, -1]
    if task.scored is not None:
        which = task.scored[-1].cpu().nonzero().flatten().tolist()
        predicted, true, names = predicted[:, which], true[:, which], [names[i] for i in which]
    n = min(MOST, len(names))
    columns = max(2, min(MOST_COLUMNS, n))
    figure, panels = chart(title, n, columns=columns, height=(WIDE if columns < 3 else NARROW))
    for i, axes in enumerate(panels):
        x, y = (values[:, i].double().numpy() for values in (true, predicted))
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(ends, ends, color=MUTED, linewidth=0.8, zorder=1)
        axes.scatter(x[:ROWS], y[:ROWS], s=7, color=POSITIVE, edgecolors="none", alpha=0.7, gid=f"output{i}")
        fit = r_squared(x, y)
        name = readable(names[i])
        entitle(axes, f"{name}   R² = {fit:.4f}", "true", "predicted", colour=NEGATIVE if fit < 0 else "black")
    return figure


def r_squared(true: Floats, predicted: Floats) -> float:
    """1 - residual / total sum of squares; NaN where the true values do not vary."""
    total = float(np.square(true - true.mean()).sum())
    return 1 - float(np.square(true - predicted).sum()) / total if total > 0 else float("nan")
