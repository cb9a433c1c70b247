import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bimt_core import METRICS
from sweeps.spec.parts import Confirm, Constraint, Objective, Resources, StopWhen, parse_constraint

SCORE = {"metric": "val_score", "direction": "maximize"}
NO_SCORE = "must be val_score (on the validation rows, to choose by) or test_score, got 'score'"
ONE_OF_METRICS = f"must be one of {', '.join(METRICS)}, got 'beauty'"


@pytest.mark.parametrize("text", ["val_score >= 0.9", "  val_score>=9e-1 ", "val_score >= +.9"])
def test_constraints_are_read(text):
    assert Constraint.model_validate(parse_constraint(text)) == Constraint(metric="val_score", relation=">=", bound=0.9)


def test_a_constraint_may_be_a_mapping():
    constraint = Constraint(metric="val_score", relation=">=", bound=0.9)
    assert parse_constraint(constraint) is constraint
    assert Constraint.model_validate(parse_constraint(constraint.model_dump())) == constraint


@given(st.sampled_from(sorted(METRICS)), st.sampled_from(["<=", ">="]), st.integers(-99_999, 99_999))
def test_a_constraint_that_is_printed_is_read_again(metric, relation, bound):
    constraint = Constraint(metric=metric, relation=relation, bound=bound / 1000)
    assert Constraint.model_validate(parse_constraint(str(constraint))) == constraint


def test_a_violation_is_the_distance_beyond_the_bound():
    for relation, sign in ((">=", 1), ("<=", -1)):
        constraint = Constraint(metric="val_score", relation=relation, bound=0.9)
        assert constraint.violation(0.8) == pytest.approx(0.1 * sign)
        assert constraint.violation(1.0) == pytest.approx(-0.1 * sign)
        assert constraint.violation(0.9) == 0


def test_cohorts_use_one_cpu_unless_more_is_asked_for():
    assert Resources() == Resources(cpus=1, gpus=0.0, compile="auto")


def test_the_value_of_a_trial_is_the_mean_of_its_networks_unless_another_aggregate_is_asked_for():
    assert Objective(**SCORE).aggregate == "mean"
    for aggregate in ("mean", "median", "best_quarter"):
        assert Objective(**SCORE, aggregate=aggregate).aggregate == aggregate


def test_a_confirmation_has_sixteen_networks_and_a_plateau_one_per_cent_unless_more_is_asked_for():
    assert Confirm().replicates == 16
    assert StopWhen(trials=8).gain == 0.01
    assert StopWhen(trials=2, gain="1e-3").gain == 0.001


def test_parts_are_never_changed():
    for part, name in ((Objective(**SCORE), "metric"), (Resources(), "cpus"), (Confirm(), "replicates")):
        with pytest.raises(ValidationError):
            setattr(part, name, "x")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"objectives": [{"metric": "beauty", "direction": "maximize"}]}, f"objectives.0.metric: {ONE_OF_METRICS}"),
        (
            {"objectives": [{"metric": "val_score", "direction": "up"}]},
            "objectives.0.direction: must be 'minimize' or 'maximize', got 'up'",
        ),
        (
            {"objectives": ["val_score"]},
            "objectives.0: must be a mapping with the keys metric, direction, aggregate, got 'val_score'",
        ),
        ({"objectives": [SCORE | {"metric": "score"}]}, f"objectives.0.metric: {NO_SCORE}"),
        (
            {"objectives": [SCORE | {"aggregate": "best"}]},
            "objectives.0.aggregate: must be 'mean', 'median' or 'best_quarter', got 'best'",
        ),
        ({"constraints": ["score >= 0.9"]}, f"constraints.0.metric: {NO_SCORE}"),
        (
            {"constraints": ["val_score > 0.9"]},
            "constraints.0: must read like 'val_score >= 0.9', got 'val_score > 0.9'",
        ),
        (
            {"constraints": ["0.9 <= val_score"]},
            "constraints.0: must read like 'val_score >= 0.9', got '0.9 <= val_score'",
        ),
        ({"constraints": [0.9]}, "constraints.0: must read like 'val_score >= 0.9', got 0.9"),
        ({"constraints": ["val_score >= 1e"]}, "constraints.0.bound: must be a finite number, got '1e'"),
        ({"constraints": ["val_score >= 1e999"]}, "constraints.0.bound: must be a finite number, got '1e999'"),
        ({"constraints": ["beauty >= 1"]}, f"constraints.0.metric: {ONE_OF_METRICS}"),
        ({"resources": {"cpus": 0}}, "resources.cpus: must be at least 1, got 0"),
        ({"resources": {"cpus": 1.5}}, "resources.cpus: must be a whole number, got 1.5"),
        ({"resources": {"gpus": -1}}, "resources.gpus: must be at least 0, got -1"),
        ({"resources": {"compile": "yes"}}, "resources.compile: must be 'auto', 'always' or 'never', got 'yes'"),
        ({"resources": 4}, "resources: must be a mapping with the keys cpus, gpus, compile, got 4"),
        ({"confirm": 16}, "confirm: must be a mapping with the keys replicates, got 16"),
        ({"confirm": True}, "confirm: must be a mapping with the keys replicates, got True"),
        ({"confirm": {"replicates": 1}}, "confirm.replicates: must be at least 2, got 1"),
        ({"confirm": {"replicates": 2.5}}, "confirm.replicates: must be a whole number, got 2.5"),
        ({"stop_when": 8}, "stop_when: must be a mapping with the keys trials, gain, got 8"),
        ({"stop_when": {}}, "stop_when.trials is missing"),
        ({"stop_when": {"trials": 1}}, "stop_when.trials: must be at least 2, got 1"),
        ({"stop_when": {"trials": 8, "gain": 0}}, "stop_when.gain: must be above 0.0, got 0"),
        ({"stop_when": {"trials": 8, "gain": "much"}}, "stop_when.gain: must be a finite number, got 'much'"),
    ],
)
def test_a_part_that_breaks_a_rule(problems_of, small, changes, line):
    assert problems_of(small(**changes)) == [line]
