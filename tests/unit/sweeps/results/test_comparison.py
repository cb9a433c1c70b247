import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.example_sweeps import create_sweep

from sweeps.results.comparison import (
    Comparison,
    Standing,
    compute_differences,
    compute_means,
)


@pytest.fixture
def metrics():
    """Metrics of three variants with ten networks each."""
    random = np.random.default_rng(0)
    rows = [
        {"variant": variant, "seed": seed, "val_loss": loss + 0.1 * random.normal(), "Q louvain raw": q + seed / 100}
        for variant, loss, q in (("vanilla", 1.0, 0.2), ("BIMT", 2.0, 0.5), ("L1", 2.0, 0.5))
        for seed in range(10)
    ]
    return pd.DataFrame(rows)


def test_a_mean_has_its_interval(metrics):
    means = compute_means(metrics)
    assert list(means.index.unique("variant")) == ["vanilla", "BIMT", "L1"]
    for (variant, metric), row in means.iterrows():
        values = metrics[metrics["variant"] == variant][metric]
        low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), values.std() / len(values) ** 0.5)
        assert (row["mean"] - row["half_width"], row["mean"] + row["half_width"]) == pytest.approx((low, high))
    single = compute_means(metrics[metrics["seed"] == 3])
    assert single["half_width"].isna().all()
    assert single["mean"].notna().all()


def test_differences_are_the_reference_minus_the_others_by_seed(metrics):
    differences = compute_differences(metrics.sample(frac=1, random_state=1), "BIMT")
    assert differences.loc[("vanilla", "val_loss"), "mean"] == pytest.approx(1.0, abs=0.1)
    assert differences.loc[("vanilla", "Q louvain raw"), "mean"] == pytest.approx(0.3)
    assert differences.loc[("vanilla", "Q louvain raw"), "half_width"] == pytest.approx(0, abs=1e-12)
    assert differences.loc[("L1", "Q louvain raw")].tolist() == [0, 0, 1]
    p = stats.wilcoxon(np.arange(1, 11)).pvalue  # ten differences of one sign
    assert differences.loc[("vanilla", "val_loss"), "p"] == pytest.approx(2 * p)
    assert differences.loc[("L1", "val_loss"), "p"] > 0.05
    with pytest.raises(ValueError, match=r"^reference must be one of vanilla, BIMT, L1, got 'KAN'$"):
        compute_differences(metrics, "KAN")


@pytest.fixture
def sweep(tmp_path, small_spec):
    """A sweep of three variants, of which L1 failed and vanilla is complete."""
    variants = {"vanilla": {}, "L1": {"weight_factor": 0}, "BIMT": {"relocation": "greedy"}}
    spec = small_spec(search={"steps": 40}, variants=variants, trials=None)
    return create_sweep(tmp_path, spec, [(0.9, 3.0), None])


def test_a_comparison_knows_its_variants(sweep, metrics):
    comparison = Comparison(sweep, metrics)
    assert (comparison.name, comparison.reference) == ("small", "BIMT")
    assert comparison.variants == ["vanilla", "BIMT", "L1"]
    assert comparison.definitions == ["Q louvain raw"]
    assert comparison.find_best("val_loss") == "vanilla"
    assert comparison.find_best("Q louvain raw") in ("BIMT", "L1")
    trained = Comparison(sweep, metrics[metrics["variant"] == "vanilla"])
    assert trained.failures == {"L1": "replicate 0 diverged: <b>its</b> score is nan"}
    assert trained.differences.empty
    assert trained.standing("val_loss") is None


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ({"vanilla": 0.1, "L1": 0.2, "BIMT": 0.3}, (1, ("vanilla", "L1"), (), ())),
        ({"vanilla": 0.3, "L1": 0.2, "BIMT": 0.1}, (3, (), (), ("vanilla", "L1"))),
        ({"vanilla": 0.1, "L1": 0.3, "BIMT": 0.2, "twin": 0.2}, (2, ("vanilla",), ("twin",), ("L1",))),
    ],
)
def test_the_reference_is_ranked_and_tested(sweep, means, expected):
    rows = [
        {"variant": variant, "seed": seed, "z": mean + seed / 100}
        for variant, mean in means.items()
        for seed in range(10)
    ]
    standing = Comparison(sweep, pd.DataFrame(rows)).standing("z")
    assert standing == Standing(pytest.approx(means["BIMT"] + 0.045), standing.half_width, *expected)


def test_few_seeds_make_nothing_significant(sweep):
    rows = [{"variant": v, "seed": s, "z": z} for v, z in (("vanilla", 0.1), ("BIMT", 0.3)) for s in range(3)]
    standing = Comparison(sweep, pd.DataFrame(rows)).standing("z")
    assert (standing.rank, standing.above, standing.level, standing.below) == (1, (), ("vanilla",), ())
