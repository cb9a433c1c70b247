import numpy as np
import pytest

from sweeps.study.sampling.worlds import Worlds, draw_directions


def make_worlds(objectives, n_directions, violations=(), limits=()):
    """One world in which the costs of a point are its coordinates, and the reference point is 1."""
    costs = [lambda points, i=i: points[:, [i]] for i in range(objectives)]
    directions = draw_directions(1, n_directions, objectives, np.random.default_rng(0))
    return Worlds(costs, violations, limits, np.ones(objectives), np.ones(objectives), directions)


@pytest.mark.parametrize(
    ("front", "volume"),
    [
        ([[0.4]], 0.6),
        ([[0.5, 0.5]], 0.25),
        ([[0.2, 0.7], [0.6, 0.1]], 0.8 * 0.3 + 0.4 * 0.6),
        ([[0.5, 0.5], [0.6, 0.6]], 0.25),
        ([[0.5, 0.5, 0.5], [0.0, 0.5, 0.9]], 0.125 + 0.05 - 0.025),
        ([[1.2, 0.0]], 0.0),
    ],
)
def test_the_mean_reach_is_the_hypervolume(front, volume):
    """Times a constant; not exactly, since it is a mean over random directions."""
    worlds = make_worlds(len(front[0]), 20_000)
    constant = {1: 1.0, 2: np.pi / 4, 3: np.pi / 6}[len(front[0])]
    reach = worlds.reach(np.array(front)).max(0).mean()
    assert reach * constant == pytest.approx(volume, rel=0.03, abs=1e-9)


def test_points_that_break_a_constraint_reach_nowhere():
    worlds = make_worlds(2, 50, [lambda points: points[:, [0]] - 0.3], [0.2])
    points = np.array([[0.4, 0.4], [0.6, 0.4]])
    assert worlds.is_feasible(points).tolist() == [[True], [False]]
    reach = worlds.reach(points)
    assert reach[0].min() > 0 and reach[1].max() == 0


def test_directions_are_positive_unit_vectors():
    directions = draw_directions(5, 7, 3, np.random.default_rng(0))
    assert directions.shape == (5, 7, 3) and (directions > 0).all()
    np.testing.assert_allclose(np.linalg.norm(directions, axis=2), 1)
    assert draw_directions(5, 7, 1, np.random.default_rng(0)).tolist() == [[[1.0]]] * 5
