"""Colours of figures and pages.

Blue and orange-red can be told apart with every kind of colour blindness. No community is blue or red.
"""

from typing import Literal, get_args

from matplotlib.colors import LinearSegmentedColormap

INK, MUTED, GRID = "#1c2430", "#6b7480", "#e4e8ec"
POSITIVE, NEGATIVE = "#1f6fb4", "#dc4a2a"
INACTIVE, OTHER = "#d3d8de", "#3f4854"  # neurons without active weights; neurons outside the coloured communities
CARRIED, PLATE = "#b4bcc6", "#f5f7f9"
COMMUNITY = ("#16a085", "#e9a800", "#8e5bb5", "#93c01f", "#e377b4", "#8c6239", "#5ec8e5", "#b8a9d9")
DIVERGING = LinearSegmentedColormap.from_list("signs", [NEGATIVE, "#ffffff", POSITIVE]).with_extremes(bad="#e9edf1")

Colours = Literal["safe", "paper"]
_SIGNS: dict[Colours, tuple[str, str]] = {"safe": (POSITIVE, NEGATIVE), "paper": ("#0000ff", "#ff0000")}


def sign_colours(colours: Colours) -> tuple[str, str]:
    """Returns the colours of positive and of negative weights.

    Args:
        colours: "safe" for blue and orange-red, "paper" for the pure blue and red of the paper.

    Raises:
        ValueError: If `colours` is neither.
    """
    if colours not in _SIGNS:
        raise ValueError(f"colours must be one of {', '.join(get_args(Colours))}, got {colours!r}")
    return _SIGNS[colours]


def community_colour(index: int) -> str:
    """Returns the colour of a community.

    Args:
        index: Number of the community, the largest is 0. All from number 8 on share one colour.
    """
    return COMMUNITY[index] if index < len(COMMUNITY) else OTHER
