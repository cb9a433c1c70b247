import itertools
import math

import pytest

from bimt_core import METRICS
from sweeps.errors import BadInputError
from sweeps.results.frames import best_so_far, make_frame, select_best
from sweeps.spec.parts import Objective
from sweeps.study.trial import Trial


@pytest.fixture
def spec(small_spec):
    return small_spec(constraints=["score >= 0.5"])


def complete(number, score, cost=1.0, **metrics):
    mean = dict.fromkeys(METRICS, 0.0) | {"score": score, "connection_cost": cost} | metrics
    params = {"cost_weight": 1e-3, "steps": 40}
    return Trial(number, "COMPLETE", params, mean=mean, stderr=dict.fromkeys(METRICS, 0.01), feasible=score >= 0.5)


@pytest.fixture
def trials(spec):
    """Trials of scores 0.4, 0.9, 0.7 and 0.9, and a failed one."""
    rows = [complete(0, 0.4, 1.0), complete(1, 0.9, 5.0), complete(2, 0.7, 3.0), complete(3, 0.9, 4.0)]
    return make_frame([*rows, Trial(4, "FAIL", {"cost_weight": 1e-2, "steps": 40}, reason="diverged")], spec)


def test_every_trial_is_a_row_with_hyperparameters_and_metrics(trials):
    metrics = list(itertools.chain.from_iterable((name, f"{name}_stderr") for name in METRICS))
    rest = ["feasible", "reason", "started", "ended"]
    assert trials.columns.tolist() == ["state", "attempt", "retry_of", "cost_weight", "steps", *metrics, *rest]
    assert (trials.index.name, trials.index.tolist()) == ("trial", [0, 1, 2, 3, 4])
    assert trials["score"].tolist()[:4] == [0.4, 0.9, 0.7, 0.9]
    assert trials.loc[4, list(METRICS)].isna().all()
    assert trials.loc[4, "reason"] == "diverged"


def test_no_trials_make_a_frame_with_all_columns(spec, trials):
    empty = make_frame([], spec)
    assert len(empty) == len(select_best(empty, spec)) == 0
    assert empty.columns.tolist() == trials.columns.tolist()


def test_the_best_come_first_and_equal_ones_in_order(trials, spec):
    assert select_best(trials, spec, n=9).index.tolist() == [1, 3, 2]
    assert select_best(trials, spec, by="connection_cost", n=2).index.tolist() == [2, 3]


def test_bounds_replace_the_constraints(trials, spec):
    assert select_best(trials, spec, "score >= 0", n=9).index.tolist() == [1, 3, 2, 0]
    for bounds in ("score >= 0.5 and connection_cost <= 4", "score>=0.5, connection_cost <= 4"):
        assert select_best(trials, spec, bounds, n=9).index.tolist() == [3, 2]
    assert len(select_best(trials, spec, "score >= 2")) == 0


def test_an_objective_is_best_in_its_own_direction(small_spec):
    assert METRICS["modularity"].direction == "maximize"
    spec = small_spec(objectives=[{"metric": "modularity", "direction": "minimize"}])
    trials = make_frame([complete(i, 1.0, modularity=q) for i, q in enumerate((0.5, 0.1, 0.3))], spec)
    assert select_best(trials, spec, n=3).index.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"where": "score > 0.9"}, "where: must read like 'score >= 0.9', got 'score > 0.9'"),
        (
            {"where": "score >= 0.9 or score >= 1"},
            "where: must read like 'score >= 0.9', got 'score >= 0.9 or score >= 1'",
        ),
        ({"where": ""}, "where: must read like 'score >= 0.9', got ''"),
        ({"where": "score >= 1e"}, "where: must be a finite number, got '1e'"),
        ({"where": "beauty >= 1"}, f"where: metric must be one of {', '.join(METRICS)}, got 'beauty'"),
        ({"by": "beauty"}, f"metric must be one of {', '.join(METRICS)}, got 'beauty'"),
        ({"n": 0}, "n must be at least 1, got 0"),
    ],
)
def test_bad_input(trials, spec, arguments, message):
    with pytest.raises(BadInputError) as caught:
        select_best(trials, spec, **arguments)
    assert str(caught.value) == message


def test_the_best_so_far_is_that_of_feasible_trials(trials):
    completed = trials[trials["state"] == "COMPLETE"]
    assert best_so_far(completed, Objective(metric="score", direction="maximize")).to_dict() == {1: 0.9, 2: 0.9, 3: 0.9}
    costs = best_so_far(completed, Objective(metric="connection_cost", direction="minimize"))
    assert costs.to_dict() == {1: 5.0, 2: 3.0, 3: 3.0}


def test_a_single_replicate_has_no_standard_error(spec):
    trial = Trial(0, "COMPLETE", {}, mean={"score": 1.0}, stderr={"score": math.nan})
    assert math.isnan(make_frame([trial], spec).loc[0, "score_stderr"])
