from itertools import pairwise

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import WIDTH, Canvas
from bimt_core.pictures.network.legend import draw_legend
from bimt_core.pictures.palette import COMMUNITY, NEGATIVE, OTHER, POSITIVE


def draw(n: int | None, *, empty: frozenset[int] = frozenset(), **options: object) -> Canvas:
    """Draws the legend of n communities, or of several networks if n is None."""
    canvas = Canvas.create(WIDTH, 50)
    members = [frozenset[tuple[str, int]]() if i in empty else frozenset({("input", i)}) for i in range(n or 0)]
    draw_legend(canvas, None if n is None else Communities(0.0, tuple(members)), **options)
    return canvas


def texts(canvas: Canvas) -> list[str]:
    return [text.get_text() for text in canvas.figure.texts]


@pytest.mark.parametrize(
    ("n", "text", "dots"),
    [
        (None, "each network's communities", 3),
        (1, "1 community", 1),
        (2, "2 communities", 2),
        (20, "20 communities", len(COMMUNITY) + 1),
    ],
)
def test_communities_are_counted(n: int | None, text: str, dots: int) -> None:
    canvas = draw(n)
    assert texts(canvas) == ["positive weight", "negative weight", text, "unconnected neuron"]
    artists = {str(artist.get_gid()): artist for artist in canvas.figure.artists}
    assert len(artists[f"legend.{text.rsplit(maxsplit=1)[-1]}"].get_offsets()) == dots


def test_without_communities_there_is_no_entry_for_them() -> None:
    assert texts(draw(0)) == ["positive weight", "negative weight", "unconnected neuron"]


def test_communities_without_members_are_left_out() -> None:
    canvas = draw(31, empty=frozenset(range(31)) - {1, 4, 30})
    dots = next(artist for artist in canvas.figure.artists if artist.get_gid() == "legend.communities")
    assert [to_hex(colour) for colour in dots.get_facecolor()] == [COMMUNITY[1], COMMUNITY[4], OTHER]
    assert "3 communities" in texts(canvas)


def test_the_key_is_above_in_its_order() -> None:
    heights = {text.get_text(): text.get_position()[1] for text in draw(2, key=["y₁ = a", "y₂ = b"]).figure.texts}
    assert heights["y₁ = a"] > heights["y₂ = b"] > heights["2 communities"] == heights["positive weight"]


@pytest.mark.parametrize("n", [None, 1, 9, 20])
def test_carried_lines_are_explained_within_the_width(n: int | None) -> None:
    canvas = draw(n, carried=True)
    assert texts(canvas)[:3] == ["positive weight", "negative weight", "same neuron"]
    renderer = FigureCanvasAgg(canvas.figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in canvas.figure.texts]
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes)) and boxes[-1].x1 < canvas.figure.bbox.x1
    starts = [line.get_segments()[0][0][0] for line in canvas.figure.artists if isinstance(line, LineCollection)]
    assert len(starts) == 3 and min(starts) >= 0


def test_weights_have_the_colours_of_choice() -> None:
    for options, colours in (({}, [POSITIVE, NEGATIVE]), ({"colours": "paper"}, ["#0000ff", "#ff0000"])):
        lines = {artist.get_gid(): to_hex(artist.get_colors()[0]) for artist in draw(0, **options).figure.artists[:2]}
        assert lines == dict(zip(("legend.positive", "legend.negative"), colours, strict=True))
