"""A chart: panels with axes below a title, placed in points, in the look of the diagrams."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from bimt_core.pictures.canvas import FONT, INK, MARGIN, MUTED, WIDTH, Canvas
from bimt_core.pictures.network.labels import LINE, shortened
from bimt_core.pictures.network.legend import INACTIVE, NEGATIVE, POSITIVE

TITLE, PANEL_TITLE, TEXT = 11.0, 8.5, 7.5  # font sizes
LEFT, BOTTOM = 40.0, 34.0  # room for the numbers and names of axes, in points
BETWEEN = LINE * PANEL_TITLE + 4  # two rows of panels, on top of the lower axis' numbers; room for a panel's title
SIGNED = LinearSegmentedColormap.from_list("signs", [NEGATIVE, "#ffffff", POSITIVE])  # orange-red, white, blue
DIVERGING = SIGNED.with_extremes(bad="#e9edf1")


def chart(
    title: str,
    n: int,
    *,
    columns: int,
    height: float,
    left: float = LEFT,
    bottom: float = BOTTOM,
    foot: float = 0.0,
) -> tuple[Figure, list[Axes]]:
    """Panels in a grid, row by row, below a title.

    Args:
        title: A line or more; the first is larger.
        n: Number of panels, at least 1.
        columns: Room for panels side by side.
        height: Of a panel, in points.
        left: Room left of each panel for its axis, in points.
        bottom: Room below each panel for its axis, in points.
        foot: More room under them all, in points.

    Returns:
        The figure and its panels.
    """
    rows, lines = math.ceil(n / columns), title.splitlines()
    header = MARGIN + LINE * (TITLE + PANEL_TITLE * (len(lines) - 1)) + 4
    total = header + rows * (BETWEEN + height + bottom) + foot
    canvas = Canvas.of(WIDTH, total)
    for line, text in enumerate(lines):
        size = TITLE if line == 0 else PANEL_TITLE
        y = total - MARGIN - LINE * (TITLE / 2 + line * PANEL_TITLE + 0.08 * TITLE * (line > 0))
        fitting = shortened(text, size, WIDTH - 2 * MARGIN)
        canvas.text(MARGIN, y, *fitting, INK if line == 0 else MUTED, ha="left")
    width = (WIDTH - MARGIN) / columns
    panels = []
    for i in range(n):
        row, column = divmod(i, columns)
        x, y = column * width + left, total - header - (row + 1) * (BETWEEN + height) - row * bottom
        axes = canvas.figure.add_axes((x / WIDTH, y / total, (width - left - 4) / WIDTH, height / total))
        plain(axes)
        panels.append(axes)
    return canvas.figure, panels


def plain(axes: Axes) -> None:
    """Gives a panel the look of the diagrams: thin grey axes at the left and below, small print."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=INACTIVE, linewidth=0.8)
    axes.tick_params(labelsize=TEXT, colors=MUTED, labelfontfamily=FONT, length=2.5, width=0.8)


def entitle(axes: Axes, title: str, across: str = "", up: str = "", *, colour: str = INK) -> None:
    """Writes a panel's title and what its axes mean, as plain text."""
    how: dict[str, Any] = {"fontfamily": FONT, "parse_math": False}
    axes.set_title(title, fontsize=PANEL_TITLE, color=colour, loc="left", pad=4, **how)
    axes.set_xlabel(across, fontsize=TEXT, color=MUTED, labelpad=2, **how)
    axes.set_ylabel(up, fontsize=TEXT, color=MUTED, labelpad=2, **how)


def bare(axes: Axes) -> None:
    """Leaves a panel without axes."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def note(axes: Axes, text: str) -> None:
    """Writes a message into the middle of a panel that has nothing to show."""
    bare(axes)
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=PANEL_TITLE, color=MUTED)


def nothing(title: str, text: str) -> Figure:
    """A figure that says why there is nothing to see."""
    figure, (axes,) = chart(title, 1, columns=1, height=60)
    note(axes, text)
    return figure


def shades(colours: Sequence[str], n: int) -> list[str]:
    """The first n colours, from the first again when there are more."""
    return [colours[i % len(colours)] for i in range(n)]
