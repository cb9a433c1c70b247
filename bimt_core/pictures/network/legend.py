"""The legend of a diagram: one line at the bottom that explains the colours."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgba_array

from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import MARGIN, WIDTH, Canvas
from bimt_core.pictures.network.labels import LEGEND_TEXT
from bimt_core.pictures.palette import CARRIED, COMMUNITY, INACTIVE, MUTED, Colours, community_colour, sign_colours
from bimt_core.pictures.text import width_ems

LEGEND_STEP = 1.6 * LEGEND_TEXT  # between its lines, in points


def draw_legend(
    canvas: Canvas,
    communities: Communities | None,
    key: Sequence[str] = (),
    *,
    carried: bool = False,
    colours: Colours = "safe",
) -> None:
    """Draws one centred line at the bottom, and the key of abbreviations above it.

    Args:
        canvas: As wide as every figure.
        communities: Of the network; None stands for several networks, each with its own communities.
        key: Lines that explain abbreviations and omissions.
        carried: Whether neurons are drawn again above and joined by lines.
        colours: Colours of weights; see `sign_colours`.
    """
    positive, negative = sign_colours(colours)
    for line, text in enumerate(reversed(key)):
        canvas.write(WIDTH / 2, MARGIN + (line + 1) * LEGEND_STEP, text, LEGEND_TEXT)
    items: list[tuple[str, Sequence[str], str]] = [
        ("line", [positive], "positive weight"),
        ("line", [negative], "negative weight"),
        ("line", [CARRIED] * carried, "same neuron"),
        ("dots", *_community_item(communities)),
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
            canvas.draw_lines(ends, np.array([2.4]), to_rgba_array(dots), f"legend.{text.split()[0]}")
        else:
            canvas.draw_circles(centres, np.full(len(dots), 6.0), dots, f"legend.{text.split()[-1]}")
        canvas.write(x + 7 * len(dots) + 5, MARGIN, text, LEGEND_TEXT, MUTED, ha="left")
        x += length + between


def _community_item(communities: Communities | None) -> tuple[Sequence[str], str]:
    """Returns the colours of all communities with members, and their text."""
    if communities is None:
        return COMMUNITY[:3], "each network's communities"
    numbers = [i for i, members in enumerate(communities.members) if members]
    text = f"{len(numbers)} {'community' if len(numbers) == 1 else 'communities'}"
    return list(dict.fromkeys(map(community_colour, numbers))), text
