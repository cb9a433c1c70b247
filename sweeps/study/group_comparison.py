"""Comparison of two groups of networks, such as a configuration's and the baseline's."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sweeps.study.aggregates import Aggregate, Direction, aggregate
from sweeps.study.intervals import confidence_interval


@dataclass(frozen=True)
class Comparison:
    """One metric of two independent groups of networks.

    Args:
        ratio: Our aggregate divided by the baseline's.
        low: Lower bound of the ratio's 95 % interval, which covers the choice of seeds.
        high: Its upper bound.
        p: Two-sided p-value of Mann and Whitney's test, of all networks.
    """

    ratio: float
    low: float
    high: float
    p: float


def compare_groups(
    ours: npt.ArrayLike, baseline: npt.ArrayLike, direction: Direction, how: Aggregate = "mean"
) -> Comparison:
    """Compares two independent groups of networks, trained with different seeds.

    The interval of the ratio combines those of both aggregates (the MOVER of Donner and Zou, 2012, on logarithms): the
    distance to the lower bound is the root of the squared distances of ours to its lower bound and of the baseline's to
    its upper bound, and conversely. It covers the seeds only.

    Args:
        ours: One value per network.
        baseline: One value per network.
        direction: Direction in which values are better.
        how: The aggregate.

    Returns:
        The comparison; bounds are NaN where an aggregate's interval is not above 0, so that a ratio says nothing.
    """
    from scipy import stats  # slow to import

    groups = [np.asarray(values, float) for values in (ours, baseline)]
    (ours_mean, base_mean) = (float(aggregate(values, how, direction)) for values in groups)
    (ours_low, ours_high), (base_low, base_high) = (confidence_interval(values, how, direction) for values in groups)
    ratio = ours_mean / base_mean if base_mean else math.nan
    low = high = math.nan
    if min(ours_low, base_low) > 0:
        low = ratio * math.exp(-math.hypot(math.log(ours_mean / ours_low), math.log(base_high / base_mean)))
        high = ratio * math.exp(math.hypot(math.log(ours_high / ours_mean), math.log(base_mean / base_low)))
    return Comparison(ratio, low, high, float(stats.mannwhitneyu(*groups).pvalue))
