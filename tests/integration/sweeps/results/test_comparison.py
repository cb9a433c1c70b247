from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sweeps.errors import BadInputError
from sweeps.results.comparison import (
    definitions_of,
    differences,
    find_compared_sweeps,
    holm,
    is_better_high,
    means,
    measure_networks,
)
from sweeps.results.sweep import open_sweep

# Figures of made-up networks


@pytest.fixture
def figures():
    random = np.random.default_rng(0)
    rows = [
        {"variant": variant, "seed": seed, "test_loss": loss + 0.1 * random.normal(), "Q louvain raw": q + seed / 100}
        for variant, loss, q in (("vanilla", 1.0, 0.2), ("BIMT", 2.0, 0.5), ("L1", 2.0, 0.5))
        for seed in range(10)
    ]
    return pd.DataFrame(rows)


def test_a_mean_has_the_interval_of_student(figures):
    found = means(figures)
    assert list(found.index.unique("variant")) == ["vanilla", "BIMT", "L1"]
    for (variant, metric), row in found.iterrows():
        values = figures[figures["variant"] == variant][metric]
        low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), values.std() / len(values) ** 0.5)
        assert row["mean"] == pytest.approx(values.mean())
        assert (row["mean"] - row["half"], row["mean"] + row["half"]) == pytest.approx((low, high))


def test_one_network_has_no_interval(figures):
    found = means(figures[figures["seed"] == 3])
    assert found["half"].isna().all()
    assert found["mean"].notna().all()


def test_differences_are_the_reference_minus_the_others_by_seed(figures):
    shuffled = figures.sample(frac=1, random_state=1)
    found = differences(shuffled, "BIMT")
    assert found.loc[("vanilla", "test_loss"), "mean"] == pytest.approx(1.0, abs=0.1)
    assert found.loc[("vanilla", "Q louvain raw"), "mean"] == pytest.approx(0.3)
    assert found.loc[("vanilla", "Q louvain raw"), "half"] == pytest.approx(0, abs=1e-12)  # the seeds are pairs
    assert found.loc[("L1", "Q louvain raw")].tolist() == [0, 0, 1]
    p = stats.wilcoxon(np.arange(1, 11)).pvalue  # ten differences of one sign
    assert found.loc[("vanilla", "test_loss"), "p"] == pytest.approx(2 * p)
    assert found.loc[("L1", "test_loss"), "p"] > 0.05


def test_a_reference_that_has_no_figures(figures):
    with pytest.raises(ValueError, match=r"^reference must be one of vanilla, BIMT, L1, got 'KAN'$"):
        differences(figures, "KAN")


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # the example of Holm's method in most textbooks
        ([0.5], [0.5]),
        ([0.6, 0.7], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holms_correction(p, corrected):
    assert holm(p).tolist() == pytest.approx(corrected)


def test_which_way_is_better():
    assert [is_better_high(name) for name in ("test_loss", "score", "Q newman binary")] == [False, True, True]


# Networks of a real sweep


def test_networks_are_measured_again_from_their_weights(compared):
    sweep = open_sweep("small", compared)
    with ThreadPoolExecutor(1) as pool:
        frames = [job.result() for job in measure_networks(sweep, pool)]
    assert [frame["variant"].unique().tolist() for frame in frames] == [["vanilla"], ["BIMT"]]
    trials = sweep.trials().set_index("variant")
    for frame in frames:
        assert frame["seed"].tolist() == sweep.spec.seeds
        logged = trials.loc[frame["variant"].iloc[0]]
        for metric in ("test_loss", "score", "connection_cost", "modularity", "modularity_raw"):
            assert frame[metric].mean() == pytest.approx(logged[metric])
        assert len(definitions_of(frame)) >= 9
        assert frame["Q louvain raw"].tolist() == pytest.approx(frame["modularity_raw"].tolist())


def test_what_is_compared_is_a_sweep_or_a_suite(compared):
    assert [sweep.spec.name for sweep in find_compared_sweeps("small", compared)] == ["small"]
    with pytest.raises(BadInputError, match=r"^no sweep or suite 'smal' in the store; there are: small$"):
        find_compared_sweeps("smal", compared)


def test_a_sweep_without_variants_is_not_compared(finished):
    with pytest.raises(BadInputError, match=r"^sweep 'small' has no variants to compare$"):
        find_compared_sweeps("small", finished)
