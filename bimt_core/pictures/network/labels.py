"""Labels of neurons, and the font sizes at which they fit."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bimt_core.pictures.canvas import WIDTH, Floats
from bimt_core.pictures.network.layout import Row
from bimt_core.pictures.text import LINE, SMALLEST_TEXT, format_name, width_ems

NO_BREAK = "\N{NO-BREAK SPACE}"
LEGEND_TEXT = 7.5  # font size
LONGEST_UPRIGHT = 6.0  # width of rotated labels, in font sizes
PAD = 8.0  # from a neuron to its label, in points
MOST_AROUND, MOST_COVERED = 40, 0.25  # labels on a plate; the part of it that they may cover
MOST_EXPLAINED = 8  # more abbreviations would need too long a key


@dataclass(frozen=True)
class Labels:
    """Labels of a row of neurons.

    Args:
        texts: The labels in the order of a task's names, not of places.
        size: Font size in points; 0 if the labels are left out.
        upright: Whether they are rotated by 90 degrees.
    """

    texts: list[str]
    size: float
    upright: bool = False

    @staticmethod
    def fit(names: Sequence[str], row: Row, width: float, depth: float, largest: float) -> "Labels":
        """Chooses the largest font size at which labels fit their row.

        Labels of a row stand side by side if they fit, else, if short, rotated. Labels of a plate stand next to their
        neurons. Labels that do not fit in any of these ways are left out.

        Args:
            names: At least one name of a task, see `format_name`.
            row: The neurons.
            width: Width of the diagram, in points.
            depth: Depth of a plate, in points.
            largest: The largest font size, in points.
        """
        texts = list(map(format_name, names))
        if row.is_plate:
            return fit_around(texts, row.points * (width, depth), (width, depth), largest)
        spacing, widest = width * row.spacing, max(1e-9, *map(width_ems, texts))
        for upright, size in ((False, 0.94 * spacing / widest), (True, spacing / 1.08)):
            if size >= SMALLEST_TEXT and (not upright or widest < LONGEST_UPRIGHT):
                return Labels(texts, min(size, largest), upright)
        return Labels(texts, 0.0)

    @staticmethod
    def abbreviate(names: Sequence[str], fit: Callable[[Sequence[str]], "Labels"]) -> tuple["Labels", list[str]]:
        """Fits labels, with y1, y2, ... instead of a few names that do not fit.

        Args:
            names: At least one.
            fit: Makes labels of names, of size 0 if they do not fit.

        Returns:
            The labels, and lines that explain the abbreviations.
        """
        labels = fit(names)
        if labels.size or len(names) > MOST_EXPLAINED:
            return labels, []
        short = fit([f"y{i + 1}" for i in range(len(names))])
        if not short.size:
            return short, []
        key = [f"{y} = {text}".replace(" ", NO_BREAK) for y, text in zip(short.texts, labels.texts, strict=True)]
        return short, textwrap.wrap(f"{3 * NO_BREAK} ".join(key), int(WIDTH / (0.65 * LEGEND_TEXT)))

    @property
    def height(self) -> float:
        """Height of the row of labels, in points."""
        return self.size * (max(map(width_ems, self.texts)) if self.upright else LINE)


@dataclass(frozen=True)
class Spot:
    """Anchor of a label.

    Args:
        x: In points.
        y: In points.
        ha: Side of the text that is at x: "left", "center" or "right".
        va: Side of the text that is at y: "bottom", "center" or "top".
    """

    x: float
    y: float
    ha: str
    va: str


def fit_around(texts: list[str], points: Floats, room: tuple[float, float], largest: float) -> Labels:
    """Fits labels next to the neurons of a plate.

    Args:
        texts: One per neuron.
        points: The neurons, in points from the lower left of the plate, shape (n, 2).
        room: Width and depth of the plate, in points.
        largest: The largest font size, in points.
    """
    spots = find_spots(points) if len(texts) <= MOST_AROUND else []
    for size in np.arange(largest, SMALLEST_TEXT - 1e-9, -0.5).tolist() if spots else ():
        if _is_clear([bounding_box(*label, size) for label in zip(texts, spots, strict=True)], points, room):
            return Labels(texts, size)
    return Labels(texts, 0.0)


def find_spots(points: Floats) -> list[Spot]:
    """Finds a spot for the label of each neuron of a plate: next to it, away from the centre of all.

    Args:
        points: The neurons, in points, shape (n, 2).
    """
    away = points - points.mean(0)
    away /= np.maximum(np.abs(away).max(0), 1e-9)  # a ring is a circle again
    spots = []
    away[(np.abs(away) <= 0.4).all(1), 1] = 1.0  # in the middle: above
    for (x, y), (right, up) in zip(points.tolist(), away.tolist(), strict=True):
        ha = "left" if right > 0.4 else "right" if right < -0.4 else "center"
        va = "bottom" if up > 0.4 else "top" if up < -0.4 else "center"
        spots.append(Spot(x + 0.7 * PAD * right, y + 0.7 * PAD * up, ha, va))
    return spots


def bounding_box(text: str, spot: Spot, size: float) -> Floats:
    """Returns the lower left and upper right corner of a label, shape (2, 2).

    Args:
        text: One line.
        spot: Its anchor.
        size: Font size in points.
    """
    extent = np.array([size * width_ems(text), size])
    right, top = {"left": 0.0, "center": 0.5, "right": 1.0}, {"bottom": 0.0, "center": 0.5, "top": 1.0}
    low = np.array([spot.x, spot.y]) - (right[spot.ha], top[spot.va]) * extent
    return np.stack([low, low + extent])


def _is_clear(boxes: list[Floats], points: Floats, room: tuple[float, float]) -> bool:
    """Tests that labels overlap neither each other nor neurons, stay within the panel, and hide little of the plate."""
    covered = sum(float(np.prod(high - low)) for low, high in boxes)
    outside = any(low[0] < 0 or high[0] > room[0] for low, high in boxes)
    hiding = any(((points > low) & (points < high)).all(1).any() for low, high in boxes)
    if outside or hiding or covered > MOST_COVERED * room[0] * room[1]:
        return False
    return all((one[1] <= other[0]).any() or (other[1] <= one[0]).any() for one, other in combinations(boxes, 2))
