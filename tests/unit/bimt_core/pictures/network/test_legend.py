from itertools import pairwise

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from bimt_core.pictures.canvas import WIDTH, Canvas
from bimt_core.pictures.network.legend import COMMUNITY, NEGATIVE, OTHER, POSITIVE, draw_legend, signs


@pytest.mark.parametrize(
    ("n", "said", "dots"),
    [
        (None, "each network's communities", 3),
        (1, "1 community", 1),
        (2, "2 communities", 2),
        (20, "20 communities", len(COMMUNITY) + 1),
    ],
)
def test_communities_are_counted(n: int | None, said: str, dots: int) -> None:
    canvas = Canvas.of(WIDTH, 50)
    draw_legend(canvas, [], n)
    texts = [text.get_text() for text in canvas.figure.texts]
    assert texts == ["positive weight", "negative weight", said, "unconnected neuron"]
    drawn = {str(artist.get_gid()): artist for artist in canvas.figure.artists}
    assert len(drawn[f"legend.{said.rsplit(maxsplit=1)[-1]}"].get_offsets()) == dots


def test_no_community_is_not_mentioned() -> None:
    canvas = Canvas.of(WIDTH, 50)
    draw_legend(canvas, [], 0)
    assert [t.get_text() for t in canvas.figure.texts] == ["positive weight", "negative weight", "unconnected neuron"]


def test_key_stands_above_in_its_order() -> None:
    canvas = Canvas.of(WIDTH, 50)
    draw_legend(canvas, ["y₁ = a", "y₂ = b"], 2)
    heights = {text.get_text(): text.get_position()[1] for text in canvas.figure.texts}
    assert heights["y₁ = a"] > heights["y₂ = b"] > heights["2 communities"] == heights["positive weight"]


@pytest.mark.parametrize("n", [None, 1, 9, 20])
def test_a_line_to_the_same_neuron_is_explained_within_the_width(n: int | None) -> None:
    canvas = Canvas.of(WIDTH, 50)
    draw_legend(canvas, [], n, carried=True)
    texts = [text.get_text() for text in canvas.figure.texts]
    assert texts[:3] == ["positive weight", "negative weight", "same neuron"]
    renderer = FigureCanvasAgg(canvas.figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in canvas.figure.texts]
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes)) and boxes[-1].x1 < canvas.figure.bbox.x1
    starts = [line.get_segments()[0][0][0] for line in canvas.figure.artists if isinstance(line, LineCollection)]
    assert len(starts) == 3 and min(starts) >= 0


def test_only_the_communities_that_are_there_have_dots() -> None:
    canvas = Canvas.of(WIDTH, 50)
    draw_legend(canvas, [], 3, which=[1, 4, 30])
    dots = next(artist for artist in canvas.figure.artists if artist.get_gid() == "legend.communities")
    assert [to_hex(colour) for colour in dots.get_facecolor()] == [COMMUNITY[1], COMMUNITY[4], OTHER]


def test_weights_have_the_colours_of_choice() -> None:
    canvas = Canvas.of(WIDTH, 50)
    draw_legend(canvas, [], 0, colours="paper")
    drawn = {artist.get_gid(): to_hex(artist.get_colors()[0]) for artist in canvas.figure.artists[:2]}
    assert drawn == {"legend.positive": "#0000ff", "legend.negative": "#ff0000"}
    canvas = Canvas.of(WIDTH, 50)
    draw_legend(canvas, [], 0)
    assert [to_hex(artist.get_colors()[0]) for artist in canvas.figure.artists[:2]] == [POSITIVE, NEGATIVE]


def test_unknown_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="colours must be one of safe, paper, got 'loud'"):
        signs("loud")  # type: ignore[arg-type]
