import math

import pytest

from bimt_core import METRICS
from sweeps.tracking.record import make_points, now_ms, select_finite, trial_key

VALUES = {name: [float(i), i + 1.0] for i, name in enumerate(METRICS)}


@pytest.mark.parametrize(
    "values", [[math.nan, 1.0], [math.inf, 1.0], [math.inf, -math.inf], [1e308, 1e308], [1e200, 0]]
)
def test_values_that_are_not_finite_or_overflow_are_no_points(values):
    assert all(math.isfinite(value) for _, value, _, _ in make_points({"val_score": values}, 1, 2))


def test_a_point_has_name_value_step_and_time():
    assert make_points({"val_score": [1.0, 2.0]}, 30, 7) == (
        ("mean/val_score", 1.5, 30, 7),
        ("stderr/val_score", 0.5, 30, 7),
    )


def test_standard_errors_are_left_out_before_the_end():
    assert make_points({"val_score": [1.0, 2.0]}, 30, 7, last=False) == (("mean/val_score", 1.5, 30, 7),)


def test_one_value_that_is_not_finite_leaves_no_mean():
    assert make_points({"val_score": [1.0], "test_loss": [math.nan]}, 3, 7) == (("mean/val_score", 1.0, 3, 7),)
    assert make_points({"val_score": [1.0, math.inf]}, 3, 7) == ()


def test_finite_values_are_points():
    assert select_finite({"a": 1.0, "b": math.nan, "c": -math.inf}, 3, 7) == (("a", 1.0, 3, 7),)


def test_trials_of_sweeps_have_different_keys():
    assert len({trial_key(sweep, number) for sweep in ("a", "b") for number in (1, 11)}) == 4


def test_times_are_milliseconds():
    assert 1.5e12 < now_ms() < 1e13
