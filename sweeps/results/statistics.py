"""Statistics of results: intervals and tests, and the text form of a mean."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05  # a difference is significant if its corrected p-value is below

Floats = npt.NDArray[np.float64]


def format_mean(mean: float, error: float) -> str:
    """Formats a mean with its error.

    Args:
        mean: The mean.
        error: Its standard error, or half the width of its interval; NaN for a single value.

    Examples:
        >>> format_mean(8.4123, 0.0312)
        '8.412 ±0.03'
        >>> format_mean(8.4123, float("nan"))
        '8.412'
    """
    return f"{mean:.4g}" if math.isnan(error) else f"{mean:.4g} ±{error:.1g}"


def mean_and_half_width(values: Floats) -> tuple[float, float]:
    """Computes a mean and half the width of its 95 % confidence interval (Student's t).

    The latter is t s / sqrt(n) with t the 97.5 % quantile for n - 1 degrees of freedom; NaN for a single value.

    Args:
        values: Shape (n,), n at least 1.

    Examples:
        >>> mean, half_width = mean_and_half_width(np.array([1.0, 2.0, 3.0]))
        >>> format_mean(mean, half_width)
        '2 ±2'
    """
    from scipy import stats  # slow to import

    n, mean = len(values), float(values.mean())
    return mean, float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * stats.sem(values)) if n > 1 else math.nan


def signed_rank_p_value(differences: Floats) -> float:
    """Computes the two-sided p-value of Wilcoxon's signed-rank test; 1 if all differences are 0.

    Args:
        differences: One per pair, shape (n,).

    Examples:
        >>> signed_rank_p_value(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
        0.0625
        >>> signed_rank_p_value(np.zeros(5))
        1.0
    """
    from scipy import stats

    return float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def holm_correction(p_values: Sequence[float]) -> Floats:
    """Corrects p-values for testing several hypotheses at once (Holm, 1979).

    With p(1) <= ... <= p(m), the k-th corrected value is the maximum over j <= k of (m - j + 1) p(j), at most 1.

    Args:
        p_values: One per test.

    Examples:
        >>> holm_correction([0.01, 0.04, 0.03, 0.005]).round(4).tolist()
        [0.03, 0.06, 0.06, 0.02]
    """
    values = np.asarray(p_values, float)
    order = values.argsort()
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1.0)
    return corrected
