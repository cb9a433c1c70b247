import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import qmc
from support.study_cases import make_spec

from sweeps.study.samplers import (
    SAMPLERS,
    Suggestions,
    check_sampler,
    choose_sampler,
    count_start,
    make_distributions,
    suggest,
)
from sweeps.study.sampling.observation import Observation
from sweeps.study.sampling.unit_cube import UnitCube

MIXED = {
    "cost_weight": FloatDistribution(1e-4, 1e-2, log=True),
    "weight_factor": FloatDistribution(0.0, 4.0),
    "layer_distance": FloatDistribution(0.1, 0.5, step=0.1),
    "relocate_every": IntDistribution(50, 500, step=50),
    "hidden_width": IntDistribution(4, 64, log=True),
    "relocation": CategoricalDistribution(("none", "greedy")),
}
SQUARE = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
TWO = ["minimize", "minimize"]
LEARNING = ("gp", "tpe", "nsga2")


def evaluate(params):
    """Two costs whose front is x from 0 to 1 at y = 0.3."""
    distance = 1 + 5 * abs(params["y"] - 0.3)
    return params["x"] * distance, (1 - params["x"]) * distance


def evaluate_mixed(params):
    loss = abs(np.log10(params["cost_weight"]) + 3) + params["layer_distance"] + (params["relocation"] == "none")
    return float(loss), params["weight_factor"] + params["hidden_width"] / 64 + params["relocate_every"] / 500


def search(space, sampler, function, trials=48, batch=8, seed=0):
    observations = []
    while len(observations) < trials:
        found = suggest(space, TWO, observations, batch, sampler=sampler, seed=seed, trials=trials)
        assert len(found.params) == batch
        observations += [Observation(params, function(params), (0.01, 0.01)) for params in found.params]
    return observations


def identities(params):
    return [tuple(sorted(p.items())) for p in params]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_searches_every_kind_of_hyperparameter(sampler):
    observations = search(MIXED, sampler, evaluate_mixed)
    params = [o.params for o in observations]
    assert len(set(identities(params))) == len(params), "no trial is tried twice"
    for name, distribution in MIXED.items():
        assert all(distribution._contains(distribution.to_internal_repr(p[name])) for p in params)
    assert all(type(p["relocate_every"]) is int and p["relocate_every"] % 50 == 0 for p in params)
    assert all(type(p["hidden_width"]) is int and type(p["layer_distance"]) is float for p in params)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_equal_arguments_give_equal_suggestions(sampler):
    def ask(seed, observations):
        return suggest(MIXED, TWO, observations, 4, sampler=sampler, seed=seed, trials=48)

    observations = search(MIXED, sampler, evaluate_mixed)
    assert ask(0, observations) == ask(0, observations)
    assert ask(0, observations) != ask(1, observations)
    assert ask(0, observations[:8]) != ask(0, observations[:9])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_running_trials_are_not_suggested_again(sampler):
    space = {"n": IntDistribution(1, 6), "kind": CategoricalDistribution(("a", "b"))}
    observations = [Observation({"n": n, "kind": "a"}, (n, 7.0 - n)) for n in range(1, 6)]
    running = [Observation({"n": n, "kind": "b"}) for n in (1, 3, 5)]
    found = suggest(space, TWO, [*observations, *running], 4, sampler=sampler, seed=0, trials=60).params
    expected = {(6, "a"), (2, "b"), (4, "b"), (6, "b")}
    assert {(p["n"], p["kind"]) for p in found} == expected
    exhausted = [*observations, *running, *map(Observation, found)]
    assert len(suggest(space, TWO, exhausted, 3, sampler=sampler, seed=0, trials=60).params) == 3


def test_running_trials_keep_suggestions_away():
    observations = search(SQUARE, "gp", evaluate, trials=24)
    (first,) = suggest(SQUARE, TWO, observations, 1, sampler="gp", seed=0, trials=48).params
    running = Observation(first)
    (second,) = suggest(SQUARE, TWO, [*observations, running], 1, sampler="gp", seed=0, trials=48).params
    assert max(abs(first[name] - second[name]) for name in SQUARE) > 0.01


@pytest.mark.parametrize("sampler", LEARNING)
def test_a_search_begins_with_trials_that_fill_the_space(sampler):
    n = count_start(sampler, len(SQUARE), 48)

    def discrepancy(name):
        searched = [suggest(SQUARE, TWO, [], n, sampler=name, seed=seed, trials=48).params for seed in range(20)]
        return np.mean([qmc.discrepancy(UnitCube(SQUARE).points(params)) for params in searched])

    assert discrepancy(sampler) == discrepancy("qmc") < 0.6 * discrepancy("random")


def test_batches_of_a_search_continue_one_filling_sequence():
    whole = suggest(SQUARE, TWO, [], 16, sampler="qmc", seed=3, trials=16).params
    observations = []
    for _ in range(4):
        observations += map(Observation, suggest(SQUARE, TWO, observations, 4, sampler="qmc", seed=3, trials=16).params)
    assert [o.params for o in observations] == whole


def test_models_wait_for_results():
    running = [Observation(p) for p in suggest(SQUARE, TWO, [], 30, sampler="qmc", seed=0, trials=48).params]
    by_gp, by_qmc = (suggest(SQUARE, TWO, running, 4, sampler=s, seed=0, trials=48).params for s in ("gp", "qmc"))
    assert by_gp == by_qmc


