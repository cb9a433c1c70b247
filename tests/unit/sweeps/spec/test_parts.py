import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bimt_core import METRICS
from sweeps.spec.parts import Constraint, Objective, Resources, parse_constraint

SCORE = {"metric": "score", "direction": "maximize"}
ONE_OF_METRICS = f"must be one of {', '.join(METRICS)}, got 'beauty'"


@pytest.mark.parametrize("text", ["score >= 0.9", "  score>=9e-1 ", "score >= +.9"])
def test_constraints_are_read(text):
    assert Constraint.model_validate(parse_constraint(text)) == Constraint(metric="score", relation=">=", bound=0.9)


def test_a_constraint_may_be_a_mapping():
    constraint = Constraint(metric="score", relation=">=", bound=0.9)
    assert parse_constraint(constraint) is constraint
    assert Constraint.model_validate(parse_constraint(constraint.model_dump())) == constraint


@given(st.sampled_from(sorted(METRICS)), st.sampled_from(["<=", ">="]), st.integers(-99_999, 99_999))
def test_a_constraint_that_is_printed_is_read_again(metric, relation, bound):
    constraint = Constraint(metric=metric, relation=relation, bound=bound / 1000)
    assert Constraint.model_validate(parse_constraint(str(constraint))) == constraint


def test_a_violation_is_the_distance_beyond_the_bound():
    for relation, sign in ((">=", 1), ("<=", -1)):
        constraint = Constraint(metric="score", relation=relation, bound=0.9)
        assert constraint.violation(0.8) == pytest.approx(0.1 * sign)
        assert constraint.violation(1.0) == pytest.approx(-0.1 * sign)
        assert constraint.violation(0.9) == 0


def test_cohorts_use_one_cpu_unless_more_is_asked_for():
    assert Resources() == Resources(cpus=1, gpus=0.0, compile="auto")


def test_parts_are_never_changed():
    for part, name in ((Objective(**SCORE), "metric"), (Resources(), "cpus")):
        with pytest.raises(ValidationError):
            setattr(part, name, "x")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"objectives": [{"metric": "beauty", "direction": "maximize"}]}, f"objectives.0.metric: {ONE_OF_METRICS}"),
        (
            {"objectives": [{"metric": "score", "direction": "up"}]},
            "objectives.0.direction: must be 'minimize' or 'maximize', got 'up'",
        ),
        (
            {"objectives": ["score"]},
            "objectives.0: must be a mapping with the keys metric, direction, got 'score'",
        ),
        ({"constraints": ["score > 0.9"]}, "constraints.0: must read like 'score >= 0.9', got 'score > 0.9'"),
        ({"constraints": ["0.9 <= score"]}, "constraints.0: must read like 'score >= 0.9', got '0.9 <= score'"),
        ({"constraints": [0.9]}, "constraints.0: must read like 'score >= 0.9', got 0.9"),
        ({"constraints": ["score >= 1e"]}, "constraints.0.bound: must be a finite number, got '1e'"),
        ({"constraints": ["score >= 1e999"]}, "constraints.0.bound: must be a finite number, got '1e999'"),
        ({"constraints": ["beauty >= 1"]}, f"constraints.0.metric: {ONE_OF_METRICS}"),
        ({"resources": {"cpus": 0}}, "resources.cpus: must be at least 1, got 0"),
        ({"resources": {"cpus": 1.5}}, "resources.cpus: must be a whole number, got 1.5"),
        ({"resources": {"gpus": -1}}, "resources.gpus: must be at least 0, got -1"),
        ({"resources": {"compile": "yes"}}, "resources.compile: must be 'auto', 'always' or 'never', got 'yes'"),
        ({"resources": 4}, "resources: must be a mapping with the keys cpus, gpus, compile, got 4"),
    ],
)
def test_a_part_that_breaks_a_rule(problems_of, small, changes, line):
    assert problems_of(small(**changes)) == [line]
