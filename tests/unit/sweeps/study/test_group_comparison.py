import math

import numpy as np
import pytest
from scipy import stats

from sweeps.study.aggregates import aggregate
from sweeps.study.group_comparison import compare_groups
from sweeps.study.intervals import confidence_interval


@pytest.mark.parametrize(("sigma", "n_baseline"), [(0.1, 16), (0.6, 16), (0.3, 4)])
def test_intervals_cover_the_ratio(sigma, n_baseline):
    rng, covered = np.random.default_rng(0), []
    for _ in range(400):
        ours, baseline = 0.2 * np.exp(rng.normal(0, sigma, 16)), np.exp(rng.normal(0, sigma, n_baseline))
        comparison = compare_groups(ours, baseline, "minimize")
        covered.append(comparison.low <= 0.2 <= comparison.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.025)


def test_swapping_the_groups_inverts_the_ratio():
    rng = np.random.default_rng(0)
    one, other = np.exp(rng.normal(0, 0.5, 16)), np.exp(rng.normal(0, 0.5, 8))
    forth, back = compare_groups(one, other, "minimize"), compare_groups(other, one, "minimize")
    assert (forth.ratio, forth.low, forth.high) == pytest.approx((1 / back.ratio, 1 / back.high, 1 / back.low))
    assert forth.p == back.p


def test_against_an_exact_baseline_the_interval_is_that_of_ours():
    ours = np.random.default_rng(0).exponential(1, 16) + 1
    comparison = compare_groups(ours, [2.0, 2.0, 2.0], "minimize", "median")
    assert comparison.ratio == aggregate(ours, "median", "minimize") / 2
    bounds = np.divide(confidence_interval(ours, "median", "minimize"), 2)
    assert (comparison.low, comparison.high) == pytest.approx(bounds)


def test_the_p_value_is_mann_and_whitneys():
    rng = np.random.default_rng(0)
    ours, baseline = rng.normal(0, 1, 16), rng.normal(1, 1, 16)
    assert compare_groups(ours, baseline, "minimize").p == stats.mannwhitneyu(ours, baseline).pvalue
    assert compare_groups([1, 2, 3, 4], [5, 6, 7, 8], "minimize").p == pytest.approx(2 / math.comb(8, 4))


def test_intervals_that_reach_zero_leave_the_ratio_unbounded():
    uncertain, certain = [0.001, 0.002, 5.0, 0.001], [1.0, 1.1, 0.9, 1.0]
    ours, baseline = compare_groups(uncertain, certain, "minimize"), compare_groups(certain, uncertain, "minimize")
    assert ours.low == 0
    assert 1 < ours.high < math.inf
    assert 0 < baseline.low < 1
    assert baseline.high == math.inf


@pytest.mark.parametrize(
    ("ours", "baseline"),
    [
        ([-0.5, 0.9, 0.8], [0.9, 0.8, 0.7]),
        ([0.0, 0.0, 0.0], [0.9, 0.8, 0.7]),
        ([0.9, 0.8, 0.7], [0.0, 0.0, 0.0]),
        ([0.9, 0.8, math.inf], [0.9, 0.8, 0.7]),
        ([0.9, 0.8, math.nan], [0.9, 0.8, 0.7]),
        ([0.9], [0.9, 0.8, 0.7]),
    ],
)
def test_where_ratios_say_nothing_they_have_no_bounds(ours, baseline):
    comparison = compare_groups(ours, baseline, "minimize")
    assert math.isnan(comparison.low)
    assert math.isnan(comparison.high)


def test_equal_groups():
    comparison = compare_groups([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], "minimize")
    assert (comparison.ratio, comparison.low, comparison.high, comparison.p) == (1, 1, 1, 1)