@pytest.mark.parametrize("sampler", LEARNING)
def test_samplers_that_learn_find_a_better_front_than_random_search(sampler):
    def distances(name):
        found = [search(SQUARE, name, evaluate, trials=60, batch=6, seed=seed) for seed in range(4)]
        return np.mean([abs(o.params["y"] - 0.3) for observations in found for o in observations[-24:]])

    most = {"gp": 0.6, "tpe": 0.6, "nsga2": 0.85}[sampler]
    assert distances(sampler) < most * distances("random")


def test_few_objectives_or_many():
    for m in (1, 3):
        observations = [
            Observation(p, tuple((p["x"] - i / 3) ** 2 + p["y"] for i in range(m)))
            for p in suggest(SQUARE, ["minimize"] * m, [], 12, sampler="gp", seed=0, trials=24).params
        ]
        found = suggest(SQUARE, ["minimize"] * m, observations, 6, sampler="gp", seed=0, trials=24).params
        assert np.mean([p["y"] for p in found]) < 0.2


def test_objectives_to_maximize():
    observations = [
        Observation(p, (p["y"], p["x"])) for p in suggest(SQUARE, TWO, [], 12, sampler="qmc", seed=0, trials=24).params
    ]
    directions = ["maximize", "minimize"]
    (found,) = suggest(SQUARE, directions, observations, 1, sampler="gp", seed=0, trials=24).params
    assert found["y"] > 0.9 and found["x"] < 0.1


@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_suggestions_keep_the_constraints(sampler):
    """The front without the constraint is y = 0.3."""
    observations = [
        Observation(p, evaluate(p), violations=(0.6 - p["y"],))
        for p in suggest(SQUARE, TWO, [], 32, sampler="qmc", seed=0, trials=64).params
    ]
    found = suggest(SQUARE, TWO, observations, 12, sampler=sampler, seed=0, trials=64).params
    free = [Observation(o.params, o.values) for o in observations]
    without = suggest(SQUARE, TWO, free, 12, sampler=sampler, seed=0, trials=64).params
    assert np.mean([p["y"] > 0.55 for p in found]) > 0.7
    assert np.mean([p["y"] > 0.55 for p in without]) < 0.3


def test_without_a_feasible_trial_the_violation_falls():
    observations = [
        Observation(p, evaluate(p), violations=(1.5 - p["x"] - p["y"],))
        for p in suggest(SQUARE, TWO, [], 64, sampler="qmc", seed=0, trials=96).params
        if p["x"] + p["y"] < 1.2
    ]
    found = suggest(SQUARE, TWO, observations, 8, sampler="gp", seed=0, trials=96).params
    assert np.mean([p["x"] + p["y"] for p in found]) > 1.3


def test_equal_values_are_no_obstacle():
    observations = [
        Observation(p, (1.0, 2.0), (0.0, 0.0), (0.0,))
        for p in suggest(SQUARE, TWO, [], 10, sampler="qmc", seed=0, trials=24).params
    ]
    for sampler in ("gp", "tpe"):
        assert len(suggest(SQUARE, TWO, observations, 4, sampler=sampler, seed=0, trials=24).params) == 4


def test_auto_takes_gp_for_numbers_unless_it_was_slow():
    assert choose_sampler(SQUARE, 2, None, None) == choose_sampler(SQUARE, 2, 10.0, 1.0) == "gp"
    assert choose_sampler(SQUARE, 2, 10.0, 1.1) == "tpe"
    assert choose_sampler(SQUARE, 5, None, None) == "tpe"
    assert suggest(SQUARE, TWO, [], 2, sampler="auto", seed=0, trials=9).sampler == "gp"
    slow = suggest(SQUARE, TWO, [], 2, sampler="auto", seed=0, trials=9, trial_s=1.0, suggestion_s=2.0)
    assert slow.sampler == "tpe"


def test_samplers_that_cannot_search_are_refused():
    check_sampler(SQUARE, 2, "nsga2", 36)
    with pytest.raises(ValueError, match=r"^sampler nsga2 needs at least 36 trials, got 35$"):
        check_sampler(SQUARE, 2, "nsga2", 35)
    with pytest.raises(ValueError, match=r"^sampler gp takes at most 4 objectives, got 5$"):
        check_sampler(SQUARE, 5, "gp", 64)
    with pytest.raises(ValueError, match=r"^sampler must be one of auto, gp, tpe, nsga2, random, qmc, got 'cmaes'$"):
        suggest(SQUARE, TWO, [], 1, sampler="cmaes", seed=0, trials=9)


def test_every_searched_hyperparameter_has_a_distribution():
    assert make_distributions(make_spec()) == {
        "cost_weight": FloatDistribution(1e-4, 1e-2, log=True),
        "weight_factor": FloatDistribution(0.0, 4.0),
        "layer_distance": FloatDistribution(0.1, 0.5, step=0.1),
        "relocate_every": IntDistribution(50, 500, step=50),
        "hidden_width": IntDistribution(4, 64, log=True),
        "relocation": CategoricalDistribution(("none", "greedy")),
        "move_moments": CategoricalDistribution((True, False)),
    }


def test_variants_are_one_choice():
    spec = make_spec(search={"steps": 40}, variants={"b": {"cost_weight": 0.0}, "a": {}}, trials=None)
    assert make_distributions(spec) == {"variant": CategoricalDistribution(("b", "a"))}
    assert make_distributions(make_spec(search={"steps": 40})) == {}


def test_nothing_to_search_is_one_configuration():
    assert suggest({}, TWO, [], 1, sampler="auto", seed=0, trials=1) == Suggestions([{}], "gp")
