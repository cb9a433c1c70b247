import math
from dataclasses import replace

import numpy as np
import pytest
from support.study_cases import make_spec

from bimt_core import METRICS
from sweeps.study.confirmation import confirm_objective, judge_all_confirmed, judge_confirmed
from sweeps.study.front_probability import front_probabilities
from sweeps.study.intervals import confidence_interval
from sweeps.study.pooling import summarize_networks, summarize_trial
from sweeps.study.trial import Confirmation, Trial

OBJECTIVES = [
    {"metric": "val_loss", "direction": "minimize", "aggregate": "median"},
    {"metric": "connection_cost", "direction": "minimize"},
]
SPEC = make_spec(objectives=OBJECTIVES, constraints=["val_score >= 0.5"], replicates=4)


def make_networks(loss, cost, score=0.9, n=8, spread=0.01):
    """Networks around these values; on validation rows all losses are 0, and all scores 1."""
    rng = np.random.default_rng(0)
    constants = {"val_loss": [0.0] * n, "val_score": [1.0] * n}
    measured = {"test_loss": loss, "connection_cost": cost, "test_score": score}
    spreads = {name: (value * (1 + spread * rng.normal(size=n))).tolist() for name, value in measured.items()}
    return {name: [0.0] * n for name in METRICS} | constants | spreads


def confirm(networks, row_stderr=None, failures=()):
    values, stderr = summarize_networks(networks, SPEC)
    seeds = tuple(range(100, 100 + len(networks["val_loss"])))
    return Confirmation(seeds, networks, row_stderr or {}, values, stderr, failures)


def make_trial(number, confirmation=None, role="search", data_seed=None):
    trial = Trial(number, "COMPLETE", {}, role, seeds=SPEC.seeds)
    confirmations = {} if confirmation is None else {data_seed: confirmation}
    searched = make_networks(1.0 + number, 2.0, n=4)
    return replace(summarize_trial(trial, searched, {}, SPEC), confirmations=confirmations)


def test_an_objective_on_validation_rows_is_confirmed_on_test_rows():
    networks = make_networks(0.3, 5.0)
    trial = make_trial(0, confirm(networks, {"test_loss": 0.02, "val_loss": 9.0, "connection_cost": 0.0}))
    loss = confirm_objective(trial, trial.confirmed, "val_loss", SPEC)
    assert (loss.metric, loss.confirmed_metric) == ("val_loss", "test_loss")
    assert (loss.searched, loss.searched_stderr) == (trial.values["val_loss"], trial.stderr["val_loss"])
    assert loss.confirmed == pytest.approx(np.median(networks["test_loss"]))
    assert (loss.low, loss.high) == confidence_interval(networks["test_loss"], "median", "minimize", 0.02)
    cost = confirm_objective(trial, trial.confirmed, "connection_cost", SPEC)
    assert (cost.confirmed_metric, cost.confirmed) == (
        "connection_cost",
        pytest.approx(np.mean(networks["connection_cost"])),
    )
    assert (cost.low, cost.high) == confidence_interval(networks["connection_cost"], "mean", "minimize", 0.0)
    assert loss.low < loss.confirmed < loss.high


def test_the_finite_number_of_rows_makes_the_interval_wider():
    networks = make_networks(0.3, 5.0)
    narrow, wide = (
        confirm_objective(make_trial(0), confirm(networks, {"test_loss": error}), "val_loss", SPEC)
        for error in (0.0, 0.05)
    )
    assert wide.low < narrow.low < narrow.high < wide.high


