import math
from dataclasses import replace

import numpy as np
import pytest
from support.study_cases import OBJECTIVES, make_spec

from bimt_core import METRICS
from sweeps.study.aggregates import aggregate, aggregate_stderr
from sweeps.study.pooling import pool_trial, pool_trials, summarize_networks, summarize_trial
from sweeps.study.trial import Confirmation, Trial

SPEC = make_spec(replicates=4, objectives=[OBJECTIVES[0] | {"aggregate": "best_quarter"}, OBJECTIVES[1]])


def draw_networks(number, n):
    rng = np.random.default_rng(number)
    return {metric: rng.normal(1, 0.1, n).tolist() for metric in METRICS}


def make_trial(number, seeds=(0, 1, 2, 3), role="search", of=None, error=0.1, **changes):
    trial = Trial(number, "COMPLETE", {"steps": number}, role, of, tuple(seeds))
    done = summarize_trial(trial, draw_networks(number, len(seeds)), {"val_score": error}, SPEC)
    return replace(done, **changes)


def failed(trial, **changes):
    return replace(
        trial, state="FAIL", networks={}, row_stderr={}, values={}, stderr={}, feasible=None, reason="no", **changes
    )


def merge(*trials):
    return {metric: [v for trial in trials for v in trial.networks[metric]] for metric in METRICS}


def test_values_are_the_objectives_aggregates_and_means_of_the_others():
    networks = draw_networks(0, 7)
    values, stderr = summarize_networks(networks, SPEC)
    assert list(values) == list(stderr) == list(METRICS)
    for metric, column in networks.items():
        how = "best_quarter" if metric in ("val_score", "test_score") else "mean"
        assert values[metric] == pytest.approx(float(aggregate(column, how, "maximize")))
        assert stderr[metric] == pytest.approx(float(aggregate_stderr(column, how, "maximize")))
    best = np.sort(networks["val_score"])[-2:].mean()
    assert values["val_score"] == pytest.approx(best)


def test_a_complete_trial_is_feasible_if_its_values_keep_all_constraints():
    spec = make_spec(constraints=["val_score >= 0.5", "modularity <= 0.3"])
    for score, modularity, feasible in ((0.5, 0.3, True), (0.4, 0.3, False), (0.5, 0.4, False)):
        networks = dict.fromkeys(METRICS, (0.0,)) | {"val_score": (score,), "modularity": (modularity,)}
        trial = summarize_trial(Trial(0, "COMPLETE", {}), networks, {}, spec)
        assert trial.feasible is feasible
        assert trial.values["modularity"] == modularity


def test_a_trial_without_added_networks_stays_as_it_is():
    trials = [make_trial(0), failed(make_trial(1)), Trial(2, "RUNNING", {})]
    assert pool_trials(trials, SPEC) == trials


def test_added_replicates_are_pooled_in_order():
    trial, first, second = make_trial(0), make_trial(1, (4, 5), "replicates", 0), make_trial(2, (6,), "replicates", 0)
    pooled = pool_trial(trial, [first, second], SPEC)
    assert (pooled.number, pooled.params, pooled.role) == (0, {"steps": 0}, "search")
    assert pooled.seeds == (0, 1, 2, 3, 4, 5, 6)
    assert pooled.networks == merge(trial, first, second)
    assert (pooled.values, pooled.stderr) == summarize_networks(pooled.networks, SPEC)
    assert pooled.confirmations == {}


def test_only_complete_replicates_are_pooled():
    trial = make_trial(0)
    bad = failed(make_trial(1, (4, 5), "replicates", 0))
    running = Trial(2, "RUNNING", {}, "replicates", 0, (4, 5))
    assert pool_trial(trial, [bad, running], SPEC) == trial


def test_row_errors_are_pooled_as_mean_squares_weighted_by_networks():
    trial, added = make_trial(0, range(6), error=0.3), make_trial(1, (6, 7), "replicates", 0, error=0.1)
    pooled = pool_trial(trial, [added], SPEC)
    assert pooled.row_stderr == {"val_score": pytest.approx(math.sqrt((6 * 0.09 + 2 * 0.01) / 8))}


def test_every_trial_gets_its_own_networks():
    own = [make_trial(0, role="baseline"), make_trial(1), failed(make_trial(2))]
    added = [
        make_trial(3, (4, 5), "replicates", 1),
        make_trial(4, (8, 9), "confirmation", 0),
        make_trial(5, (8, 9), "confirmation", 1),
        make_trial(6, (8, 9), "confirmation", 2),
    ]
    pooled = pool_trials([own[0], added[0], *own[1:], *added[1:]], SPEC)
    assert [trial.number for trial in pooled] == [0, 1, 2]
    assert [len(trial.seeds) for trial in pooled] == [4, 6, 4]
    assert [trial.confirmed and trial.confirmed.networks for trial in pooled] == [
        added[1].networks,
        added[2].networks,
        None,
    ]
    assert pooled[2] == own[2], "a trial that failed has nothing to add to"


def test_confirmations_are_separate_and_by_the_seed_of_their_data():
    trial = make_trial(0)
    parts = [
        make_trial(1, (8, 9), "confirmation", 0, error=0.3),
        make_trial(2, (10,), "confirmation", 0, error=0.0),
        make_trial(3, (8, 9), "confirmation", 0, data_seed=7),
    ]
    pooled = pool_trial(trial, parts, SPEC)
    assert (pooled.networks, pooled.values, pooled.seeds) == (trial.networks, trial.values, trial.seeds)
    assert list(pooled.confirmations) == [None, 7]
    confirmed = pooled.confirmed
    assert confirmed.seeds == (8, 9, 10)
    assert confirmed.networks == merge(*parts[:2])
    assert (confirmed.values, confirmed.stderr) == summarize_networks(confirmed.networks, SPEC)
    assert confirmed.row_stderr == {"val_score": pytest.approx(math.sqrt(2 * 0.09 / 3))}
    assert confirmed.failures == ()
    assert pooled.confirmations[7].networks == parts[2].networks


def test_parts_of_a_confirmation_that_failed_are_told():
    trial, part = make_trial(0), make_trial(1, (8, 9), "confirmation", 0)
    bad = failed(make_trial(2, (10, 11), "confirmation", 0))
    pooled = pool_trial(trial, [part, bad, replace(bad, number=3, reason=None)], SPEC)
    assert (pooled.confirmed.seeds, pooled.confirmed.failures) == ((8, 9), ("no", "failed"))
    alone = pool_trial(trial, [bad], SPEC)
    assert alone.confirmations == {None: Confirmation((), {}, {}, {}, {}, ("no",))}
    assert alone.confirmed is None


def test_a_part_that_was_cut_off_and_repeated_has_not_failed():
    trial = make_trial(0)
    cut = failed(make_trial(1, (8, 9), "confirmation", 0))
    retry = make_trial(2, (8, 9), "confirmation", 0, retry_of=1)
    assert pool_trial(trial, [cut, retry], SPEC).confirmed.failures == ()
    running = Trial(2, "RUNNING", {}, "confirmation", 0, (8, 9), retry_of=1)
    assert pool_trial(trial, [cut, running], SPEC).confirmations[None].failures == ()
