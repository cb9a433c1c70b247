"""Aggregates: the one number that stands for the networks of a configuration, and its standard error."""

import math
from typing import get_args

import numpy as np
import numpy.typing as npt

from sweeps.spec.parts import Aggregate, Direction

AGGREGATES: tuple[Aggregate, ...] = get_args(Aggregate)

Floats = npt.NDArray[np.float64]

N_RESAMPLES = 1000  # of standard errors


def aggregate(values: npt.ArrayLike, how: Aggregate, direction: Direction, axis: int = -1) -> Floats:
    """Computes the aggregate of a metric over networks.

    "mean" and "median" are the usual ones; "best_quarter" is the mean of the best ceil(n / 4) of n networks. To a
    median and to a best quarter, a network without a value (NaN) is the worst one; a mean with it is NaN.

    Args:
        values: One per network along the axis; the other axes are kept.
        how: The aggregate.
        direction: Direction in which values are better.
        axis: Axis of the networks.

    Examples:
        >>> losses = [0.1, 0.3, 0.2, 9.0, 0.4]
        >>> [aggregate(losses, how, "minimize").item() for how in ("mean", "median", "best_quarter")]
        [2.0, 0.3, 0.15000000000000002]
    """
    table = np.moveaxis(np.asarray(values, float), axis, -1)
    with np.errstate(over="ignore", invalid="ignore"):  # values of a diverging network may overflow
        if how == "mean":
            return np.asarray(table.mean(axis=-1))
        sign = 1.0 if direction == "minimize" else -1.0
        best_first = sign * np.sort(sign * table, axis=-1)  # NaN comes last
        n = table.shape[-1]
        if how == "median":
            return np.asarray(best_first[..., (n - 1) // 2 : n // 2 + 1].mean(axis=-1))
        return np.asarray(best_first[..., : math.ceil(n / 4)].mean(axis=-1))


def aggregate_stderr(values: npt.ArrayLike, how: Aggregate, direction: Direction, axis: int = -1) -> Floats:
    """Computes the standard error of an aggregate over networks, which is NaN for a single network.

    For the mean, s / sqrt(n). For the others, the standard deviation of the aggregates of resampled networks times
    sqrt(n / (n - 1)): resamples are too alike by that factor. They are the same in every call.

    Args:
        values: One per network along the axis; the other axes are kept.
        how: The aggregate.
        direction: Direction in which values are better.
        axis: Axis of the networks.

    Examples:
        >>> aggregate_stderr([1.0, 2.0, 3.0], "mean", "minimize").item()
        0.5773502691896258
    """
    table = np.moveaxis(np.asarray(values, float), axis, -1)
    n = table.shape[-1]
    if n == 1:
        return np.full(table.shape[:-1], np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        if how == "mean":
            return np.asarray(table.std(axis=-1, ddof=1) / n**0.5)
        picks = np.random.default_rng(0).integers(n, size=(N_RESAMPLES, n))
        return np.asarray(aggregate(table[..., picks], how, direction).std(axis=-1) * (n / (n - 1)) ** 0.5)