def test_confirmed_trials_are_judged_the_baseline_first():
    """Trial 3 is dominated by trial 1 by far, and trial 4 breaks the constraint on test rows."""
    trials = [
        make_trial(1, confirm(make_networks(0.1, 5.0))),
        make_trial(2, confirm(make_networks(0.2, 2.0))),
        make_trial(3, confirm(make_networks(0.3, 6.0))),
        make_trial(4, confirm(make_networks(0.01, 0.01, score=0.2))),
        make_trial(5),
        make_trial(6, confirm(make_networks(0.01, 0.1)), role="baseline"),
        make_trial(7, Confirmation((), {}, {}, {}, {}, ("diverged",))),
        make_trial(8, confirm(make_networks(0.01, 0.1)), data_seed=3),
    ]
    found = judge_confirmed(trials, SPEC)
    assert [(c.trial.number, c.verdict) for c in found] == [
        (6, "baseline"),
        (1, "yes"),
        (2, "yes"),
        (3, "no"),
        (4, "no"),
    ]
    assert math.isnan(found[0].probability), "the baseline neither is on the front nor changes it"
    assert [c.probability for c in found[1:]] == [1.0, 1.0, 0.0, 0.0]
    assert all(c.confirmation is c.trial.confirmed for c in found)
    assert [o.metric for o in found[0].objectives] == ["val_loss", "connection_cost"]


def test_probabilities_are_those_of_resampled_networks_on_test_rows():
    trials = [make_trial(n, confirm(make_networks(0.2 + 0.01 * n, 5.0 + 0.1 * n, 0.6, spread=0.2))) for n in range(3)]
    rng = np.random.default_rng(1)
    for trial in trials:
        for name in ("test_loss", "connection_cost", "test_score"):
            column = trial.confirmed.networks[name]
            column[:] = (np.array(column) * (1 + 0.3 * rng.normal(size=len(column)))).tolist()
    tables = [
        np.array([t.confirmed.networks[name] for name in ("test_loss", "connection_cost", "test_score")]).T
        for t in trials
    ]
    expected = front_probabilities(tables, ["minimize"] * 2, ["median", "mean"], bounds=[(0.5, math.inf)])
    found = judge_confirmed(trials, SPEC)
    assert [c.probability for c in found] == expected.tolist()
    assert any(0.1 < probability < 0.9 for probability in expected)
    assert {c.verdict for c in found if 0.1 < c.probability < 0.9} == {"unsure"}


def test_an_upper_bound_is_a_constraint_too():
    spec = make_spec(objectives=OBJECTIVES, constraints=["connection_cost <= 4"], replicates=4)
    trials = [make_trial(0, confirm(make_networks(0.1, 5.0))), make_trial(1, confirm(make_networks(0.2, 3.0)))]
    assert [c.verdict for c in judge_confirmed(trials, spec)] == ["no", "yes"]


def test_the_papers_rows_are_confirmed_as_they_are():
    spec = make_spec(objectives=[{"metric": "test_loss", "direction": "minimize"}], constraints=[], published=True)
    (found,) = judge_confirmed([make_trial(0, confirm(make_networks(0.1, 5.0)))], spec)
    assert [(o.metric, o.confirmed_metric) for o in found.objectives] == [("test_loss", "test_loss")]


def test_confirmations_on_other_data_are_judged_by_themselves():
    own, other = confirm(make_networks(0.1, 5.0)), confirm(make_networks(0.2, 4.0))
    trials = [make_trial(0, own), make_trial(1, other, data_seed=7), make_trial(2, other, data_seed=3)]
    found = judge_all_confirmed(trials, SPEC)
    assert {seed: [c.trial.number for c in group] for seed, group in found.items()} == {None: [0], 3: [2], 7: [1]}
    assert list(found) == [None, 3, 7]
    assert [c.trial.number for c in judge_confirmed(trials, SPEC, 7)] == [1]


@pytest.mark.parametrize("trials", [[], [make_trial(0)], [Trial(0, "RUNNING", {})]])
def test_without_confirmations_nothing_is_judged(trials):
    assert judge_confirmed(trials, SPEC) == []
    assert judge_all_confirmed(trials, SPEC) == {}


def test_a_baseline_alone_is_compared_but_not_judged():
    (found,) = judge_confirmed([make_trial(0, confirm(make_networks(0.1, 5.0)), role="baseline")], SPEC)
    assert found.verdict == "baseline"
