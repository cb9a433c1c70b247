"""The legend of a diagram: the colours that mean something, and the line that says what."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from matplotlib.colors import to_rgba_array

from bimt_core.pictures.canvas import MARGIN, MUTED, WIDTH, Canvas
from bimt_core.pictures.network.labels import LEGEND_TEXT, width_ems

# Blue and orange-red stay apart for every kind of colour blindness; no community is blue or red.
POSITIVE, NEGATIVE = "#1f6fb4", "#dc4a2a"
Colours = Literal["safe", "paper"]
SIGNS: dict[Colours, tuple[str, str]] = {"safe": (POSITIVE, NEGATIVE), "paper": ("#0000ff", "#ff0000")}
INACTIVE, OTHER = "#d3d8de", "#3f4854"
CARRIED, PLATE = "#b4bcc6", "#f5f7f9"
COMMUNITY = ("#16a085", "#e9a800", "#8e5bb5", "#93c01f", "#e377b4", "#8c6239", "#5ec8e5", "#b8a9d9")
LEGEND_STEP = 1.6 * LEGEND_TEXT  # from one of its lines to the next, in points


def signs(colours: Colours) -> tuple[str, str]:
    """The colours of positive and of negative weights.

    Args:
        colours: "safe" for blue and orange-red, "paper" for the pure blue and red of the paper.

    Raises:
        ValueError: If there are no such colours.
    """
    if colours not in SIGNS:
        raise ValueError(f"colours must be one of {', '.join(get_args(Colours))}, got {colours!r}")
    return SIGNS[colours]


def draw_legend(
    canvas: Canvas,
    key: list[str],
    n_communities: int | None,
    *,
    carried: bool = False,
    colours: Colours = "safe",
    which: Sequence[int] | None = None,
) -> None:
    """Writes one centred line at the bottom, the key of abbreviations above it.

    Args:
        canvas: As wide as every diagram.
        key: Lines that explain abbreviations and what is left out, if any.
        n_communities: Of the one network; None stands for several networks, each with its own communities.
        carried: Whether neurons are drawn again above and joined by lines.
        colours: Of weights; see `signs`.
        which: Numbers of the communities that there are; None for the first.
    """
    positive, negative = signs(colours)
    for line, text in enumerate(reversed(key)):
        canvas.text(WIDTH / 2, MARGIN + (line + 1) * LEGEND_STEP, text, LEGEND_TEXT)
    items: list[tuple[str, Sequence[str], str]] = [
        ("line", [positive], "positive weight"),
        ("line", [negative], "negative weight"),
        ("line", [CARRIED] * carried, "same neuron"),
        ("dots", *_community_key(n_communities, which)),
        ("dots", [INACTIVE], "unconnected neuron"),
    ]
    items = [item for item in items if item[1]]
    lengths = [7 * len(dots) + LEGEND_TEXT * width_ems(text) + 9 for _, dots, text in items]
    between = min(14.0, (WIDTH - 2 * MARGIN - sum(lengths)) / (len(items) - 1))
    x = (WIDTH - sum(lengths) - between * (len(items) - 1)) / 2
    for (shape, dots, text), length in zip(items, lengths, strict=True):
        centres = np.array([(x + 3.5 + 7 * i, MARGIN) for i in range(len(dots))])
        if shape == "line":
            ends = centres[:, None] + np.array([(-4.0, 0.0), (6.0, 0.0)])
            canvas.lines(ends, np.array([2.4]), to_rgba_array(dots), f"legend.{text.split()[0]}")
        else:
            canvas.circles(centres, np.full(len(dots), 6.0), dots, f"legend.{text.split()[-1]}")
        canvas.text(x + 7 * len(dots) + 5, MARGIN, text, LEGEND_TEXT, MUTED, ha="left")
        x += length + between


def _community_key(n_communities: int | None, which: Sequence[int] | None) -> tuple[Sequence[str], str]:
    """Colours and what they mean."""
    if n_communities is None:
        return COMMUNITY[:3], "each network's communities"
    shades = (*COMMUNITY, OTHER)
    numbers = range(n_communities) if which is None else which
    dots = [shades[number] for number in sorted({min(number, len(COMMUNITY)) for number in numbers})]
    return dots, f"{n_communities} {'community' if n_communities == 1 else 'communities'}"
