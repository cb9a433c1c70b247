from dataclasses import replace

import pytest
import torch

from bimt_core.metrics import METRICS, TEST_COUNTERPARTS, measure
from bimt_core.modularity import communities, louvain, null_modularity, weight_graph
from bimt_core.networks import MLP
from bimt_core.population import initialise
from bimt_core.relocate import relocate
from bimt_core.tasks import TASKS, load_task

AVAILABLE = [name for name in TASKS if name != "mnist"]  # needs the user's files
LOSSES_AND_SCORES = {"train_loss", "val_loss", "val_score", "test_loss", "test_score"}
FAST = {"louvain_seeds": 1, "transforms": (), "thorough": False}


def naive_metrics(t, tensors):
    """Counts and sums of one network, a parameter at a time."""
    weights, neurons, length, cost = 0, set(), 0.0, 0.0
    wiring, y0, factor = t.network.wiring, t.per_network.layer_distance, t.per_network.weight_factor
    positions = {n.name: n.positions.tolist() for n in wiring.neurons}
    for wire in wiring.wires:
        tensor = tensors[wire.tensor]
        entries = tensor.numel() if t.network.reduction == "mean" else 1
        if not wire.is_weight:
            cost += tensor.abs().sum().item() * y0 / entries
            continue
        target, source = (end.neurons for end in wire.ends)
        for o, row in enumerate(tensor.tolist()):
            for i, w in enumerate(row):
                one, other = o % len(positions[target]), i % len(positions[source])
                ends = zip(positions[target][one], positions[source][other], strict=True)
                distance = sum(abs(a - b) for a, b in ends)
                length += abs(w) * distance
                cost += abs(w) * (factor * distance + y0) / entries
                if abs(w) > 1e-3:
                    weights += 1
                    neurons |= {(target, one), (source, other)}
    return {"active_weights": weights, "active_neurons": len(neurons), "wiring_length": length, "connection_cost": cost}


def sparse(t, networks=3):
    """Networks with most weights near 0, some of them exactly 0."""
    population = initialise(t.network, range(networks), dtype=t.dtype)
    size = torch.rand_like(population.flat)
    population.flat.mul_(torch.where(size < 0.97, torch.where(size < 0.5, 0.0, 1e-3), 1.0))
    return population


@pytest.mark.parametrize("name", AVAILABLE)
def test_metrics_equal_naive_loops(name):
    t = load_task(name)
    t = replace(t, inputs=t.inputs[:10], targets=t.targets[:10])
    population = sparse(t, networks=2)
    metrics = measure(population, t, **FAST)
    for network in range(2):
        tensors = {key: tensor[network] for key, tensor in population.tensors.items()}
        for key, value in naive_metrics(t, tensors).items():
            assert metrics[key][network].item() == pytest.approx(value, rel=1e-5), key


@pytest.mark.parametrize("name", ["independence", "two_moons", "permutation_s4", "delayed_response"])
def test_metrics_equal_those_of_single_networks(name):
    t = load_task(name)
    population = sparse(t)
    metrics = measure(population, t, louvain_seeds=2)
    for network in range(3):
        one = population.select([network])
        outputs, val_outputs, test_outputs = map(one.predict, (t.inputs, t.validation_inputs, t.test_inputs))
        tensors = {key: tensor[network] for key, tensor in population.tensors.items()}
        scaled, raw = (louvain(weight_graph(t.network.wiring, tensors, how), seeds=2) for how in ("layer_max", "raw"))
        expected = {
            "train_loss": t.loss(outputs, t.targets).item(),
            "val_loss": t.loss(val_outputs, t.validation_targets).item(),
            "val_score": t.score(val_outputs, t.validation_targets).item(),
            "test_loss": t.loss(test_outputs, t.test_targets).item(),
            "test_score": t.score(test_outputs, t.test_targets).item(),
            "modularity": scaled.modularity,
            "communities": len(scaled),
            "modularity_raw": raw.modularity,
            "communities_raw": len(raw),
            "modularity_newman": communities(weight_graph(t.network.wiring, tensors), "newman").modularity,
            "modularity_z": null_modularity(t.network.wiring, tensors, among="used", n=20).z,
        }
        assert {key: metrics[key][network].item() for key in expected} == pytest.approx(expected, rel=1e-5)


def test_every_metric_is_measured_as_float64_on_the_cpu():
    t = load_task("two_moons")
    metrics = measure(sparse(t), t, louvain_seeds=1)
    assert list(metrics) == list(METRICS)
    assert {(values.shape, values.dtype, values.device.type) for values in metrics.values()} == {
        ((3,), torch.float64, "cpu")
    }
    assert {metric.direction for metric in METRICS.values()} == {"minimize", "maximize"}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_metrics_of_networks_that_are_not_finite_are_nan(value):
    t = load_task("two_moons")
    healthy = sparse(t)
    broken = healthy.select([0, 1, 2])
    broken.flat[1, -1] = value
    metrics, expected = measure(broken, t, louvain_seeds=1), measure(healthy, t, louvain_seeds=1)
    for key, values in metrics.items():
        assert values[1].isnan(), key
        assert torch.equal(values[[0, 2]], expected[key][[0, 2]]), key


