"""Confidence intervals of aggregates, which cover the choice of seeds and the choice of rows."""

import math

import numpy as np
import numpy.typing as npt

from sweeps.study.aggregates import Aggregate, Direction, Floats, aggregate, aggregate_stderr


def confidence_interval(
    values: npt.ArrayLike,
    how: Aggregate,
    direction: Direction,
    row_stderr: float = 0.0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Computes the confidence interval of an aggregate over all networks that could be trained and all rows.

    The seeds' part of a mean is Hall's interval (1992), Student's t corrected for the skewness that the networks show.
    The seeds' part of the others is Student's t times `aggregate_stderr`. The rows' part is normal. Both are
    independent, so the distances from the aggregate to a bound are added in quadrature.

    Args:
        values: One per network, shape (n,).
        how: The aggregate.
        direction: Direction in which values are better.
        row_stderr: Standard error of the aggregate due to the finite set of rows, from `jackknife_stderr`.
        level: Confidence level.

    Returns:
        Lower and upper bound; NaN for a single network and where values are not finite.
    """
    from scipy import stats  # slow to import

    networks = np.asarray(values, float)
    n = len(networks)
    centre = float(aggregate(networks, how, direction))
    error = float(aggregate_stderr(networks, how, direction))
    if n == 1 or not np.isfinite(networks).all() or not math.isfinite(error):
        return math.nan, math.nan
    t = float(stats.t.ppf((1 + level) / 2, n - 1))
    below, above = _skewed_distances(networks, t) if how == "mean" else (t * error, t * error)
    rows = float(stats.norm.ppf((1 + level) / 2)) * row_stderr
    return centre - math.hypot(below, rows), centre + math.hypot(above, rows)


def _skewed_distances(values: Floats, t: float) -> tuple[float, float]:
    """Distances from the mean to the bounds of Hall's interval.

    With W = (mean - mu) / s and skewness g, W + g W^2 / 3 + g^2 W^3 / 27 + g / (6 n) is nearly normal without skew; its
    quantiles t / sqrt(n) are solved for mu.
    """
    n, spread = len(values), float(values.std(ddof=1))
    deviations = values - values.mean()
    second = float((deviations**2).mean())
    g = float((deviations**3).mean()) / second**1.5 if second > 0 else 0.0
    if abs(g) < 1e-6:
        return t * spread / n**0.5, t * spread / n**0.5
    below, above = (spread * 3 / g * (np.cbrt(1 + g * (q / n**0.5 - g / (6 * n))) - 1) for q in (t, -t))
    return max(float(below), 0.0), max(float(-above), 0.0)


def jackknife_stderr(left_out: npt.ArrayLike, how: Aggregate, direction: Direction) -> float:
    """Computes the standard error of an aggregate due to the finite set of rows, by the delete-a-group jackknife.

    sqrt((G - 1) / G sum_g (a_g - mean a)^2), where a_g is the aggregate without the g-th of G groups of rows.

    Args:
        left_out: Values measured without one of the groups, shape (groups, networks).
        how: The aggregate.
        direction: Direction in which values are better.
    """
    by_group = aggregate(left_out, how, direction)
    n_groups = len(by_group)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt((n_groups - 1) * by_group.var()))
