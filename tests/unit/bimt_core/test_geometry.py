import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from bimt_core.geometry import DISTANCES, grid, line, ring


def test_line_has_the_published_positions():
    for n in range(1, 21):
        assert line(n).flatten().tolist() == [(2 * j + 1) / (2 * n) for j in range(n)]
    assert line(3).dtype == torch.float64


def test_grid_is_ordered_row_by_row():
    expected = [[(2 * row + 1) / 6, (2 * column + 1) / 8] for row in range(3) for column in range(4)]
    assert grid(3, 4).tolist() == expected


def test_ring_has_equal_angles_on_a_circle():
    offsets = ring(10, radius=0.25) - 0.5
    np.testing.assert_allclose(offsets.norm(dim=1), 0.25)
    angles = torch.atan2(offsets[:, 0], offsets[:, 1]) % (2 * math.pi)
    np.testing.assert_allclose(angles, [2 * math.pi * (2 * j + 1) / 20 for j in range(10)])


def test_distances_equal_scipy():
    a, b = torch.rand(7, 2, dtype=torch.float64), torch.rand(5, 2, dtype=torch.float64)
    for one, other in ((a, b), (line(7), line(3))):
        np.testing.assert_allclose(DISTANCES["manhattan"](one, other), cdist(one, other, "cityblock"))
        np.testing.assert_allclose(DISTANCES["euclidean"](one, other), cdist(one, other, "euclidean"))


def test_empty_layers_are_refused():
    for build in (lambda: line(0), lambda: grid(0, 3), lambda: grid(3, 0), lambda: ring(0)):
        with pytest.raises(ValueError, match="at least 1 neuron, got 0"):
            build()
