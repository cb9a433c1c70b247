import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimt_core import METRICS
from sweeps.study.statistics import summarize_replicates


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_means_and_standard_errors_agree_with_the_standard_library(values):
    (mean,), (error,) = (by_metric.values() for by_metric in summarize_replicates({"score": values}))
    scale = max(map(abs, values))
    assert mean == pytest.approx(statistics.fmean(values), abs=1e-12 * scale)
    assert error == pytest.approx(
        statistics.stdev(values) / math.sqrt(len(values)), rel=1e-6, abs=1e-12 * scale + 1e-100
    )


def test_every_metric_is_summarized_separately():
    values = {name: np.random.default_rng(i).normal(i, 1, 7).tolist() for i, name in enumerate(METRICS)}
    means, errors = summarize_replicates(values)
    assert list(means) == list(errors) == list(METRICS)
    for name, replicates in values.items():
        assert means[name] == pytest.approx(np.mean(replicates))
        assert errors[name] == pytest.approx(np.std(replicates, ddof=1) / 7**0.5)
        assert type(means[name]) is type(errors[name]) is float


def test_a_single_replicate_has_no_standard_error():
    means, errors = summarize_replicates({"score": [0.5]})
    assert means == {"score": 0.5}
    assert math.isnan(errors["score"])


@pytest.mark.parametrize(
    "values", [[math.nan, 1.0], [math.inf, 1.0], [math.inf, -math.inf], [1e308, 1e308], [1e200, 0]]
)
def test_values_that_are_not_finite_or_overflow_raise_nothing(values):
    means, errors = summarize_replicates({"score": values})
    assert not (math.isfinite(means["score"]) and math.isfinite(errors["score"]))
