import numpy as np
import pytest

from bimt_core.geometry import ring
from bimt_core.pictures.network.labels import MOST_AROUND, SMALLEST_TEXT, Labels, Spot, beside, box, readable, width_ems
from bimt_core.tasks import load_task

ROOM = (400.0, 80.0)
RING = ring(8).numpy()[:, ::-1] * ROOM  # (across, up)


def test_formulas_are_printed_readably() -> None:
    names = [name for of in ("independence", "compositionality") for name in load_task(of).output_names]
    assert list(map(readable, names)) == [
        "(x₁ + x₃)³",
        "x₂² + sin(π x₄)",
        "√((x₁-x₂)² + (x₃-x₄)²)",
    ]
    assert [readable(name) for name in ("upper moon", "0231", "e12", "x^12")] == [
        "upper moon",
        "0231",
        "e12",
        "x¹²",
    ]


def test_a_label_beside_its_neuron_points_away_from_the_middle() -> None:
    points = np.array([(0.0, 0.0), (100.0, 0.0), (50.0, 40.0), (50.0, 20.0), (50.0, 0.0)])
    below_left, below_right, above, middle, below = beside(points)
    assert (below_left.ha, below_left.va) == ("right", "top") and below_left.x < 0 and below_left.y < 0
    assert (below_right.ha, below_right.va) == ("left", "top") and below_right.x > 100
    assert (above.ha, above.va) == ("center", "bottom") and above.y > 40
    assert (middle.ha, middle.va) == ("center", "bottom") and middle.y > 20  # off its own neuron
    assert (below.ha, below.va) == ("center", "top") and below.y < 0


@pytest.mark.parametrize(("ha", "left"), [("left", 10.0), ("center", 10 - 3 * width_ems("text")), ("right", None)])
def test_a_box_is_where_the_text_is(ha: str, left: float | None) -> None:
    low, high = box("text", Spot(10.0, 5.0, ha, "bottom"), 6.0)
    assert high[0] - low[0] == pytest.approx(6 * width_ems("text")) and (low[1], high[1]) == (5, 11)
    assert low[0] == pytest.approx(left) if left is not None else high[0] == pytest.approx(10)


def test_labels_around_a_ring_shrink_until_they_fit() -> None:
    assert Labels.around(list("abcdefgh"), RING, ROOM, 9.0).size == 9.0
    smaller = Labels.around(["a" * 22] * 8, RING, ROOM, 9.0).size
    assert SMALLEST_TEXT <= smaller < 9.0


@pytest.mark.parametrize(
    ("texts", "points", "room"),
    [
        (["a" * 28] * 8, RING, ROOM),
        (list("abcdefgh"), RING / 10, (40.0, 8.0)),  # they would cover the plate
        (["a"] * (MOST_AROUND + 1), np.random.default_rng(0).random((MOST_AROUND + 1, 2)) * 1e4, (1e4, 1e4)),
        (["ab", "cd"], np.array([(0.0, 40.0), (400.0, 40.0)]), ROOM),  # they would leave the panel
    ],
)
def test_labels_that_do_not_fit_around_are_left_out(
    texts: list[str], points: np.ndarray, room: tuple[float, float]
) -> None:
    assert Labels.around(texts, points, room, 9.0).size == 0.0


def test_labels_are_abbreviated_only_if_that_helps() -> None:
    def fit(room: int) -> tuple[Labels, list[str]]:
        return Labels.abbreviated(["first name", "second"], lambda texts: Labels(texts, 7.0 * (len(texts[0]) <= room)))

    assert fit(10) == (Labels(["first name", "second"], 7.0), [])
    labels, key = fit(2)
    assert labels == Labels(["y₁", "y₂"], 7.0) and key[0].startswith("y₁\N{NO-BREAK SPACE}=")
    labels, key = fit(1)
    assert labels.size == 0.0 and key == []
