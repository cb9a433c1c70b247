"""Labels: names in print, and the font sizes with which they fit."""

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from bimt_core.pictures.canvas import FONT, WIDTH, Floats

SUBSCRIPTS, SUPERSCRIPTS = (str.maketrans("0123456789", digits) for digits in ("₀₁₂₃₄₅₆₇₈₉", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
NO_BREAK = "\N{NO-BREAK SPACE}"
LEGEND_TEXT, SMALLEST_TEXT = 7.5, 6.0  # font sizes, in points
LONGEST_UPRIGHT = 6.0  # of labels on end, in font sizes
LINE = 1.3  # line height in font sizes
PAD = 8.0  # from a neuron to its label, in points
MOST_AROUND, MOST_COVERED = 40, 0.25  # labels around the neurons of a plate; the part of it that they may cover
MOST_EXPLAINED = 8  # more abbreviations than these would need too long a key


@lru_cache(maxsize=4096)
def width_ems(text: str) -> float:
    """Width of a text.

    Args:
        text: One line.

    Returns:
        The width in font sizes, rather too large than too small.
    """
    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(family=FONT, size=100), False)
    return 0.0104 * float(width)  # rounding to pixels may widen it


def readable(name: str) -> str:
    """A plain-text formula in print: "x1^2" as "x₁²"; no mathtext, which is slow.

    Args:
        name: Of an input or output, as a task has it.
    """
    name = re.sub(r"(?<=\b[xy])\d+\b", lambda index: index[0].translate(SUBSCRIPTS), name)
    name = re.sub(r"\^(\d+)", lambda power: power[1].translate(SUPERSCRIPTS), name)
    return re.sub(r"\bpi\b", "π", re.sub(r"\bsqrt\b", "√", name))


def shortened(text: str, size: float, room: float) -> tuple[str, float]:
    """The text and a font size with which it fits: smaller if that does, else also cut.

    Args:
        text: One line.
        size: The largest font size, in points.
        room: The largest width, in points.
    """
    size = max(SMALLEST_TEXT, min(size, room / max(width_ems(text), 1e-9)))
    if size * width_ems(text) > room * (1 + 1e-9):
        while text and size * width_ems(text + "…") > room:
            text = text[:-1]
        text += "…"
    return text, size


@dataclass(frozen=True)
class Labels:
    """Labels of a row of neurons.

    Attributes:
        texts: By what they name, not by their places in the row.
        size: Font size in points; 0 where they are left out.
        upright: Written on end.
    """

    texts: list[str]
    size: float
    upright: bool = False

    @staticmethod
    def fitting(texts: list[str], spacing: float, largest: float) -> "Labels":
        """Side by side if they fit when shrunk, else (short ones) on end, else none.

        Args:
            texts: At least one.
            spacing: From one neuron to the next, in points.
            largest: The largest font size, in points.
        """
        widest = max(1e-9, *map(width_ems, texts))
        for upright, size in ((False, 0.94 * spacing / widest), (True, spacing / 1.08)):
            if size >= SMALLEST_TEXT and (not upright or widest < LONGEST_UPRIGHT):
                return Labels(texts, min(size, largest), upright)
        return Labels(texts, 0.0)

    @staticmethod
    def around(texts: list[str], points: Floats, room: tuple[float, float], largest: float) -> "Labels":
        """Beside each neuron of a plate, away from the middle, if they fit when shrunk, else none.

        Args:
            texts: At least one.
            points: Where the neurons are, in points from the lower left of the plate, shape (n, 2).
            room: Width and depth of the plate, in points.
            largest: The largest font size, in points.
        """
        spots = beside(points) if len(texts) <= MOST_AROUND else []
        for size in np.arange(largest, SMALLEST_TEXT - 1e-9, -0.5).tolist() if spots else ():
            if _is_clear([box(*label, size) for label in zip(texts, spots, strict=True)], points, room):
                return Labels(texts, size)
        return Labels(texts, 0.0)

    @staticmethod
    def abbreviated(texts: list[str], fit: Callable[[list[str]], "Labels"]) -> tuple["Labels", list[str]]:
        """Labels that fit; a few texts that do not become y1, y2, ...

        Args:
            texts: At least one.
            fit: Makes labels of texts, or labels of size 0.

        Returns:
            The labels, and the lines that explain the abbreviations.
        """
        labels = fit(texts)
        if labels.size or len(texts) > MOST_EXPLAINED:
            return labels, []
        short = fit([readable(f"y{i + 1}") for i in range(len(texts))])
        if not short.size:
            return short, []
        key = [f"{y} = {text}".replace(" ", NO_BREAK) for y, text in zip(short.texts, texts, strict=True)]
        return short, textwrap.wrap(f"{3 * NO_BREAK} ".join(key), int(WIDTH / (0.65 * LEGEND_TEXT)))

    @property
    def height(self) -> float:
        """Height of the row of labels, in points."""
        return self.size * (max(map(width_ems, self.texts)) if self.upright else LINE)


@dataclass(frozen=True)
class Spot:
    """Where a label stands.

    Args:
        x: In points.
        y: In points.
        ha: Which side of the text is at x: "left", "center" or "right".
        va: Which side is at y: "bottom", "center" or "top".
    """

    x: float
    y: float
    ha: str
    va: str


def beside(points: Floats) -> list[Spot]:
    """A spot for the label of each neuron of a plate: away from the middle of all.

    Args:
        points: Where the neurons are, in points, shape (n, 2).
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


def box(text: str, spot: Spot, size: float) -> Floats:
    """Lower left and upper right corner of a label, shape (2, 2)."""
    extent = np.array([size * width_ems(text), size])
    shift = np.array(
        [{"left": 0.0, "center": 0.5, "right": 1.0}[spot.ha], {"bottom": 0, "center": 0.5, "top": 1}[spot.va]]
    )
    low = np.array([spot.x, spot.y]) - shift * extent
    return np.stack([low, low + extent])


def _is_clear(boxes: list[Floats], points: Floats, room: tuple[float, float]) -> bool:
    """Whether labels are off each other, off all neurons, within the panel, and leave most of the plate to be seen."""
    covered = sum(float(np.prod(high - low)) for low, high in boxes)
    outside = any(low[0] < 0 or high[0] > room[0] for low, high in boxes)
    hiding = any(((points > low) & (points < high)).all(1).any() for low, high in boxes)
    if outside or hiding or covered > MOST_COVERED * room[0] * room[1]:
        return False
    return all((one[1] <= other[0]).any() or (other[1] <= one[0]).any() for one, other in combinations(boxes, 2))
