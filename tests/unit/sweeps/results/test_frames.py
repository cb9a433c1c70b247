import itertools
import math

import pytest

from bimt_core import METRICS
from sweeps.errors import BadInputError
from sweeps.results.frames import best_so_far, is_bimodal_trial, make_frame, select_best
from sweeps.spec.parts import Objective
from sweeps.study.trial import Confirmation, Trial


@pytest.fixture
def spec(small_spec):
    return small_spec(constraints=["val_score >= 0.5"])


def complete(number, score, cost=1.0, role="search", confirmed=None, scores=None, **metrics):
    values = dict.fromkeys(METRICS, 0.0) | {"val_score": score, "test_score": score, "connection_cost": cost} | metrics
    networks = {name: [value, value] for name, value in values.items()}
    if scores is not None:
        networks = {name: [value] * len(scores) for name, value in values.items()} | {"val_score": scores}
    return Trial(
        number,
        "COMPLETE",
        {"cost_weight": 1e-3, "steps": 40},
        role,
        seeds=tuple(range(len(networks["val_score"]))),
        networks=networks,
        values=values,
        stderr=dict.fromkeys(METRICS, 0.01),
        feasible=score >= 0.5,
        confirmations={} if confirmed is None else {None: confirm(confirmed)},
    )


def confirm(scores):
    n = len(scores)
    networks = {name: [0.0] * n for name in METRICS} | {"val_score": scores, "connection_cost": [1.0] * n}
    values = dict.fromkeys(METRICS, 0.0) | {"val_score": sum(scores) / n}
    return Confirmation(tuple(range(n)), networks, {}, values, dict.fromkeys(METRICS, 0.1))


@pytest.fixture
def trials(spec):
    """Trials of scores 0.4, 0.9, 0.7 and 0.9, and a failed one."""
    rows = [complete(0, 0.4, 1.0), complete(1, 0.9, 5.0), complete(2, 0.7, 3.0), complete(3, 0.9, 4.0)]
    return make_frame([*rows, Trial(4, "FAIL", {"cost_weight": 1e-2, "steps": 40}, reason="diverged")], spec)


def test_every_trial_is_a_row_with_hyperparameters_and_metrics(trials):
    metrics = list(itertools.chain.from_iterable((name, f"{name}_stderr") for name in METRICS))
    first = ["role", "state", "attempt", "retry_of", "networks", "confirmed", "bimodal"]
    rest = ["feasible", "reason", "started", "ended"]
    assert trials.columns.tolist() == [*first, "cost_weight", "steps", *metrics, *rest]
    assert (trials.index.name, trials.index.tolist()) == ("trial", [0, 1, 2, 3, 4])
    assert trials["val_score"].tolist()[:4] == [0.4, 0.9, 0.7, 0.9]
    assert trials.loc[4, list(METRICS)].isna().all()
    assert trials.loc[4, "reason"] == "diverged"
    assert trials["networks"].tolist() == [2, 2, 2, 2, 0]


def test_no_trials_make_a_frame_with_all_columns(spec, trials):
    empty = make_frame([], spec)
    assert len(empty) == len(select_best(empty, spec)) == 0
    assert empty.columns.tolist() == trials.columns.tolist()


def test_networks_of_a_confirmation_are_counted(spec):
    frame = make_frame([complete(0, 0.9, confirmed=[0.9] * 3), complete(1, 0.9)], spec)
    assert frame["confirmed"].tolist() == [3, 0]


def test_a_trial_is_bimodal_if_its_networks_fall_into_two_groups(spec):
    working, two = [0.99, 0.97, 0.96, 0.98], [0.99, 0.99, 0.5, 0.98]
    assert not is_bimodal_trial(complete(0, 0.97, scores=working), spec)
    assert is_bimodal_trial(complete(0, 0.86, scores=two), spec)
    assert is_bimodal_trial(complete(0, 0.97, scores=working, confirmed=[0.5, 0.51, 0.5, 0.49, 0.98]), spec)
    assert not is_bimodal_trial(complete(0, 0.97, scores=working, confirmed=working), spec)
    assert not is_bimodal_trial(Trial(0, "RUNNING", {}), spec)
    assert make_frame([complete(0, 0.86, scores=two)], spec)["bimodal"].tolist() == [True]


