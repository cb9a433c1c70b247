"""Labels of neurons, and the font sizes at which they fit."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bimt_core.pictures.canvas import WIDTH, Floats
from bimt_core.pictures.network.layout import Row
from bimt_core.pictures.text import LINE, SMALLEST_TEXT, format_name, width_ems

NO_BREAK = "\N{NO-BREAK SPACE}"
LEGEND_TEXT = 7.5  # font size
LONGEST_UPRIGHT = 6.0  # width of rotated labels, in font sizes
PAD = 8.0  # from a neuron to its label, in points
MOST_AROUND, MOST_COVERED = 40, 0.25  # labels on a plate; the fraction of it that they may cover
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

        Labels of a row are horizontal if they fit, else, if short, rotated. Labels of a plate are next to their
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
            return _fit_around(texts, row.points * (width, depth), (width, depth), largest)
        spacing, widest = width * row.spacing, max(1e-9, *map(width_ems, texts))
        for upright, size in ((False, 0.94 * spacing / widest), (True, spacing / 1.08)):
            if size >= SMALLEST_TEXT and (not upright or widest < LONGEST_UPRIGHT):
                return Labels(texts, min(size, largest), upright)
        return Labels(texts, 0.0)

    @staticmethod
    def abbreviate(
        names: Sequence[str], row: Row, width: float, depth: float, largest: float
    ) -> tuple["Labels", list[str]]:
        """Fits labels like `fit`, with y1, y2, ... instead of a few names that do not fit, and the lines of a key.

        Args:
            names: At least one name of a task.
            row: The neurons.
            width: Width of the diagram, in points.
            depth: Depth of a plate, in points.
            largest: The largest font size, in points.
        """
        labels = Labels.fit(names, row, width, depth, largest)
        if labels.size or len(names) > MOST_EXPLAINED:
            return labels, []
        short = Labels.fit([f"y{i + 1}" for i in range(len(names))], row, width, depth, largest)
        if not short.size:
            return short, []
        key = [f"{y} = {text}".replace(" ", NO_BREAK) for y, text in zip(short.texts, labels.texts, strict=True)]
        return short, textwrap.wrap(f"{3 * NO_BREAK} ".join(key), int(WIDTH / (0.65 * LEGEND_TEXT)))

    @property
    def height(self) -> float:
        """Height of the row of labels, in points."""
        return self.size * (max(map(width_ems, self.texts)) if self.upright else LINE)


def find_spots(points: Floats) -> tuple[Floats, Floats]:
    """Finds anchors for the labels of a plate, shape (n, 2): next to the neurons, away from the centre of all.

    Also returns the direction of each text from its anchor: -1, 0 or 1 to the right and upwards.

    Args:
        points: The neurons, in points, shape (n, 2).
    """
    away = points - points.mean(0)
    away /= np.maximum(np.abs(away).max(0), 1e-9)  # a ring is a circle again
    away[(np.abs(away) <= 0.4).all(1), 1] = 1.0  # in the middle: above
    return points + 0.7 * PAD * away, np.sign(away) * (np.abs(away) > 0.4)


def _fit_around(texts: list[str], points: Floats, room: tuple[float, float], largest: float) -> Labels:
    """Fits labels next to the neurons of a plate, which are in points from its lower left."""
    widths = np.array(list(map(width_ems, texts)))
    anchors, sides = find_spots(points)
    for size in np.arange(largest, SMALLEST_TEXT - 1e-9, -0.5).tolist() if len(texts) <= MOST_AROUND else ():
        extents = np.stack([size * widths, np.full(len(texts), size)], axis=1)
        low = anchors - (1 - sides) / 2 * extents
        if _is_clear(low, low + extents, points, room):
            return Labels(texts, size)
    return Labels(texts, 0.0)


def _is_clear(low: Floats, high: Floats, points: Floats, room: tuple[float, float]) -> bool:
    """Tests that boxes overlap neither each other nor neurons, stay within the panel, and cover little of the plate."""
    overlap = ((low[:, None] < high) & (high[:, None] > low)).all(2) & ~np.eye(len(low), dtype=bool)
    hiding = ((points > low[:, None]) & (points < high[:, None])).all(2)
    outside = (low[:, 0] < 0) | (high[:, 0] > room[0])
    covered = (high - low).prod(1).sum()
    return not (overlap.any() or hiding.any() or outside.any() or covered > MOST_COVERED * room[0] * room[1])