def test_metrics_of_a_network_of_zeros():
    t = load_task("independence")
    population = sparse(t)
    population.flat.zero_()
    metrics = measure(population, t, louvain_seeds=1)
    for key in METRICS.keys() - LOSSES_AND_SCORES:
        assert metrics[key].tolist() == [0.0] * 3, key
    assert metrics["test_loss"].isfinite().all()


def test_metrics_of_a_network_with_one_weight_are_finite():
    t = load_task("two_moons")
    population = sparse(t)
    population.flat.zero_()
    population.tensors["weight1"][:, 3, 4] = 1.0
    metrics = measure(population, t)
    assert all(metrics[key].isfinite().all() for key in METRICS.keys() - {"val_score", "test_score"})
    assert metrics["modularity_z"].tolist() == [0.0] * 3  # Q is 0 wherever the weight is


@pytest.mark.parametrize("method", ["greedy", "assignment"])
def test_relocation_changes_only_what_depends_on_places(method):
    t = load_task("independence")
    population = initialise(t.network, range(3))
    moved = population.rearrange(relocate(t.network.wiring, population.flat, method))
    before, after = (measure(p, t, **FAST) for p in (population, moved))
    for key in LOSSES_AND_SCORES:
        torch.testing.assert_close(after[key], before[key], rtol=1e-4, atol=1e-6)
    for key in ("active_weights", "active_neurons"):
        assert torch.equal(after[key], before[key])
    for key in ("connection_cost", "wiring_length"):
        assert (after[key] < before[key]).all()


def test_only_metrics_of_the_chosen_graphs_are_measured():
    t = load_task("two_moons")
    population = initialise(t.network, range(2))
    everything = measure(population, t, louvain_seeds=1, thorough=False)
    some = measure(population, t, louvain_seeds=1, transforms=["layer_max"], thorough=False)
    assert everything.keys() - some.keys() == {"modularity_raw", "communities_raw"}
    assert all(some[name].equal(everything[name]) for name in some)


def test_thorough_metrics_are_optional():
    t = load_task("two_moons")
    population = initialise(t.network, range(2))
    everything, some = (measure(population, t, louvain_seeds=1, thorough=thorough) for thorough in (True, False))
    assert everything.keys() - some.keys() == {"modularity_newman", "modularity_z"}
    assert all(some[name].equal(everything[name]) for name in some)


@pytest.mark.parametrize("name", ["in_context", "digits", "delayed_response"])
def test_losses_and_score_are_those_of_the_right_rows(name):
    t = load_task(name)
    t = replace(t, inputs=t.inputs[:100], targets=t.targets[:100])
    t = replace(t, validation_inputs=t.validation_inputs[:50], validation_targets=t.validation_targets[:50])
    t = replace(t, test_inputs=t.test_inputs[:40], test_targets=t.test_targets[:40])
    population = initialise(t.network, range(2), dtype=t.dtype)
    metrics = measure(population, t, **FAST)
    train, val, test = map(population.predict, (t.inputs, t.validation_inputs, t.test_inputs))
    n = 50 if t.shared.batch_size else len(t.inputs)  # trained in batches: as many training rows as validation rows
    counts = torch.ones_like(t.targets[0], dtype=torch.bool) if t.scored is None else t.scored
    for network in range(2):
        error = ((train[network] - t.targets) ** 2)[:n, counts]
        assert metrics["train_loss"][network].item() == pytest.approx(error.mean().item(), rel=1e-5)
        for rows, outputs, targets in (("val", val, t.validation_targets), ("test", test, t.test_targets)):
            error = ((outputs[network] - targets) ** 2)[:, counts]
            assert metrics[f"{rows}_loss"][network].item() == pytest.approx(error.mean().item(), rel=1e-5)
            score = t.score(outputs, targets)[network].item()
            assert metrics[f"{rows}_score"][network].item() == pytest.approx(score)
    assert not torch.equal(metrics["val_loss"], metrics["test_loss"])


def test_metrics_that_choose_have_a_metric_that_judges():
    t = load_task("two_moons")
    swapped = replace(
        t,
        validation_inputs=t.test_inputs,
        validation_targets=t.test_targets,
        test_inputs=t.validation_inputs,
        test_targets=t.validation_targets,
    )
    population = sparse(t)
    one, other = measure(population, t, **FAST), measure(population, swapped, **FAST)
    assert METRICS.keys() >= {*TEST_COUNTERPARTS, *TEST_COUNTERPARTS.values()}
    for chooses, judges in TEST_COUNTERPARTS.items():
        assert torch.equal(one[chooses], other[judges])
        assert torch.equal(one[judges], other[chooses])
        assert METRICS[chooses].direction == METRICS[judges].direction


def test_the_largest_published_network_is_measured():
    network = MLP(((28, 28), (10, 10), (10, 10), 10), "mean", ring_outputs=True, fixed_inputs=True)
    t, rows = load_task("digits"), torch.rand(100, 784)
    t = replace(
        t,
        network=network,
        **dict.fromkeys(("inputs", "validation_inputs", "test_inputs"), rows),
        **dict.fromkeys(("targets", "validation_targets", "test_targets"), t.targets[:100]),
        input_names=tuple(map(str, range(784))),
    )
    metrics = measure(initialise(network, [0]), t, **FAST)
    assert all(values.isfinite().all() for values in metrics.values())
    assert metrics["active_weights"].item() > 86_000 and metrics["active_neurons"].item() == 994
