from collections.abc import Sequence

import numpy as np
import pytest

from bimt_core.geometry import ring
from bimt_core.networks import MLP
from bimt_core.pictures.network.labels import MOST_AROUND, Labels, Spot, bounding_box, find_spots, fit_around
from bimt_core.pictures.network.layout import make_layout
from bimt_core.pictures.text import SMALLEST_TEXT, format_name, width_ems

ROOM = (400.0, 80.0)
RING = ring(8).numpy()[:, ::-1] * ROOM  # (across, up)


def test_spots_are_next_to_their_neurons_away_from_the_centre() -> None:
    points = np.array([(0.0, 0.0), (100.0, 0.0), (50.0, 40.0), (50.0, 20.0), (50.0, 0.0)])
    below_left, below_right, above, middle, below = find_spots(points)
    assert (below_left.ha, below_left.va) == ("right", "top") and below_left.x < 0 and below_left.y < 0
    assert (below_right.ha, below_right.va) == ("left", "top") and below_right.x > 100
    assert (above.ha, above.va) == ("center", "bottom") and above.y > 40
    assert (middle.ha, middle.va) == ("center", "bottom") and middle.y > 20  # not on its own neuron
    assert (below.ha, below.va) == ("center", "top") and below.y < 0


@pytest.mark.parametrize(("ha", "left"), [("left", 10.0), ("center", 10 - 3 * width_ems("text")), ("right", None)])
def test_a_bounding_box_encloses_its_text(ha: str, left: float | None) -> None:
    low, high = bounding_box("text", Spot(10.0, 5.0, ha, "bottom"), 6.0)
    assert high[0] - low[0] == pytest.approx(6 * width_ems("text")) and (low[1], high[1]) == (5, 11)
    assert low[0] == pytest.approx(left) if left is not None else high[0] == pytest.approx(10)


def test_labels_around_a_ring_shrink_until_they_fit() -> None:
    assert fit_around(list("abcdefgh"), RING, ROOM, 9.0).size == 9.0
    smaller = fit_around(["a" * 22] * 8, RING, ROOM, 9.0).size
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
    assert fit_around(texts, points, room, 9.0).size == 0.0


def test_labels_are_abbreviated_only_if_that_helps() -> None:
    def fit(room: int) -> tuple[Labels, list[str]]:
        def make(names: Sequence[str]) -> Labels:
            return Labels(list(map(format_name, names)), 7.0 * (len(names[0]) <= room))

        return Labels.abbreviate(["first name", "second"], make)

    assert fit(10) == (Labels(["first name", "second"], 7.0), [])
    labels, key = fit(2)
    assert labels == Labels(["y₁", "y₂"], 7.0) and key[0].startswith("y₁\N{NO-BREAK SPACE}=")
    labels, key = fit(1)
    assert labels.size == 0.0 and key == []


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
    assert Labels.fit(list("abcdefgh"), row, *ROOM, 9.0) == fit_around(list("abcdefgh"), row.points * ROOM, ROOM, 9.0)
