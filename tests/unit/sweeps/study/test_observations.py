import math

import pytest
from support.study_cases import complete, launch, make_networks

from sweeps.study.observations import make_observations
from sweeps.study.sampling.observation import Observation

SEARCH = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 40}


@pytest.fixture
def study(store):
    """A study with a constraint, two objectives and one searched hyperparameter."""
    return launch(store, search=SEARCH, trials=9)


def start(study, cost_weight):
    return study.start_search({"cost_weight": cost_weight}, "random").number


def observe(study, interim=None):
    return make_observations(study.known_trials(), study.spec, interim)


def test_trials_are_seen_with_their_values_errors_and_violations(study):
    assert observe(study) == []
    complete(study, start(study, 1e-3), score=0.9, cost=3.0)
    complete(study, start(study, 2e-3), score=0.25, cost=1.0)
    start(study, 3e-3)
    assert observe(study) == [
        Observation({"cost_weight": 1e-3}, (0.9, 3.0), (0.0, 0.0), (-0.4,)),
        Observation({"cost_weight": 2e-3}, (0.25, 1.0), (0.0, 0.0), (0.25,)),
        Observation({"cost_weight": 3e-3}),
    ]


def test_networks_that_were_added_count_and_confirmations_and_the_baseline_do_not(study):
    complete(study, study.start_networks("baseline", (0, 1)).number)
    number = start(study, 1e-3)
    complete(study, number, score=0.9, cost=3.0)
    complete(study, study.start_networks("confirmation", (6, 7), number).number, score=0.1, cost=9.0)
    complete(study, study.start_networks("replicates", (2, 3), number).number, score=0.7, cost=3.0)
    (seen,) = observe(study)
    assert seen.values == (pytest.approx(0.8), 3.0)
    assert seen.stderr == (pytest.approx(0.2 / 12**0.5), 0.0)


def test_failures_have_the_worst_values_of_all_others(study):
    study.fail(start(study, 1e-3), "diverged")
    assert observe(study) == [], "nothing is known yet"
    complete(study, start(study, 2e-3), score=0.9, cost=3.0)
    complete(study, start(study, 3e-3), score=0.2, cost=1.0)
    assert observe(study)[0] == Observation({"cost_weight": 1e-3}, (0.2, 3.0), None, (pytest.approx(0.3),))


def test_a_trial_that_was_cut_off_counts_as_its_retry(study):
    complete(study, start(study, 1e-3), score=0.9, cost=3.0)
    study.interrupt(start(study, 2e-3), "its driver died")
    assert observe(study)[1:] == [Observation({"cost_weight": 2e-3})], "it waits"
    (retry,) = study.start_waiting()
    assert observe(study)[1:] == [Observation({"cost_weight": 2e-3})], "it runs"
    complete(study, retry.number, score=0.8, cost=2.0)
    assert [seen.values for seen in observe(study)] == [(0.9, 3.0), (0.8, 2.0)]


def test_metrics_of_trials_that_are_about_to_end_count_as_their_results(study):
    numbers = [start(study, cost_weight) for cost_weight in (1e-3, 2e-3, 3e-3)]
    complete(study, numbers[2], score=0.9, cost=3.0)
    incomplete = {"val_score": [0.6, 0.8]}
    interim = {
        numbers[0]: make_networks(0.6, 2.0) | {"val_score": [0.6, 0.8]},
        numbers[1]: incomplete,
        numbers[2]: make_networks(0.1, 9.0),
    }
    first, second, third = observe(study, interim)
    assert first.values == (pytest.approx(0.7), 2.0)
    assert first.stderr == (pytest.approx(0.1), 0.0)
    assert first.violations == (pytest.approx(-0.2),)
    assert second == Observation({"cost_weight": 2e-3})
    assert third.values == (0.9, 3.0), "what has ended is known"


def test_the_worst_value_depends_on_the_direction(store):
    objectives = [
        {"metric": "val_loss", "direction": "minimize"},
        {"metric": "modularity", "direction": "maximize"},
    ]
    study = launch(store, search=SEARCH, objectives=objectives, constraints=[], trials=9)
    for values in ((1.0, 0.1), (2.0, 0.3)):
        loss, modularity = values
        networks = make_networks() | {"val_loss": [loss] * 2, "modularity": [modularity] * 2}
        study.complete(start(study, 1e-3 * loss), networks, {})
    study.fail(start(study, 5e-3), "diverged")
    assert observe(study)[-1] == Observation({"cost_weight": 5e-3}, (2.0, 0.1), None, ())


def test_a_single_network_has_no_standard_error(store):
    study = launch(store, search=SEARCH, replicates=1)
    complete(study, start(study, 1e-3), replicates=1)
    (seen,) = observe(study)
    assert all(math.isnan(error) for error in seen.stderr)
