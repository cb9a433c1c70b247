import math

import numpy as np
import pytest

from sweeps.study.bimodality import explained_share_of_normal_samples, is_bimodal

SIZES = (4, 5, 8, 16, 32)


def flagged(draw, n, repetitions=1000):
    rng = np.random.default_rng(n)
    return np.mean([is_bimodal(draw(rng, n)) for _ in range(repetitions)])


def explained_share(values):
    """The same for one sample and all of its splits, the slow way."""
    ordered = np.sort(values)
    within = [ordered[:k].var() * k + ordered[k:].var() * (len(ordered) - k) for k in range(1, len(ordered))]
    return 1 - min(within) / (ordered.var() * len(ordered))


@pytest.mark.parametrize("n", [4, 16])
def test_thresholds_are_quantiles_of_normal_samples(n):
    samples = np.random.default_rng(1).normal(size=(2000, n))
    above = np.mean([explained_share(sample) > explained_share_of_normal_samples(n) for sample in samples])
    assert above == pytest.approx(0.01, abs=0.007)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("centre", [0, 1])
def test_normal_samples_are_rarely_flagged(n, centre):
    assert flagged(lambda rng, n: rng.normal(centre, 0.3, n), n) <= 0.02


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.5])
def test_log_normal_samples_are_rarely_flagged(n, sigma):
    assert flagged(lambda rng, n: np.exp(rng.normal(0, sigma, n)), n) <= 0.02


@pytest.mark.parametrize("n", SIZES)
def test_networks_that_fail_are_found(n):
    def draw(rng, n):
        scores = rng.normal(0.985, 0.005, n)
        scores[: 1 + n // 5] = 0.5
        return rng.permutation(scores)

    assert flagged(draw, n) >= 0.98


@pytest.mark.parametrize("n", [8, 16, 32])
def test_losses_that_differ_by_magnitudes_are_found(n):
    def draw(rng, n):
        return np.exp(rng.normal(-7, 0.5, n) + 7 * (np.arange(n) < n // 3))

    assert flagged(draw, n) >= 0.97


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.99, 0.99, 0.5, 0.98], True),
        ([0.99, 0.5, 0.5, 0.99], True),
        ([0.99, 0.97, 0.96, 0.98], False),
        ([1.0, 1.0, 1.0, 0.995], False),  # equal but for a row or two
        ([1.0, 1.0, 1.0, 1.0], False),
        ([0.0, 0.0, 0.0, 0.0], False),
        ([0.0, 0.0, 0.0, 1.0], True),
        ([-0.5, 0.99, 0.98, 0.99], True),  # R squared
        ([0.99, 0.5, 0.98], False),  # too few
        ([0.99, math.nan, 0.98, 0.99], True),
        ([0.1, math.inf, 0.2, 0.3], True),
        ([math.nan] * 4, False),
        ([], False),
    ],
)
def test_cases(values, expected):
    assert is_bimodal(values) is expected


def test_the_order_of_networks_and_their_unit_do_not_matter():
    values = np.array([0.02, 0.5, 0.021, 0.019, 0.55, 0.018])
    assert {is_bimodal(scale * np.roll(values, shift)) for scale in (1e-3, 1, 1e3) for shift in range(6)} == {True}
