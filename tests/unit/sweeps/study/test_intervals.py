import math

import numpy as np
import pytest
from scipy import stats

from sweeps.study.aggregates import AGGREGATES, aggregate
from sweeps.study.intervals import confidence_interval, jackknife_stderr


def draw_log_normal(rng, size):
    return np.exp(rng.normal(0, 0.6, size))


def draw_two_groups(rng, size):
    return np.exp(rng.normal(0, 0.5, size) + math.log(20) * (rng.random(size) < 0.3))


def draw_normal(rng, size):
    return rng.normal(1, 0.1, size)


def measure_coverage(draw, how, n, repetitions=400):
    rng = np.random.default_rng(0)
    truth = (
        aggregate(draw(rng, (100_000, n)), how, "minimize").mean()
        if how != "median"
        else np.median(draw(rng, 1_000_000))
    )
    bounds = np.array([confidence_interval(draw(rng, n), how, "minimize") for _ in range(repetitions)])
    return ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean()


@pytest.mark.parametrize(
    ("draw", "how", "n", "expected"),
    [
        (draw_normal, "mean", 4, 0.95),
        (draw_normal, "mean", 16, 0.95),
        (draw_log_normal, "mean", 16, 0.94),
        (draw_two_groups, "mean", 16, 0.98),
        (draw_normal, "median", 4, 0.96),
        (draw_log_normal, "median", 16, 0.955),
        (draw_two_groups, "median", 16, 0.965),
        (draw_normal, "best_quarter", 16, 0.91),
        (draw_log_normal, "best_quarter", 16, 0.935),
    ],
)
def test_intervals_cover_the_truth_as_often_as_documented(draw, how, n, expected):
    assert measure_coverage(draw, how, n) == pytest.approx(expected, abs=0.03)


def test_the_interval_of_a_mean_without_skewness_is_students():
    values = [1.0, 2.0, 4.0, 5.0]
    expected = stats.t.interval(0.9, 3, 3.0, stats.sem(values))
    assert confidence_interval(values, "mean", "minimize", level=0.9) == pytest.approx(expected)


def test_bounds_of_a_mean_solve_halls_equation():
    values = draw_log_normal(np.random.default_rng(0), 16)
    g, t = stats.skew(values), stats.t.ppf(0.975, 15)
    for bound, expected in zip(confidence_interval(values, "mean", "minimize"), (t, -t), strict=True):
        w = (values.mean() - bound) / values.std(ddof=1)
        assert 4 * (w + g * w**2 / 3 + g**2 * w**3 / 27 + g / (6 * 16)) == pytest.approx(expected)


@pytest.mark.parametrize("n", [4, 16])
def test_the_interval_of_a_best_quarter_is_students_of_values_cut_off(n):
    values = np.random.default_rng(0).permutation(n) ** 1.5
    cut = np.clip(np.arange(n), 0, n // 4) ** 1.5
    distance = stats.t.ppf(0.975, n / 2) * stats.sem(cut) * 4
    low, high = confidence_interval(values, "best_quarter", "minimize")
    assert (high - low) / 2 == pytest.approx(distance)


@pytest.mark.parametrize("tilt", [1e-3, 1e-7])
def test_the_interval_of_a_mean_tends_to_students_as_skewness_vanishes(tilt):
    values = [1.0, 2.0, 4.0, 5.0 + tilt]
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert confidence_interval(values, "mean", "minimize") == pytest.approx(expected, rel=20 * tilt)


def test_the_interval_of_a_mean_reaches_farther_to_the_long_tail():
    values = draw_log_normal(np.random.default_rng(0), 16)
    low, high = confidence_interval(values, "mean", "minimize")
    assert high - values.mean() > 1.3 * (values.mean() - low)
    mirrored_low, mirrored_high = confidence_interval(-values, "mean", "maximize")
    assert (-mirrored_high, -mirrored_low) == pytest.approx((low, high))


@pytest.mark.parametrize("how", AGGREGATES)
def test_intervals_follow_units(how):
    values = np.random.default_rng(0).normal(3, 1, 16)
    low, high = confidence_interval(values, how, "minimize")
    assert low < aggregate(values, how, "minimize") < high
    assert confidence_interval(100 * values + 7, how, "minimize") == pytest.approx((100 * low + 7, 100 * high + 7))


@pytest.mark.parametrize("how", AGGREGATES)
def test_rows_widen_intervals(how):
    values = np.random.default_rng(0).normal(0, 0.1, 16)
    centre = float(aggregate(values, how, "minimize"))
    seeds = np.abs(np.subtract(confidence_interval(values, how, "minimize"), centre))
    both = np.abs(np.subtract(confidence_interval(values, how, "minimize", 0.3), centre))
    assert both**2 == pytest.approx(seeds**2 + (stats.t.ppf(0.975, 19) * 0.3) ** 2)


def test_rows_widen_the_interval_of_positive_values_by_a_factor():
    low, high = confidence_interval([2.0] * 4, "mean", "minimize", 0.5)
    assert 2 / low == pytest.approx(high / 2) == pytest.approx(math.exp(stats.t.ppf(0.975, 19) / 4))


@pytest.mark.parametrize("by_groups", [False, True])
def test_intervals_cover_seeds_and_rows(by_groups):
    rng, covered = np.random.default_rng(0), []
    for _ in range(400):  # losses of 16 networks on 2,000 rows, few of which are hard
        rows = rng.exponential(1, 2000) ** 2
        losses = np.outer(np.exp(rng.normal(0, 0.1, 16)), rows) / math.exp(0.1**2 / 2)
        values, groups = losses.mean(axis=1), losses.reshape(16, 20, 100).mean(axis=2).T
        left_out = (groups.sum(axis=0) - groups) / 19
        error = jackknife_stderr(left_out, "mean", "minimize")
        rows_part = {"left_out": left_out} if by_groups else {"row_stderr": error}
        low, high = confidence_interval(values, "mean", "minimize", **rows_part)
        covered.append(low <= 2.0 <= high)  # the mean of the square of an exponential variable
    assert np.mean(covered) == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize("how", AGGREGATES)
def test_the_jackknife_of_equal_groups_of_rows(how):
    rng = np.random.default_rng(0)
    by_group = rng.normal(0, 1, 20)  # an effect of rows that all networks share
    values = rng.normal(10, 5, 8) + by_group[:, None]
    left_out = (values.sum(axis=0) - values) / 19
    assert jackknife_stderr(left_out, how, "minimize") == pytest.approx(stats.sem(by_group))


def test_a_single_network_has_no_interval():
    assert all(math.isnan(bound) for bound in confidence_interval([1.0], "median", "minimize"))


def test_diverged_networks():
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, math.nan]
    assert all(math.isnan(bound) for bound in confidence_interval(values, "mean", "minimize"))
    low, high = confidence_interval(values, "median", "minimize")
    assert 0 < low < 0.45 < high < math.inf
    low, high = confidence_interval([0.1, 0.2, math.inf, math.nan], "median", "minimize")
    assert high == math.inf or math.isnan(high)
    low, high = confidence_interval(values, "best_quarter", "minimize")
    assert low < 0.15 < high
