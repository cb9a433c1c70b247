import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from sweeps.study.aggregates import AGGREGATES, aggregate, aggregate_stderr

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


def slow_aggregate(values, how, direction):
    if how != "best_quarter":
        return getattr(statistics, "fmean" if how == "mean" else how)(values)
    best = sorted(values, reverse=direction == "maximize")
    return statistics.fmean(best[: math.ceil(len(values) / 4)])


@given(VALUES, st.sampled_from(AGGREGATES), st.sampled_from(["minimize", "maximize"]))
def test_aggregates_agree_with_the_standard_library(values, how, direction):
    expected = slow_aggregate(values, how, direction)
    assert aggregate(values, how, direction) == pytest.approx(expected, abs=1e-9 * max(map(abs, values)))


@given(VALUES, st.sampled_from(AGGREGATES))
def test_directions_mirror_each_other(values, how):
    assert aggregate(values, how, "minimize") == -aggregate([-value for value in values], how, "maximize")


@pytest.mark.parametrize("how", AGGREGATES)
def test_other_axes_are_kept(how):
    table = np.random.default_rng(0).normal(size=(3, 7, 2))
    for function in (aggregate, aggregate_stderr):
        by_column = function(table, how, "minimize", axis=1)
        assert by_column.shape == (3, 2)
        for row, column in np.ndindex(3, 2):
            expected = function(table[row, :, column], how, "minimize")
            assert by_column[row, column] == pytest.approx(float(expected), rel=1e-12)


def test_standard_errors_of_means_are_the_usual_ones():
    values = np.random.default_rng(0).normal(size=8).tolist()
    expected = np.std(values, ddof=1) / len(values) ** 0.5
    assert aggregate_stderr(values, "mean", "minimize") == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("how", AGGREGATES)
def test_a_single_network_has_no_standard_error(how):
    assert math.isnan(aggregate_stderr([0.5], how, "maximize"))


@pytest.mark.parametrize("n", [5, 9, 21])
def test_standard_errors_of_medians_agree_with_the_exact_spread_of_resampled_medians(n):
    values = np.sort(np.random.default_rng(n).normal(size=n))
    middle = (n + 1) // 2
    shares = np.diff(beta.cdf(np.arange(n + 1) / n, middle, n - middle + 1))  # of resamples with each value as median
    exact = np.sqrt(shares @ (values - shares @ values) ** 2 * n / (n - 1))
    assert aggregate_stderr(values, "median", "minimize") == pytest.approx(exact, rel=0.07)


@pytest.mark.parametrize("how", AGGREGATES)
@pytest.mark.parametrize("n", [4, 16])
@pytest.mark.parametrize("logarithmic", [False, True])
def test_standard_errors_are_the_spread_over_repeated_trials(how, n, logarithmic):
    samples = np.random.default_rng(0).normal(size=(400, n)) * 0.5
    samples = np.exp(samples) if logarithmic else samples
    spread = aggregate(samples, how, "minimize").std()
    estimated = np.sqrt((aggregate_stderr(samples, how, "minimize") ** 2).mean())
    assert 0.75 < estimated / spread < 1.35


def test_diverged_networks_are_the_worst_for_all_but_the_mean():
    for diverged in (math.nan, math.inf):
        values = [0.3, diverged, 0.1, 0.2]
        assert not math.isfinite(aggregate(values, "mean", "minimize"))
        assert aggregate(values, "median", "minimize") == pytest.approx(0.25)
        assert aggregate(values, "best_quarter", "minimize") == 0.1
    assert aggregate([0.3, math.nan, 0.1, 0.2], "median", "maximize") == pytest.approx(0.15)


@pytest.mark.parametrize("how", AGGREGATES)
@pytest.mark.parametrize("values", [[math.nan] * 4, [math.inf, 1.0], [math.inf, -math.inf], [1e308] * 4, [1e200, 0]])
def test_values_that_are_not_finite_or_overflow_raise_nothing(values, how):
    aggregate(values, how, "minimize")
    aggregate_stderr(values, how, "minimize")
