import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweeps.results.statistics import format_mean, holm_correction, mean_and_half_width, signed_rank_p_value


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [(8.4123, 0.0312, "8.412 ±0.03"), (8.4123, math.nan, "8.412"), (1e-7, 2e-8, "1e-07 ±2e-08"), (0.5, 0.0, "0.5 ±0")],
)
def test_a_mean_is_formatted_with_its_error(mean, error, text):
    assert format_mean(mean, error) == text


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20).filter(lambda values: np.std(values) > 1e-6))
def test_the_interval_is_that_of_scipy(values):
    mean, half_width = mean_and_half_width(np.array(values))
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (mean - half_width, mean + half_width) == pytest.approx(expected)


def test_one_value_has_no_interval():
    mean, half_width = mean_and_half_width(np.array([3.0]))
    assert mean == 3.0
    assert math.isnan(half_width)


def test_the_signed_rank_test_is_two_sided():
    differences = np.arange(1.0, 11.0)
    assert signed_rank_p_value(differences) == signed_rank_p_value(-differences) == 2 / 2**10
    assert signed_rank_p_value(np.zeros(10)) == 1


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # the usual example of textbooks
        ([0.5], [0.5]),
        ([0.6, 0.7], [1.0, 1.0]),
        ([], []),
    ],
)
def test_known_corrections(p, corrected):
    assert holm_correction(p).tolist() == pytest.approx(corrected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10), st.floats(0.01, 0.5))
def test_the_correction_rejects_as_the_step_down_procedure_does(p, level):
    rejected = set()
    for step, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] * (len(p) - step) >= level:
            break
        rejected.add(i)
    assert {i for i, value in enumerate(holm_correction(p)) if value < level} == rejected
