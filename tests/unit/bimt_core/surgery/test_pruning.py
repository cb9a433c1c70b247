"""Pruning by size, against networks whose parameters are set to 0 one by one."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bimt_core import METRICS, MLP, RNN, Population, Task, Transformer, initialise, load_task, measure
from bimt_core.surgery import evaluation, prune, prune_curve, smallest_network

NETWORKS = {
    "lines": MLP((3, 5, 4, 2)),
    "tokens": MLP((3, 5, 4), folds=2, vocabulary=6),
    "recurrent": RNN(3, (2, 3), 2),
    "transformer": Transformer(3, 2, width=6, heads=2, hidden_width=5),
}
TASKS = ["independence", "two_moons", "permutation_s4", "delayed_response"]


def sparse_population(of: Task, kept: float = 0.2, networks: int = 3) -> Population:
    population = initialise(of.network, range(networks), dtype=of.dtype)
    keep = torch.rand(population.flat.shape, generator=torch.Generator().manual_seed(7)) < kept
    return replace(population, flat=population.flat * keep)


def score(population: Population, of: Task) -> float:
    return of.score(population.predict(of.validation_inputs), of.validation_targets).item()


@pytest.mark.parametrize("name", NETWORKS)
def test_small_parameters_of_every_tensor_become_0(name: str) -> None:
    population = initialise(NETWORKS[name], [0, 1], dtype=torch.float64)
    before, threshold = population.flat.clone(), 0.2
    found = prune(population, threshold)
    for key, tensor in found.tensors.items():
        old = population.tensors[key].numpy()
        assert (np.abs(old) <= threshold).any() and (np.abs(old) > threshold).any()
        np.testing.assert_array_equal(tensor.numpy(), np.where(np.abs(old) <= threshold, 0.0, old))
    assert torch.equal(population.flat, before)


@given(threshold=st.floats(0, 2), more=st.floats(0, 2), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_pruning_twice_equals_pruning_with_the_larger_threshold(
    threshold: float, more: float, dtype: torch.dtype
) -> None:
    population = initialise(NETWORKS["tokens"], [0, 1], dtype=dtype)
    twice = prune(prune(population, threshold), more)
    assert torch.equal(twice.flat, prune(population, max(threshold, more)).flat)
    assert torch.equal(prune(population, 0).flat, population.flat)


def test_a_parameter_equal_to_the_threshold_is_pruned() -> None:
    population = initialise(NETWORKS["lines"], [0])
    population.flat[0, :3] = torch.tensor([0.1, -0.1, 0.11])
    assert prune(population, 0.1).flat[0, :3].tolist() == [0, 0, pytest.approx(0.11)]


def test_nan_is_not_pruned() -> None:
    population = initialise(NETWORKS["lines"], [0])
    population.flat[0, 0] = torch.nan
    assert prune(population, 9.0).flat.isnan().nonzero().tolist() == [[0, 0]]


@pytest.mark.parametrize("threshold", [-1e-9, float("nan"), float("inf")])
def test_invalid_thresholds_raise(threshold: float) -> None:
    of = load_task("two_moons")
    message = f"a threshold must be finite and at least 0, got {threshold}"
    with pytest.raises(ValueError, match=message):
        prune(sparse_population(of), threshold)
    with pytest.raises(ValueError, match=message):
        prune_curve(sparse_population(of), of, [0.1, threshold])


@pytest.mark.parametrize("values", [1, 2**14, 2**26])
@pytest.mark.parametrize("name", TASKS)
def test_curve_matches_measuring_pruned_networks(name: str, values: int, monkeypatch) -> None:
    monkeypatch.setattr(evaluation, "VALUES_AT_ONCE", values)
    of = load_task(name)
    population, thresholds = sparse_population(of, networks=2), [0.1, 0.0, 0.2]
    rows = prune_curve(population, of, thresholds)
    assert [(row.network, row.threshold) for row in rows] == [(n, t) for n in range(2) for t in thresholds]
    for row in rows:
        one = prune(population.select([row.network]), row.threshold)
        metrics = {key: value.item() for key, value in measure(one, of, transforms=()).items()}
        assert row.active_weights == metrics["active_weights"]
        assert row.parameters == np.count_nonzero(one.flat.numpy())
        for metric in ("val_loss", "val_score", "test_loss", "test_score"):
            assert getattr(row, metric) == pytest.approx(metrics[metric], rel=1e-5, abs=1e-6)
    assert {"val_loss", "val_score", "test_loss", "test_score", "active_weights"} <= METRICS.keys()


def test_default_thresholds_go_from_0_to_the_largest_parameter() -> None:
    of = load_task("independence")
    population = sparse_population(of)
    population = replace(population, flat=population.flat * torch.tensor([[1.0], [100.0], [0.0]]))
    rows = prune_curve(population, of)
    for network in range(2):
        own = [row for row in rows if row.network == network]
        sizes = population.flat[network].abs()
        thresholds = [row.threshold for row in own]
        assert thresholds[0] == 0 and thresholds[-1] == sizes.max().item()
        assert thresholds[1] == pytest.approx(max(sizes[sizes > 0].min().item(), 1e-6 * sizes.max().item()), rel=1e-6)
        ratios = [b / a for a, b in pairwise(thresholds[1:])]
        assert ratios == pytest.approx([ratios[0]] * len(ratios))
        left = [row.parameters for row in own]
        assert left == sorted(left, reverse=True)
        assert (left[0], left[-1]) == (np.count_nonzero(population.flat[network].numpy()), 0)
    assert [(row.threshold, row.parameters) for row in rows if row.network == 2] == [(0.0, 0)]


def test_parameters_of_one_size_give_two_thresholds() -> None:
    of = load_task("two_moons")
    population = initialise(of.network, [0])
    rows = prune_curve(replace(population, flat=torch.full_like(population.flat, -0.5)), of)
    assert [(row.threshold, row.parameters) for row in rows] == [(0.0, of.network.wiring.n_parameters), (0.5, 0)]


def test_no_thresholds_give_no_results() -> None:
    of = load_task("two_moons")
    assert prune_curve(sparse_population(of), of, []) == []


def every_outcome(one: Population, of: Task) -> list[tuple[int, float]]:
    """Number of parameters and score at every threshold that changes the network."""
    pruned = [prune(one, threshold) for threshold in [0.0, *one.flat.abs().unique().tolist()]]
    return [(int((p.flat != 0).sum()), score(p, of)) for p in pruned]


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("name", TASKS)
def test_no_smaller_pruned_network_is_good_enough(name: str, keep: float) -> None:
    of = load_task(name)
    population = sparse_population(of, 0.02)
    found = smallest_network(population, of, 1, keep)
    whole = score(population.select([1]), of)
    outcomes = every_outcome(population.select([1]), of)
    least = min(left for left, value in outcomes if value >= whole - (1 - keep) * abs(whole) - 1e-12)
    assert len(found) == 1
    assert np.count_nonzero(found.flat.numpy()) == least
    assert torch.equal(
        found.flat, prune(population.select([1]), population.flat[1][found.flat[0] == 0].abs().max()).flat
    )


def slope_task(weights: list[float], bias: float = 0.0, target_bias: float = 0.0) -> tuple[Population, Task]:
    """y = 3 x + target_bias, and a network without hidden neurons whose slope is the sum of its weights."""
    x = torch.linspace(-1, 1, 9, dtype=torch.float64).unsqueeze(1).repeat(1, len(weights))
    y = 3 * x[:, :1] + target_bias
    base = load_task("independence")
    network = MLP((len(weights), 1))
    names = tuple(f"x{i}" for i in range(len(weights)))
    of = Task("slope", "a line", *(x, y) * 3, network, base.per_network, base.shared, 0, names, ("y",))
    return Population(network, torch.tensor([[*weights, bias]], dtype=torch.float64), *labels(network)), of


def labels(network: MLP) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(network.widths[0]).unsqueeze(0), torch.arange(network.widths[-1]).unsqueeze(0)


def test_score_that_falls_and_rises_again() -> None:
    population, of = slope_task([3.0, 2.0, -2.0])  # the last two cancel
    assert smallest_network(population, of, 0, 1.0).flat.tolist() == [[3.0, 0.0, 0.0, 0.0]]
    population, of = slope_task([3.0, 2.0, -1.9, -0.1])  # without a part of the last three it is worse
    scores = [row.val_score for row in prune_curve(population, of, [0.0, 0.1, 1.9, 2.0])]
    assert scores[0] == scores[3] == 1 and max(scores[1:3]) < 0.999
    assert smallest_network(population, of, 0, 1.0).flat.tolist() == [[3.0, 0.0, 0.0, 0.0, 0.0]]


def test_negative_score_may_fall_by_a_share_of_its_size() -> None:
    population, of = slope_task([2.99, 0.01], bias=8.0, target_bias=10.0)
    smaller = prune(population, 0.01)
    assert -0.1 < score(smaller, of) < score(population, of) < -0.05
    assert torch.equal(smallest_network(population, of, 0, 0.9).flat, smaller.flat)
    assert torch.equal(smallest_network(population, of, 0, 1.0).flat, population.flat)
    population, of = slope_task([-1.0, 0.01])
    assert score(population, of) < 0
    assert not smallest_network(population, of, 0, 1.0).flat.any()  # the empty network scores 0


def test_the_threshold_depends_on_validation_rows_alone() -> None:
    population, of = slope_task([3.0, 0.5])
    first_alone = of.validation_inputs * torch.tensor([1.0, 0.0])  # without the second input its weight is not needed
    of = replace(of, validation_inputs=first_alone, test_targets=of.test_targets + of.test_inputs[:, 1:] / 2)
    found = smallest_network(population, of, 0, 1.0)
    assert found.flat.tolist() == [[3.0, 0.0, 0.0]]
    (whole,), (small,) = (prune_curve(one, of, [0.0]) for one in (population, found))
    assert small.val_score == whole.val_score == 1
    assert small.test_score < whole.test_score == pytest.approx(1)
    for rows in (-of.test_targets, torch.zeros_like(of.test_targets)):  # the score of the latter is not finite
        other = replace(of, test_targets=rows)
        assert torch.equal(smallest_network(population, other, 0, 1.0).flat, found.flat)
    swapped = replace(of, validation_inputs=of.test_inputs, validation_targets=of.test_targets)
    assert torch.equal(smallest_network(population, swapped, 0, 0.999).flat, population.flat)


def test_network_that_needs_every_parameter_is_not_pruned() -> None:
    population, of = slope_task([2.0, 1.0])
    found = smallest_network(population, of, 0, 1.0)
    assert torch.equal(found.flat, population.flat)


@pytest.mark.parametrize("keep", [0.0, -0.5, 1.01, float("nan")])
def test_invalid_keep_raises(keep: float) -> None:
    population, of = slope_task([2.0])
    with pytest.raises(ValueError, match=f"keep must be above 0 and at most 1, got {keep}"):
        smallest_network(population, of, 0, keep)


@pytest.mark.parametrize("network", [-1, 3])
def test_unknown_network_raises(network: int) -> None:
    of = load_task("two_moons")
    with pytest.raises(ValueError, match=f"network must be between 0 and 2, got {network}"):
        smallest_network(sparse_population(of), of, network)


def test_networks_without_a_finite_score_raise() -> None:
    of = load_task("two_moons")
    population = sparse_population(of)
    population.flat[2, 5] = torch.inf
    for evaluate in (lambda: prune_curve(population, of), lambda: smallest_network(population, of, 2)):
        with pytest.raises(ValueError, match=r"^network 2 has parameters that are not finite$"):
            evaluate()
    smallest_network(population, of, 1)
    population, of = slope_task([2.0])
    constant = replace(of, validation_targets=torch.zeros_like(of.validation_targets))
    with pytest.raises(ValueError, match="network 0 has a score that is not finite: -inf"):
        smallest_network(population, constant, 0)
