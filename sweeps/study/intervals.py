"""Confidence intervals of aggregates, which cover the choice of seeds and the choice of rows."""

import math

import numpy as np
import numpy.typing as npt

from sweeps.spec.parts import Aggregate, Direction
from sweeps.study.aggregates import Floats, aggregate

N_ROW_GROUPS = 20  # that a standard error due to rows is computed from
N_RESAMPLES = 2000  # of the networks, for the interval of a median

Distances = tuple[float, float]  # from an aggregate down and up to the bounds of its interval


def confidence_interval(
    values: npt.ArrayLike,
    how: Aggregate,
    direction: Direction,
    row_stderr: float = 0.0,
    level: float = 0.95,
    *,
    left_out: npt.ArrayLike | None = None,
) -> tuple[float, float]:
    """Computes the confidence interval of an aggregate over all networks that could be trained and all rows.

    Seeds and rows are independent, so the distances from the aggregate to a bound are added in quadrature.

    The seeds' part:
        mean: Hall's interval (1992), which is Student's t corrected for the skewness of the values. Coverage of
            nominal 95 % with 16 networks, by simulation: normal 95, log-normal with sigma 0.3, 0.6 and 1.0: 94.5, 94
            and 91 (Student's t: 94, 92 and 86), two groups of 70 % and 30 %: 98 (Student's t: 90). Failures so rare
            that 16 networks may not show one are not covered.
        median: Percentiles of the medians of resampled networks, at distances enlarged to those of Student's t.
            Coverage 94 to 97 with 4 to 32 networks.
        best_quarter: Student's t with n / 2 degrees of freedom, times the standard error of a mean of values cut off
            at the first that is not among the best. Coverage 92 to 94 with 16 networks, 87 to 90 with 4.

    The rows' part is Hall's interval of the jackknife's pseudo-values if `left_out` is given, otherwise Student's t
    for 20 groups times `row_stderr`, on logarithms if all values are positive.

    Args:
        values: One per network, shape (n,).
        how: The aggregate.
        direction: Direction in which values are better.
        row_stderr: Standard error of the aggregate due to the finite set of rows, from `jackknife_stderr`.
        level: Confidence level.
        left_out: Values measured without one of the groups of rows, shape (groups, n), instead of `row_stderr`. Better
            where few rows matter much, as in losses.

    Returns:
        Lower and upper bound; NaN for a single network, and where values that matter are not finite.
    """
    networks = np.asarray(values, float)
    centre = float(aggregate(networks, how, direction))
    if len(networks) < 2 or not math.isfinite(centre):
        return math.nan, math.nan
    seeds = {"mean": _mean_distances, "median": _median_distances, "best_quarter": _best_quarter_distances}
    below, above = seeds[how](networks, direction, level)
    if left_out is None:
        rows_below, rows_above = _row_distances(networks, centre, row_stderr, level)
    else:
        rows_below, rows_above = _mean_distances(_pseudo_values(centre, left_out, how, direction), direction, level)
    return centre - math.hypot(below, rows_below), centre + math.hypot(above, rows_above)


def jackknife_stderr(left_out: npt.ArrayLike, how: Aggregate, direction: Direction) -> float:
    """Computes the standard error of an aggregate due to the finite set of rows, by the delete-a-group jackknife.

    sqrt((G - 1) / G sum_g (a_g - mean a)^2), where a_g is the aggregate without the g-th of G groups of rows.

    Args:
        left_out: Values measured without one of the groups of rows, shape (groups, networks).
        how: The aggregate.
        direction: Direction in which values are better.
    """
    by_group = aggregate(left_out, how, direction)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt((len(by_group) - 1) * by_group.var()))


def _row_distances(values: Floats, centre: float, row_stderr: float, level: float) -> Distances:
    """Student's t times the standard error, which makes factors of positive values."""
    from scipy import stats  # slow to import

    distance = float(stats.t.ppf((1 + level) / 2, N_ROW_GROUPS - 1)) * row_stderr
    if not values.min() > 0:
        return distance, distance
    return -centre * math.expm1(-distance / centre), centre * math.expm1(distance / centre)


def _pseudo_values(centre: float, left_out: npt.ArrayLike, how: Aggregate, direction: Direction) -> Floats:
    """Contributions of the groups of rows to an aggregate: G a - (G - 1) a_g."""
    by_group = aggregate(left_out, how, direction)
    return np.asarray(len(by_group) * centre - (len(by_group) - 1) * by_group)


def _mean_distances(values: Floats, _: Direction, level: float) -> Distances:
    """Hall's interval of a mean.

    With W = (mean - mu) / s and skewness g, W + g W^2 / 3 + g^2 W^3 / 27 + g / (6 n) has hardly any skewness. It is
    set to t / sqrt(n), t being Student's quantiles, and solved for mu.
    """
    from scipy import stats

    n = len(values)
    with np.errstate(over="ignore", invalid="ignore"):
        deviations = values - values.mean()
        spread = float(deviations.std() * (n / (n - 1)) ** 0.5)
        t = float(stats.t.ppf((1 + level) / 2, n - 1)) / n**0.5
        g = float((deviations**3).mean() / deviations.std() ** 3) if spread > 0 else 0.0
    if abs(g) < 1e-6:
        return spread * t, spread * t
    below, above = (spread * 3 / g * (math.cbrt(1 + g * (q - g / (6 * n))) - 1) for q in (t, -t))
    return max(below, 0.0), max(-above, 0.0)


def _median_distances(values: Floats, direction: Direction, level: float) -> Distances:
    """Percentiles of resampled medians, with distances from Student's t instead of a normal's."""
    from scipy import stats

    n, centre = len(values), float(aggregate(values, "median", direction))
    picks = np.random.default_rng(0).integers(n, size=(N_RESAMPLES, n))
    resampled = aggregate(values[picks], "median", direction)
    resampled[np.isnan(resampled)] = math.inf if direction == "minimize" else -math.inf
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf").tolist()
    quantile = (1 + level) / 2
    factor = float(stats.t.ppf(quantile, n - 1) / stats.norm.ppf(quantile)) * (n / (n - 1)) ** 0.5
    return factor * (centre - low), factor * (high - centre)


def _best_quarter_distances(values: Floats, direction: Direction, level: float) -> Distances:
    """Student's t times the standard error of the mean of the best k, to which a value beyond them counts as the next.

    The k best have the mean b + 1/k sum_i min(x_i - b, 0), where b is the (k + 1)-th best value.
    """
    from scipy import stats

    n, sign = len(values), 1.0 if direction == "minimize" else -1.0
    k = math.ceil(n / 4)
    best_first = np.sort(sign * values)
    with np.errstate(invalid="ignore"):
        error = float(np.fmin(best_first, best_first[k]).std(ddof=1) * n**0.5 / k)
    distance = float(stats.t.ppf((1 + level) / 2, max(n / 2, 1))) * error
    return distance, distance
