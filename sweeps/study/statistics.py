"""Statistics of a trial over its replicates."""

from collections.abc import Mapping, Sequence

import numpy as np

from sweeps.study.trial import Values


def summarize_replicates(values: Mapping[str, Sequence[float]]) -> tuple[Values, Values]:
    """Computes means over the replicates and their standard errors s / sqrt(n), which are NaN for a single replicate.

    Args:
        values: One value per replicate, by metric.

    Examples:
        >>> summarize_replicates({"score": [0.9, 1.0]})
        ({'score': 0.95}, {'score': 0.04999999999999999})
    """
    table = np.array(list(values.values()))
    replicates = table.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):  # values of a diverging network may overflow
        means = table.mean(axis=1)
        errors = table.std(axis=1, ddof=1) / replicates**0.5 if replicates > 1 else np.full(len(means), np.nan)
    return dict(zip(values, means.tolist(), strict=True)), dict(zip(values, errors.tolist(), strict=True))
