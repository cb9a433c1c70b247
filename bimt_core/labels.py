"""Labels: names in print, and the font sizes with which they fit."""

import re
import textwrap
from dataclasses import dataclass
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from bimt_core.canvas import FONT, WIDTH

SUBSCRIPTS, SUPERSCRIPTS = (str.maketrans("0123456789", digits) for digits in ("₀₁₂₃₄₅₆₇₈₉", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
NO_BREAK = "\N{NO-BREAK SPACE}"
LEGEND_TEXT, SMALLEST_TEXT = 7.5, 6.0  # font sizes, in points
LINE = 1.3  # line height in font sizes
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
        widest = max(map(width_ems, texts))
        for upright, size in ((False, 0.94 * spacing / widest), (True, spacing / 1.08)):
            if size >= SMALLEST_TEXT and (not upright or widest < 4):
                return Labels(texts, min(size, largest), upright)
        return Labels(texts, 0.0)

    @staticmethod
    def abbreviated(texts: list[str], spacing: float, largest: float) -> tuple["Labels", list[str]]:
        """As `fitting`, but a few texts that do not fit become y1, y2, ...

        Args:
            texts: At least one.
            spacing: From one neuron to the next, in points.
            largest: The largest font size, in points.

        Returns:
            The labels, and the lines that explain the abbreviations.
        """
        labels = Labels.fitting(texts, spacing, largest)
        if labels.size or len(texts) > MOST_EXPLAINED:
            return labels, []
        short = [readable(f"y{i + 1}") for i in range(len(texts))]
        key = [f"{y} = {text}".replace(" ", NO_BREAK) for y, text in zip(short, texts, strict=True)]
        lines = textwrap.wrap(f"{3 * NO_BREAK} ".join(key), int(WIDTH / (0.65 * LEGEND_TEXT)))
        return Labels.fitting(short, spacing, largest), lines

    @property
    def height(self) -> float:
        """Height of the row of labels, in points."""
        return self.size * (max(map(width_ems, self.texts)) if self.upright else LINE)
