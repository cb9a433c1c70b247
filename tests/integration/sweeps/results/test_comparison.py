from concurrent.futures import ThreadPoolExecutor

import pytest

from sweeps.errors import BadInputError
from sweeps.results.comparison import compare_sweeps, find_compared_sweeps
from sweeps.results.sweep import open_sweep
from sweeps.study.study import SweepStudy


@pytest.fixture(scope="module")
def comparison(compared):
    with ThreadPoolExecutor(1) as pool:
        (comparison,) = compare_sweeps("small", compared, pool)
    return comparison


def test_networks_are_measured_again_from_their_weights(compared, comparison):
    sweep = open_sweep("small", compared)
    trials = sweep.trials().set_index("variant")
    assert comparison.variants == ["vanilla", "BIMT"]
    assert comparison.failures == {"L1": "replicate 0 diverged"}
    assert len(comparison.definitions) >= 9
    for variant, metrics in comparison.metrics.groupby("variant"):
        assert metrics["seed"].tolist() == list(sweep.spec.seeds)
        for metric in ("val_loss", "test_score", "connection_cost", "modularity", "modularity_raw"):
            assert metrics[metric].mean() == pytest.approx(trials.loc[variant, metric])
        assert metrics["Q louvain raw"].tolist() == pytest.approx(metrics["modularity_raw"].tolist())


def test_the_networks_of_median_loss_are_loaded(comparison):
    networks, task = comparison.load_medians()
    assert list(networks) == ["vanilla", "BIMT"]
    for variant, network in networks.items():
        loss = task.loss(network.predict(task.validation_inputs), task.validation_targets)
        losses = comparison.metrics.loc[comparison.metrics["variant"] == variant, "val_loss"]
        assert loss.item() == pytest.approx(losses.median())


def test_a_sweep_or_a_suite_is_compared(compared, finished):
    assert [sweep.spec.name for sweep in find_compared_sweeps("small", compared)] == ["small"]
    with pytest.raises(BadInputError, match=r"^no sweep or suite 'smal' in the store; there are: small$"):
        find_compared_sweeps("smal", compared)
    with pytest.raises(BadInputError, match=r"^sweep 'small' has no variants to compare$"):
        find_compared_sweeps("small", finished)


def test_no_variant_is_complete_yet(new_store, small_spec, tmp_path):
    store = new_store(tmp_path)
    SweepStudy.launch(store, small_spec(search={}, variants={"a": {}, "b": {}}, trials=None))
    with ThreadPoolExecutor(1) as pool, pytest.raises(BadInputError, match=r"^no variant of 'small' is complete yet$"):
        list(compare_sweeps("small", store, pool))