def test_the_best_come_first_and_equal_ones_in_order(trials, spec):
    assert select_best(trials, spec, n=9).index.tolist() == [1, 3, 2]
    assert select_best(trials, spec, by="connection_cost", n=2).index.tolist() == [2, 3]


def test_confirmed_trials_come_first_and_the_baseline_is_left_out(spec):
    frame = make_frame(
        [
            complete(0, 0.99),
            complete(1, 0.8, confirmed=[0.8]),
            complete(2, 0.9, confirmed=[0.9]),
            complete(3, 1.0, role="baseline", confirmed=[1.0]),
        ],
        spec,
    )
    assert select_best(frame, spec, n=9).index.tolist() == [2, 1, 0]


def test_bounds_replace_the_constraints(trials, spec):
    assert select_best(trials, spec, "val_score >= 0", n=9).index.tolist() == [1, 3, 2, 0]
    for bounds in ("val_score >= 0.5 and connection_cost <= 4", "val_score>=0.5, connection_cost <= 4"):
        assert select_best(trials, spec, bounds, n=9).index.tolist() == [3, 2]
    assert len(select_best(trials, spec, "val_score >= 2")) == 0


def test_an_objective_is_best_in_its_own_direction(small_spec):
    assert METRICS["modularity"].direction == "maximize"
    spec = small_spec(objectives=[{"metric": "modularity", "direction": "minimize"}])
    trials = make_frame([complete(i, 1.0, modularity=q) for i, q in enumerate((0.5, 0.1, 0.3))], spec)
    assert select_best(trials, spec, n=3).index.tolist() == [1, 2, 0]


TEST_ROWS = "must not use test rows, because a choice by them makes their values too good: use val_{0}, got test_{0}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"where": "val_score > 0.9"}, "where: must read like 'val_score >= 0.9', got 'val_score > 0.9'"),
        (
            {"where": "val_score >= 0.9 or val_score >= 1"},
            "where: must read like 'val_score >= 0.9', got 'val_score >= 0.9 or val_score >= 1'",
        ),
        ({"where": ""}, "where: must read like 'val_score >= 0.9', got ''"),
        ({"where": "val_score >= 1e"}, "where: must be a finite number, got '1e'"),
        ({"where": "beauty >= 1"}, f"where: metric must be one of {', '.join(METRICS)}, got 'beauty'"),
        ({"by": "beauty"}, f"by: metric must be one of {', '.join(METRICS)}, got 'beauty'"),
        (
            {"by": "score"},
            "by: metric must be val_score (on the validation rows, to choose by) or test_score, got 'score'",
        ),
        ({"by": "test_loss"}, "by " + TEST_ROWS.format("loss")),
        ({"where": "modularity >= 0, test_score >= 0.9"}, "where " + TEST_ROWS.format("score")),
        ({"n": 0}, "n must be at least 1, got 0"),
    ],
)
def test_bad_input(trials, spec, arguments, message):
    with pytest.raises(BadInputError) as caught:
        select_best(trials, spec, **arguments)
    assert str(caught.value) == message


def test_the_published_mode_chooses_by_the_papers_test_rows(trials, small_spec):
    spec = small_spec(published=True)
    assert select_best(trials, spec, "test_score >= 0.8", by="test_score", n=9).index.tolist() == [1, 3]


def test_the_best_so_far_is_that_of_feasible_trials(trials):
    completed = trials[trials["state"] == "COMPLETE"]
    score = Objective(metric="val_score", direction="maximize")
    assert best_so_far(completed, score).to_dict() == {1: 0.9, 2: 0.9, 3: 0.9}
    costs = best_so_far(completed, Objective(metric="connection_cost", direction="minimize"))
    assert costs.to_dict() == {1: 5.0, 2: 3.0, 3: 3.0}


def test_a_single_replicate_has_no_standard_error(spec):
    trial = Trial(0, "COMPLETE", {}, values={"val_score": 1.0}, stderr={"val_score": math.nan})
    assert math.isnan(make_frame([trial], spec).loc[0, "val_score_stderr"])
