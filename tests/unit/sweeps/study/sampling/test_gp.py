import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from sweeps.study.sampling.gp import find_front, suggest_gp
from sweeps.study.sampling.observation import Observation
from sweeps.study.sampling.unit_cube import UnitCube

CUBE = UnitCube({"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)})
NOTHING = np.empty((0, 2))
TWO = ["minimize", "minimize"]


def observe(n, function, violate=None, seed=0):
    params = CUBE.fill(seed, 0, n, NOTHING)
    return [Observation(p, function(p), None, (violate(p),) if violate else ()) for p in params]


def bowl(p):
    return ((p["x"] - 0.7) ** 2 + (p["y"] - 0.2) ** 2,)


def trade_off(p):
    return p["x"] + abs(p["y"] - 0.3), 1 - p["x"] + abs(p["y"] - 0.3)


def test_one_objective_is_minimised():
    (found,) = suggest_gp(CUBE, ["minimize"], observe(20, bowl), 1, 0)
    assert bowl(found)[0] < min(o.values[0] for o in observe(20, bowl))


def test_noise_is_averaged():
    random = np.random.default_rng(0)
    noisy = observe(60, lambda p: (bowl(p)[0] + 0.1 * random.standard_normal(),))
    found = suggest_gp(CUBE, ["minimize"], noisy, 6, 0)
    assert np.median([bowl(p)[0] for p in found]) < 0.05 < np.median([bowl(o.params)[0] for o in noisy]) / 2


def test_a_batch_spreads_over_the_front():
    found = suggest_gp(CUBE, TWO, observe(30, trade_off), 8, 0)
    x, y = np.sort([p["x"] for p in found]), np.array([p["y"] for p in found])
    assert np.abs(y - 0.3).mean() < 0.1
    assert x[-1] - x[0] > 0.5 and np.diff(x).max() < 0.5


def test_running_trials_count_as_tried():
    observations = observe(30, trade_off)
    first = suggest_gp(CUBE, TWO, observations, 4, 0)
    second = suggest_gp(CUBE, TWO, [*observations, *map(Observation, first)], 4, 0)
    near = [min(abs(p["x"] - q["x"]) + abs(p["y"] - q["y"]) for q in first) for p in second]
    assert min(near) > 1e-3


def test_without_feasible_trials_the_most_probably_feasible_are_suggested():
    observations = [o for o in observe(64, trade_off, lambda p: 0.9 - p["y"]) if o.params["y"] < 0.7]
    found = suggest_gp(CUBE, TWO, observations, 6, 0)
    assert np.mean([p["y"] for p in found]) > 0.8


def test_standard_errors_do_not_change_the_suggestions():
    plain = observe(20, trade_off)
    known = [Observation(o.params, o.values, (0.5, 0.1)) for o in plain]
    assert suggest_gp(CUBE, TWO, known, 3, 0) == suggest_gp(CUBE, TWO, plain, 3, 0)


def test_small_spaces_can_be_exhausted():
    cube = UnitCube({"n": IntDistribution(1, 5)})
    observations = [Observation({"n": n}, (n, -n)) for n in range(1, 5)]
    assert suggest_gp(cube, TWO, observations, 1, 0) == [{"n": 5}]
    assert len(suggest_gp(cube, TWO, observations, 3, 0)) == 3


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_front_is_that_of_a_plain_comparison(objectives):
    costs = np.random.default_rng(0).integers(0, 6, (40, objectives)).astype(float)
    expected = [
        i for i, one in enumerate(costs) if not any((other <= one).all() and (other < one).any() for other in costs)
    ]
    assert find_front(costs).tolist() == expected
