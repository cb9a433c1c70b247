import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from bimt_core.geometry import grid, line, manhattan, ring


@pytest.mark.parametrize("n", range(1, 21))
def test_line_is_the_papers(n):
    assert line(n).flatten().tolist() == [(2 * j + 1) / (2 * n) for j in range(n)]
    assert line(n).dtype == torch.float64


def test_grid_runs_row_by_row():
    expected = [[(2 * row + 1) / 6, (2 * column + 1) / 8] for row in range(3) for column in range(4)]
    assert grid(3, 4).tolist() == expected


def test_ring_lies_on_its_circle_at_equal_angles():
    away = ring(10, radius=0.25) - 0.5
    np.testing.assert_allclose(away.norm(dim=1), 0.25)
    angles = torch.atan2(away[:, 0], away[:, 1]) % (2 * math.pi)
    np.testing.assert_allclose(angles, [2 * math.pi * (2 * j + 1) / 20 for j in range(10)])


def test_manhattan_equals_scipy():
    a, b = torch.rand(7, 2, dtype=torch.float64), torch.rand(5, 2, dtype=torch.float64)
    np.testing.assert_allclose(manhattan(a, b), cdist(a, b, "cityblock"))
    np.testing.assert_allclose(manhattan(line(7), line(3)), cdist(line(7), line(3), "cityblock"))


@pytest.mark.parametrize("empty", [lambda: line(0), lambda: grid(0, 3), lambda: grid(3, 0), lambda: ring(0)])
def test_a_layer_is_never_empty(empty):
    with pytest.raises(ValueError, match="at least 1 neuron, got 0"):
        empty()
