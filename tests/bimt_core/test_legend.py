import pytest

from bimt_core.canvas import WIDTH, Canvas
from bimt_core.legend import COMMUNITY, draw_legend


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
