import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweeps.study.sampling.observation import Observation
from sweeps.study.sampling.optuna_methods import (
    GENERATIONS,
    LEAST_NSGA2_TRIALS,
    count_population,
    suggest_nsga2,
    suggest_tpe,
)
from sweeps.study.sampling.unit_cube import UnitCube

CUBE = UnitCube({"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)})
TWO = ["minimize", "minimize"]


def observe(n, seed=0):
    points = np.random.default_rng(seed).random((n, 2)).tolist()
    return [Observation({"x": x, "y": y}, (x + abs(y - 0.3), 1 - x + abs(y - 0.3))) for x, y in points]


def distance(params):
    return np.mean([abs(p["y"] - 0.3) for p in params])


def test_tpe_samples_near_the_front():
    assert distance(suggest_tpe(CUBE, TWO, observe(40), 16, 0)) < 0.5 * distance([o.params for o in observe(40)])


def test_nsga2_breeds_from_the_best_of_the_generations_before():
    observations = observe(48)
    bred = suggest_nsga2(CUBE, TWO, observations, 16, 0, 8)
    assert distance(bred) < 0.7 * distance([o.params for o in observations])
    first = suggest_nsga2(CUBE, TWO, observations[:7], 16, 0, 8)
    assert distance(first) > distance(bred), "the first generation is not complete"


@pytest.mark.parametrize("method", [suggest_tpe, lambda *given: suggest_nsga2(*given, 6)])
def test_trials_with_and_without_results_are_not_repeated(method):
    cube = UnitCube({"n": IntDistribution(1, 5), "kind": CategoricalDistribution(("a", "b"))})
    observations = [Observation({"n": n, "kind": "a"}, (float(n), float(-n))) for n in range(1, 6)]
    observations += [Observation({"n": n, "kind": "b"}) for n in (1, 2)]
    found = method(cube, TWO, observations, 3, 0)
    assert {(p["n"], p["kind"]) for p in found} == {(3, "b"), (4, "b"), (5, "b")}


@pytest.mark.parametrize("trials", [LEAST_NSGA2_TRIALS, 64, 128, 1000])
def test_a_sweep_has_several_generations(trials):
    assert trials // count_population(trials) >= GENERATIONS
    assert 6 <= count_population(trials) <= 50
