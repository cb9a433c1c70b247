"""Text in figures: names with sub- and superscripts, widths, and font sizes at which a line fits."""

import re
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

FONT = "DejaVu Sans"  # comes with matplotlib, so figures are the same on all machines
SMALLEST_TEXT = 6.0  # font size in points
LINE = 1.3  # line height in font sizes
SUBSCRIPTS, SUPERSCRIPTS = (str.maketrans("0123456789", digits) for digits in ("₀₁₂₃₄₅₆₇₈₉", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


@lru_cache(maxsize=4096)
def width_ems(text: str) -> float:
    """Returns the width of a line of text in font sizes, rounded up.

    Args:
        text: One line.
    """
    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(family=FONT, size=100), False)
    return 0.0104 * float(width)  # 4 % more, since rounding to pixels may widen the text


def format_name(name: str) -> str:
    """Formats a plain-text formula for print, without matplotlib's slow mathtext.

    Args:
        name: Name of an input or output of a task.

    Examples:
        >>> format_name("sqrt(x1^2 + x2^2)")
        '√(x₁² + x₂²)'
    """
    name = re.sub(r"(?<=\b[xy])\d+\b", lambda index: index[0].translate(SUBSCRIPTS), name)
    name = re.sub(r"\^(\d+)", lambda power: power[1].translate(SUPERSCRIPTS), name)
    return re.sub(r"\bpi\b", "π", re.sub(r"\bsqrt\b", "√", name))


def fit_text(text: str, size: float, room: float) -> tuple[str, float]:
    """Returns a line and the font size at which it fits; the line is cut if it would become too small to read.

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
