"""Predictions: predicted against true values."""

import numpy as np
from matplotlib.figure import Figure

from bimt_core.pictures.canvas import Floats
from bimt_core.pictures.chart import create_chart, create_message, set_titles
from bimt_core.pictures.palette import MUTED, NEGATIVE, POSITIVE
from bimt_core.pictures.subject import BROKEN, select_network, task_title
from bimt_core.pictures.text import format_name
from bimt_core.population import Population
from bimt_core.tasks import Task

WIDE, NARROW = 190.0, 130.0  # heights of panels, in points
MOST, MOST_COLUMNS, ROWS = 12, 3, 1000  # outputs shown; side by side; test rows drawn


def plot_predictions(population: Population, task: Task, network: int = 0) -> Figure:
    """Plots predicted against true values of the test rows, one panel per output, with its R^2.

    Predictions on the grey diagonal are right. For sequences, the scored outputs at the last sequence index are shown.
    At most the first twelve outputs are shown.

    Args:
        population: Networks trained on the task.
        task: A task whose targets are values.
        network: Index of the network in the population.

    Raises:
        ValueError: If the targets are classes, or there is no such network.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("independence")
        >>> figure = plot_predictions(initialise(task.network, [0]), task)
    """
    if task.score_name == "accuracy":
        raise ValueError(f"predicted against true values needs values, the targets of task {task.name!r} are classes")
    one, title = select_network(population, network), f"{task_title(task)}: predicted against true values (test rows)"
    if not one.flat.isfinite().all():
        return create_message(title, BROKEN)
    predicted, true = one.predict(task.test_inputs.cpu())[0], task.test_targets.cpu()
    names = list(task.output_names)
    if true.ndim == 3:
        predicted, true = predicted[:, -1], true[:, -1]
    if task.scored is not None:
        which = task.scored[-1].cpu().nonzero().flatten().tolist()
        predicted, true, names = predicted[:, which], true[:, which], [names[i] for i in which]
    n = min(MOST, len(names))
    columns = max(2, min(MOST_COLUMNS, n))
    figure, panels = create_chart(title, n, columns=columns, height=(WIDE if columns < 3 else NARROW))
    for i, axes in enumerate(panels):
        x, y = (values[:, i].double().numpy() for values in (true, predicted))
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(ends, ends, color=MUTED, linewidth=0.8, zorder=1)
        axes.scatter(x[:ROWS], y[:ROWS], s=7, color=POSITIVE, edgecolors="none", alpha=0.7, gid=f"output{i}")
        fit = _r_squared(x, y)
        title = f"{format_name(names[i])}   R² = {fit:.4f}"
        set_titles(axes, title, "true", "predicted", colour=NEGATIVE if fit < 0 else "black")
    return figure


def _r_squared(true: Floats, predicted: Floats) -> float:
    """Computes 1 - residual / total sum of squares; NaN if the true values do not vary."""
    total = float(np.square(true - true.mean()).sum())
    return 1 - float(np.square(true - predicted).sum()) / total if total > 0 else float("nan")
