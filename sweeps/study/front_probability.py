"""Fronts of measured values, and the probability of being on one, given how much networks differ."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from sweeps.spec.parts import Aggregate, Direction
from sweeps.study.aggregates import Floats, aggregate

Verdict = Literal["yes", "no", "unsure"]
Bools = npt.NDArray[np.bool_]

LIKELY, UNLIKELY = 0.9, 0.1  # probabilities from which a verdict is sure


def find_front(values: npt.ArrayLike, directions: Sequence[Direction]) -> Bools:
    """Finds the points that no other point dominates; equal points all stay, and points with NaN never do.

    Args:
        values: Shape (..., points, objectives).
        directions: One per objective.

    Returns:
        True for points on the front, shape (..., points).
    """
    costs = _costs(values, directions)
    return ~_is_dominated(costs, costs) & ~np.isnan(costs).any(axis=-1)


def touches_front(
    values: npt.ArrayLike, stderr: npt.ArrayLike, directions: Sequence[Direction], errors: float = 2.0
) -> Bools:
    """Finds the trials that could be on the front: so many standard errors better, they are not dominated.

    The front is that of the values themselves. A trial without a standard error (NaN) could be anywhere, so it touches
    the front; a trial with a value that is not finite never does.

    Args:
        values: Aggregates, shape (trials, objectives).
        stderr: Their standard errors, of the same shape.
        directions: One per objective.
        errors: Standard errors by which every objective is improved.
    """
    costs = _costs(values, directions)
    distance = errors * np.asarray(stderr, float)
    with np.errstate(invalid="ignore"):
        best = costs - np.where(np.isnan(distance), np.inf, distance)
    return ~_is_dominated(best, costs) & np.isfinite(costs).all(axis=-1)


def front_probabilities(
    values: Sequence[npt.ArrayLike],
    directions: Sequence[Direction],
    aggregates: Sequence[Aggregate],
    *,
    bounds: Sequence[tuple[float, float]] = (),
    n_resamples: int = 2000,
    seed: int = 0,
) -> Floats:
    """Estimates the probability of each configuration to be on the front of all of them.

    Networks of every configuration are resampled, each with all of its metrics. Deviations of the resampled aggregates
    from the measured ones are enlarged by sqrt(n / (n - 1)), by which resamples of n networks are too alike. A single
    network counts as exact. Rows are not resampled: all configurations are measured on the same.

    Args:
        values: Per configuration, shape (networks, objectives + constraints); numbers of networks may differ.
        directions: One per objective.
        aggregates: One per objective.
        bounds: Lowest and highest feasible mean of each constrained metric, which are the last columns.
        n_resamples: Number of resamples.
        seed: Seed of the resamples.
    """
    rng = np.random.default_rng(seed)
    columns = [*zip(aggregates, directions, strict=True), *((("mean", "minimize"),) * len(bounds))]
    resampled = np.stack([_resample(np.asarray(table, float), columns, n_resamples, rng) for table in values], axis=1)
    objectives, constrained = np.split(resampled, [len(directions)], axis=-1)
    low, high = np.reshape(bounds, (-1, 2)).T
    feasible = ((constrained >= low) & (constrained <= high)).all(axis=-1)
    objectives[~feasible] = np.nan
    return np.asarray(find_front(objectives, directions).mean(axis=0))


def judge(probability: float) -> Verdict:
    """Says whether a configuration is still on the front: "yes" from 0.9, "no" up to 0.1, else "unsure".

    Args:
        probability: Probability of being on the front.

    Examples:
        >>> judge(0.95), judge(0.5), judge(0.02)
        ('yes', 'unsure', 'no')
    """
    if probability >= LIKELY:
        return "yes"
    return "no" if probability <= UNLIKELY else "unsure"


def _resample(
    table: Floats, columns: Sequence[tuple[Aggregate, Direction]], n_resamples: int, rng: np.random.Generator
) -> Floats:
    """Aggregates of resampled networks, shape (n_resamples, columns)."""
    n = len(table)
    picks = rng.integers(n, size=(n_resamples, n))
    factor = (n / (n - 1)) ** 0.5 if n > 1 else 1.0
    resampled = []
    for column, (how, direction) in zip(table.T, columns, strict=True):
        measured = aggregate(column, how, direction)
        with np.errstate(invalid="ignore"):
            resampled.append(measured + factor * (aggregate(column[picks], how, direction) - measured))
    return np.stack(resampled, axis=-1)


def _costs(values: npt.ArrayLike, directions: Sequence[Direction]) -> Floats:
    """Values with their sign changed where larger is better."""
    signs = [1.0 if direction == "minimize" else -1.0 for direction in directions]
    return np.asarray(values, float) * signs


def _is_dominated(points: Floats, others: Floats) -> Bools:
    """Per point, whether any of the others is at least as good everywhere and better somewhere."""
    dominated = np.zeros(points.shape[:-1], bool)
    for index in range(others.shape[-2]):
        other = others[..., index, None, :]
        dominated |= (other <= points).all(axis=-1) & (other < points).any(axis=-1)
    return dominated
