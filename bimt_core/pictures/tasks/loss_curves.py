"""Loss curves: each term of the loss during training."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bimt_core.pictures.chart import LEFT, TEXT, create_chart, set_titles
from bimt_core.pictures.palette import COMMUNITY, MUTED, NEGATIVE, POSITIVE

PANELS: dict[str, dict[str, str]] = {
    "prediction loss": {"train_loss": POSITIVE, "val_loss": NEGATIVE},
    "connection cost": {"connection_cost": COMMUNITY[0]},
}


def plot_loss_curves(rows: Sequence[tuple[int, Mapping[str, float]]], *, title: str = "Training") -> Figure:
    """Plots prediction loss (on training and validation rows) and connection cost against the step.

    Axes are logarithmic if all values are above 0. Values that are not finite leave a gap.

    Args:
        rows: Step and metrics by name, as in `measure`. Only train_loss, val_loss and connection_cost are shown, each
            of them at the rows that have it.
        title: Title above the panels.

    Raises:
        ValueError: If there are no rows, or none has one of these metrics.

    Examples:
        >>> figure = plot_loss_curves([(0, {"train_loss": 1.0}), (100, {"train_loss": 0.1})])
    """
    if not rows:
        raise ValueError("loss curves need at least 1 row of (step, metrics), got none")
    shown = {p: [n for n in names if any(n in metrics for _, metrics in rows)] for p, names in PANELS.items()}
    shown = {panel: names for panel, names in shown.items() if names}
    if not shown:
        known = ", ".join(name for panel in PANELS.values() for name in panel)
        raise ValueError(f"loss curves need one of {known}, got {', '.join(sorted(rows[0][1]))}")
    figure, panels = create_chart(title, len(shown), columns=len(shown), height=160, left=LEFT + 8)
    for axes, (panel, names) in zip(panels, shown.items(), strict=True):
        positive = True
        for name in names:
            steps = [step for step, metrics in rows if name in metrics]
            values = [float(metrics[name]) for _, metrics in rows if name in metrics]
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
        set_titles(axes, panel, "step")
        axes.tick_params(which="both", labelsize=TEXT, colors=MUTED)
        if len(names) > 1:
            axes.legend(fontsize=TEXT, frameon=False)
    return figure
