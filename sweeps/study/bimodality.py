"""Trials whose networks fall into two groups: some work and some do not."""

from functools import cache

import numpy as np
import numpy.typing as npt

from sweeps.study.aggregates import Floats

SMALLEST_SAMPLE = 4  # networks
WIDE = 10.0  # positive values that span a larger factor are looked at as logarithms only
FALSE_ALARMS = 0.01  # share of normal samples that count as two groups
SMALLEST_GAP = 0.1  # difference between groups, relative to the larger one
N_SAMPLES = 20_000


def is_bimodal(values: npt.ArrayLike) -> bool:
    """Tells whether values of a trial's networks fall into two groups.

    They do if the best split in two explains more of the variance (Otsu, 1979) than it does for 99 % of normal samples
    of the same size, and the groups' means differ by more than a tenth of the larger one. Positive values must do so
    as logarithms; unless they span more than a factor of 10, also as they are. Networks without a finite value are a
    group of their own. Up to three networks are too few to tell.

    Of samples without groups, up to 1.3 % (normal, log-normal) and 3 % (long tails of bad values) count as two. Of
    four networks, one must be about twenty times as far from the others as these are apart.

    Args:
        values: One per network.

    Examples:
        >>> is_bimodal([0.99, 0.99, 0.5, 0.98])
        True
        >>> is_bimodal([0.99, 0.97, 0.96, 0.98])
        False
    """
    networks = np.asarray(values, float)
    finite = np.sort(networks[np.isfinite(networks)])
    if len(networks) < SMALLEST_SAMPLE:
        return False
    if len(finite) < len(networks):
        return len(finite) > 0
    scales = [np.log(finite)] if finite[0] > 0 else [finite]
    if finite[-1] <= WIDE * finite[0]:
        scales.append(finite)
    return all(_has_two_groups(values) for values in scales) and _has_gap(finite)


@cache
def explained_share_of_normal_samples(n: int) -> float:
    """Computes the share of variance that the best split explains in all but 1 % of normal samples.

    Args:
        n: Size of the samples.
    """
    samples = np.sort(np.random.default_rng(0).normal(size=(N_SAMPLES, n)), axis=-1)
    return float(np.quantile(_explained_shares(samples).max(axis=-1), 1 - FALSE_ALARMS))


def _has_two_groups(ordered: Floats) -> bool:
    """Says whether the best split explains more than that of normal samples."""
    with np.errstate(invalid="ignore"):  # equal values
        share = _explained_shares(ordered).max()
    return bool(share > explained_share_of_normal_samples(len(ordered)))


def _has_gap(ordered: Floats) -> bool:
    """Says whether the means of the groups of the best split differ much."""
    with np.errstate(invalid="ignore"):
        split = int(_explained_shares(ordered).argmax()) + 1
    low, high = ordered[:split].mean(), ordered[split:].mean()
    return bool(high - low > SMALLEST_GAP * max(abs(low), abs(high)))


def _explained_shares(ordered: Floats) -> Floats:
    """Share of the variance that lies between the k smallest and the other values, for k = 1 to n - 1."""
    n = ordered.shape[-1]
    deviations = ordered - ordered.mean(axis=-1, keepdims=True)
    sums = deviations.cumsum(axis=-1)[..., :-1]
    k = np.arange(1, n)
    return np.asarray(sums**2 * n / (k * (n - k)) / (deviations**2).sum(axis=-1, keepdims=True))
