import numpy as np
import pytest

from bimt_core.networks import MLP
from bimt_core.pictures.network.layout import make_layout
from bimt_core.pictures.network.projection import Flat, Perspective, _project, find_bounds

PLATES = make_layout(MLP(((3, 3), (4, 4), 5), ring_outputs=True).wiring)
ROWS = make_layout(MLP((3, 6, 2)).wiring)


def test_nearer_is_larger_and_higher_is_higher() -> None:
    square = np.array([(0.5, -0.5, 0.0), (-0.5, -0.5, 0.0), (0.5, 0.5, 0.0), (-0.5, 0.5, 0.0)])
    near, far = _project(square).reshape(2, 2, 2)
    assert np.linalg.norm(near[0] - near[1]) > np.linalg.norm(far[0] - far[1])
    low, high = _project(np.array([(0.2, 0.1, 0.0), (0.2, 0.1, 1.0)]))
    assert high[1] > low[1]
    np.testing.assert_allclose(_project(np.zeros((1, 3))), 0)


@pytest.mark.parametrize("perspective", [False, True])
def test_neurons_are_within_their_plates_and_plates_above_each_other(perspective: bool) -> None:
    projection = Perspective.fit(PLATES, 60.0, 30.0, 400.0) if perspective else Flat(60.0, 30.0, 400.0, 80.0, 70.0)
    np.testing.assert_allclose(find_bounds(projection, PLATES)[:, 0], (60, 460))
    assert find_bounds(projection, PLATES)[0, 1] == pytest.approx(30)
    middles = []
    for row in PLATES.rows:
        corners, centres = projection.corners(row), projection.centres(row)
        assert (centres > corners.min(0) - 1e-9).all() and (centres < corners.max(0) + 1e-9).all()
        edges = np.roll(corners, -1, axis=0) - corners
        towards = centres[:, None] - corners
        side = edges[:, 0] * towards[..., 1] - edges[:, 1] * towards[..., 0]
        assert (np.sign(side) == np.sign(side[0, 0])).all()  # on the same side of all edges
        middles.append(corners[:, 1].mean())
    assert middles == sorted(middles)


def test_rows_on_lines_have_no_depth() -> None:
    flat = Flat(10.0, 20.0, 100.0, 50.0, 30.0)
    for level, row in enumerate(ROWS.rows):
        assert set(flat.centres(row)[:, 1]) == set(flat.corners(row)[:, 1]) == {20 + 50.0 * level}
    np.testing.assert_allclose(flat.centres(ROWS.inputs)[:, 0], 10 + 100 * (np.arange(3) + 0.5) / 3)


def test_folds_are_shifted_in_a_flat_projection() -> None:
    layout = make_layout(MLP((4, 6, 5), folds=2, vocabulary=7).wiring)
    first, second = (Flat(0.0, 0.0, 100.0, 50.0, 0.0).centres(row) for row in layout.rows[:2])
    assert not set(first[:, 0]) & set(second[:, 0])
