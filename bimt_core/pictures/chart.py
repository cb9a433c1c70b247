"""Panels with axes below a title, laid out in points, in the style of the diagrams."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bimt_core.pictures.canvas import MARGIN, WIDTH, Canvas
from bimt_core.pictures.palette import INACTIVE, INK, MUTED
from bimt_core.pictures.text import FONT, LINE, fit_text

TITLE, PANEL_TITLE, TEXT = 11.0, 8.5, 7.5  # font sizes
LEFT, BOTTOM = 40.0, 34.0  # space for the numbers and names of axes, in points
BETWEEN = LINE * PANEL_TITLE + 4  # space for the title of a panel, in points


def create_chart(
    title: str, n: int, *, columns: int, height: float, left: float = LEFT, bottom: float = BOTTOM, foot: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """Creates a figure with a title above a grid of empty panels, and returns it with its panels, row by row.

    Args:
        title: One or more lines, the first larger.
        n: Number of panels, at least 1.
        columns: Number of columns of the grid.
        height: Height of a panel, in points.
        left: Space left of each panel for its axis, in points.
        bottom: Space below each panel for its axis, in points.
        foot: Additional space under all panels, in points.
    """
    rows, lines = math.ceil(n / columns), title.splitlines()
    header = MARGIN + LINE * (TITLE + PANEL_TITLE * (len(lines) - 1)) + 4
    total = header + rows * (BETWEEN + height + bottom) + foot
    canvas = Canvas.create(WIDTH, total)
    for line, text in enumerate(lines):
        size = TITLE if line == 0 else PANEL_TITLE
        y = total - MARGIN - LINE * (TITLE / 2 + line * PANEL_TITLE + 0.08 * TITLE * (line > 0))
        canvas.write(MARGIN, y, *fit_text(text, size, WIDTH - 2 * MARGIN), INK if line == 0 else MUTED, ha="left")
    width = (WIDTH - MARGIN) / columns
    panels = []
    for i in range(n):
        row, column = divmod(i, columns)
        x, y = column * width + left, total - header - (row + 1) * (BETWEEN + height) - row * bottom
        axes = canvas.figure.add_axes((x / WIDTH, y / total, (width - left - 4) / WIDTH, height / total))
        style_axes(axes)
        panels.append(axes)
    return canvas.figure, panels


def create_message(title: str, message: str) -> Figure:
    """Creates a figure with a message instead of panels.

    Args:
        title: One or more lines.
        message: Reason why nothing can be shown.
    """
    figure, (axes,) = create_chart(title, 1, columns=1, height=60)
    write_message(axes, message)
    return figure


def style_axes(axes: Axes) -> None:
    """Gives a panel thin grey axes at the left and below, with small labels.

    Args:
        axes: The panel.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=INACTIVE, linewidth=0.8)
    axes.tick_params(labelsize=TEXT, colors=MUTED, labelfontfamily=FONT, length=2.5, width=0.8)


def set_titles(axes: Axes, title: str, x: str = "", y: str = "", *, colour: str = INK) -> None:
    """Sets the titles of a panel and of its axes as plain text.

    Args:
        axes: The panel.
        title: Title of the panel.
        x: Title of the horizontal axis.
        y: Title of the vertical axis.
        colour: Colour of the panel's title.
    """
    font: dict[str, Any] = {"fontfamily": FONT, "parse_math": False}
    axes.set_title(title, fontsize=PANEL_TITLE, color=colour, loc="left", pad=4, **font)
    axes.set_xlabel(x, fontsize=TEXT, color=MUTED, labelpad=2, **font)
    axes.set_ylabel(y, fontsize=TEXT, color=MUTED, labelpad=2, **font)


def write_message(axes: Axes, message: str) -> None:
    """Writes a message into the middle of an empty panel.

    Args:
        axes: The panel.
        message: One line.
    """
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, transform=axes.transAxes, ha="center", va="center", fontsize=PANEL_TITLE, color=MUTED)
