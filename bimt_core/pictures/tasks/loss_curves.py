"""Loss curves: how each term of the loss goes along a training."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bimt_core.pictures.canvas import MUTED
from bimt_core.pictures.chart import LEFT, TEXT, chart, entitle
from bimt_core.pictures.network.legend import COMMUNITY, NEGATIVE, POSITIVE

PANELS: dict[str, dict[str, str]] = {
    "prediction loss": {"train_loss": POSITIVE, "test_loss": NEGATIVE},
    "connection cost": {"connection_cost": COMMUNITY[0]},
}


def plot_loss_curves(rows: Sequence[tuple[int, Mapping[str, float]]], *, title: str = "Training") -> Figure:
    """Prediction loss (train and test) and connection cost against the step.

    Axes are logarithmic where all values are above 0. Values that are not finite leave a gap.

    Args:
        rows: Step and figures by name, as `measure` calls them: train_loss, test_loss, connection_cost; others are
            not shown, and those that a row lacks neither.
        title: Over the panels.

    Raises:
        ValueError: If there are no rows, or none has one of these figures.
    """
    if not rows:
        raise ValueError("loss curves need at least 1 row of (step, figures), got none")
    shown = {p: [n for n in names if any(n in figures for _, figures in rows)] for p, names in PANELS.items()}
    shown = {panel: names for panel, names in shown.items() if names}
    if not shown:
        raise ValueError(f"loss curves need one of {', '.join(_all_names())}, got {', '.join(sorted(rows[0][1]))}")
    figure, panels = chart(title, len(shown), columns=len(shown), height=160, left=LEFT + 8)
    for axes, (panel, names) in zip(panels, shown.items(), strict=True):
        positive = True
        for name in names:
            steps = [step for step, figures in rows if name in figures]
            values = [float(figures[name]) for _, figures in rows if name in figures]
            finite = [value for value in values if math.isfinite(value)]
            positive &= bool(finite) and min(finite) > 0
            label = name.replace("_", " ")
            marker = "o" if len(steps) < 60 else ""
            axes.plot(steps, values, color=PANELS[panel][name], linewidth=1.3, marker=marker, markersize=2, label=label)
        if positive:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            low, high = axes.get_ylim()
            axes.yaxis.set_minor_formatter("{x:g}" if high < 10 * low else NullFormatter())
        axes.grid(axis="y", linewidth=0.4, alpha=0.5)
        entitle(axes, panel, "step")
        axes.tick_params(which="both", labelsize=TEXT, colors=MUTED)
        if len(names) > 1:
            axes.legend(fontsize=TEXT, frameon=False)
    return figure


def _all_names() -> list[str]:
    return [name for names in PANELS.values() for name in names]
