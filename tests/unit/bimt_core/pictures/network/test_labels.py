import numpy as np
import pytest

from bimt_core.geometry import ring
from bimt_core.networks import MLP
from bimt_core.pictures.network.labels import MOST_AROUND, Labels, _fit_around, find_spots
from bimt_core.pictures.network.layout import make_layout
from bimt_core.pictures.text import SMALLEST_TEXT, format_name

ROOM = (400.0, 80.0)
RING = ring(8).numpy()[:, ::-1] * ROOM  # (across, up)


def test_labels_around_a_ring_shrink_until_they_fit() -> None:
    assert _fit_around(list("abcdefgh"), RING, ROOM, 9.0).size == 9.0
    smaller = _fit_around(["a" * 22] * 8, RING, ROOM, 9.0).size
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
def test_labels_that_do_not_fit_on_a_plate_are_left_out(
    texts: list[str], points: np.ndarray, room: tuple[float, float]
) -> None:
    assert _fit_around(texts, points, room, 9.0).size == 0.0


def test_labels_of_a_row_are_rotated_or_left_out_if_they_do_not_fit() -> None:
    row = make_layout(MLP((4, 2)).wiring).inputs
    flat, upright = (Labels.fit(["abcd"] * 4, row, width, 0.0, 9.0) for width in (400.0, 40.0))
    assert (flat.size, flat.upright) == (9.0, False)
    assert upright.upright and SMALLEST_TEXT <= upright.size < 10.0
    assert upright.height > flat.height
    assert Labels.fit(["abcd"] * 4, row, 20.0, 0.0, 9.0).size == 0.0
    assert Labels.fit(["x1"], make_layout(MLP((1, 2)).wiring).inputs, 400.0, 0.0, 9.0).texts == ["x₁"]


def test_labels_of_a_plate_are_fitted_around_its_neurons() -> None:
    row = make_layout(MLP(((2, 2), 8), ring_outputs=True).wiring).outputs
    assert row.is_plate
    assert Labels.fit(list("abcdefgh"), row, *ROOM, 9.0) == _fit_around(list("abcdefgh"), row.points * ROOM, ROOM, 9.0)


def test_anchors_are_next_to_their_neurons_away_from_the_centre() -> None:
    points = np.array([(0.0, 0.0), (100.0, 0.0), (50.0, 40.0), (50.0, 20.0), (50.0, 0.0)])
    anchors, sides = find_spots(points)
    assert sides.tolist() == [[-1, -1], [1, -1], [0, 1], [0, 1], [0, -1]]  # the fourth is in the middle
    assert ((anchors - points) * sides >= 0).all()
    np.testing.assert_array_less(0, np.abs(anchors - points).sum(1))


def test_labels_are_abbreviated_only_if_that_helps() -> None:
    row = make_layout(MLP((4, 2)).wiring).outputs
    names = ["x1 + x2 + x3 + x4", "x1"]

    def fit(width: float) -> tuple[Labels, list[str]]:
        return Labels.abbreviate(names, row, width, 0.0, 7.0)

    labels, key = fit(400.0)
    assert labels == Labels(list(map(format_name, names)), 7.0) and key == []
    labels, key = fit(60.0)
    assert labels == Labels(["y₁", "y₂"], 7.0) and key[0].startswith("y₁\N{NO-BREAK SPACE}=")
    labels, key = fit(5.0)
    assert labels.size == 0.0 and key == []
    labels, key = Labels.abbreviate(names * 5, row, 60.0, 0.0, 7.0)
    assert labels.size == 0.0 and key == [], "too many to explain"
