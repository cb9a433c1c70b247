from dataclasses import replace

import pytest
import torch

from bimt_core.metrics import METRICS, measure
from bimt_core.modularity import communities, louvain, null_modularity, weight_graph
from bimt_core.networks import MLP
from bimt_core.population import initialise
from bimt_core.relocate import relocate
from bimt_core.tasks import TASKS, load_task

AVAILABLE = [name for name in TASKS if name != "mnist"]  # whose files a user must have


def naive_figures(t, tensors):
    """Counts and sums of one network, an entry at a time."""
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
                there, here = o % len(positions[target]), i % len(positions[source])
                distance = sum(
                    abs(a - b) for a, b in zip(positions[target][there], positions[source][here], strict=True)
                )
                length += abs(w) * distance
                cost += abs(w) * (factor * distance + y0) / entries
                if abs(w) > 1e-3:
                    weights += 1
                    neurons |= {(target, there), (source, here)}
    return {"active_weights": weights, "active_neurons": len(neurons), "wiring_length": length, "connection_cost": cost}


def sparse(t, networks=3):
    """Networks with most weights near 0, some of them exactly."""
    population = initialise(t.network, range(networks), dtype=t.dtype)
    size = torch.rand_like(population.flat)
    population.flat.mul_(torch.where(size < 0.97, torch.where(size < 0.5, 0.0, 1e-3), 1.0))
    return population


@pytest.mark.parametrize("name", AVAILABLE)
def test_figures_are_those_of_naive_loops(name):
    t = load_task(name)
    population = sparse(t)
    found = measure(population, t, louvain_seeds=1)
    for network in range(3):
        tensors = {key: tensor[network] for key, tensor in population.tensors.items()}
        for key, value in naive_figures(t, tensors).items():
            assert found[key][network].item() == pytest.approx(value, rel=1e-5), key


@pytest.mark.parametrize("name", ["independence", "two_moons", "permutation_s4", "delayed_response"])
def test_figures_are_those_of_each_network_alone(name):
    t = load_task(name)
    population = sparse(t)
    found = measure(population, t, louvain_seeds=2)
    for network in range(3):
        outputs, test_outputs = (population.select([network]).predict(x) for x in (t.inputs, t.test_inputs))
        tensors = {key: tensor[network] for key, tensor in population.tensors.items()}
        scaled, raw = (louvain(weight_graph(t.network.wiring, tensors, how), seeds=2) for how in ("layer_max", "raw"))
        expected = {
            "train_loss": t.loss(outputs, t.targets).item(),
            "test_loss": t.loss(test_outputs, t.test_targets).item(),
            "score": t.score(test_outputs, t.test_targets).item(),
            "modularity": scaled.modularity,
            "communities": len(scaled),
            "modularity_raw": raw.modularity,
            "communities_raw": len(raw),
            "modularity_newman": communities(weight_graph(t.network.wiring, tensors), "newman").modularity,
            "modularity_z": null_modularity(t.network.wiring, tensors, among="used", n=20).z,
        }
        assert {key: found[key][network].item() for key in expected} == pytest.approx(expected, rel=1e-5)


def test_every_metric_is_measured_as_float64_on_the_cpu():
    t = load_task("two_moons")
    found = measure(sparse(t), t, louvain_seeds=1)
    assert list(found) == list(METRICS)
    assert {(values.shape, values.dtype, values.device.type) for values in found.values()} == {
        ((3,), torch.float64, "cpu")
    }
    assert {metric.direction for metric in METRICS.values()} == {"minimize", "maximize"}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_network_that_is_not_finite_has_no_figures(value):
    t = load_task("two_moons")
    healthy = sparse(t)
    broken = healthy.select([0, 1, 2])
    broken.flat[1, -1] = value
    found, expected = measure(broken, t, louvain_seeds=1), measure(healthy, t, louvain_seeds=1)
    for key, values in found.items():
        assert values[1].isnan(), key
        assert torch.equal(values[[0, 2]], expected[key][[0, 2]]), key


def test_a_dead_network_has_figures():
    t = load_task("independence")
    population = sparse(t)
    population.flat.zero_()
    found = measure(population, t, louvain_seeds=1)
    for key in METRICS.keys() - {"train_loss", "test_loss", "score"}:
        assert found[key].tolist() == [0.0] * 3, key
    assert found["test_loss"].isfinite().all()


def test_a_network_with_one_weight_has_finite_figures():
    t = load_task("two_moons")
    population = sparse(t)
    population.flat.zero_()
    population.tensors["weight1"][:, 3, 4] = 1.0
    found = measure(population, t)
    assert all(found[key].isfinite().all() for key in METRICS.keys() - {"score"})
    assert found["modularity_z"].tolist() == [0.0] * 3  # wherever it is, Q is 0


@pytest.mark.parametrize("method", ["greedy", "assignment"])
def test_relocation_changes_only_what_depends_on_places(method):
    t = load_task("independence")
    population = initialise(t.network, range(3))
    moved = population.rearrange(relocate(t.network.wiring, population.flat, method))
    before, after = (measure(p, t, louvain_seeds=1) for p in (population, moved))
    for key in ("train_loss", "test_loss", "score"):
        torch.testing.assert_close(after[key], before[key], rtol=1e-4, atol=1e-6)
    for key in ("active_weights", "active_neurons"):
        assert torch.equal(after[key], before[key])
    for key in ("connection_cost", "wiring_length"):
        assert (after[key] < before[key]).all()


def test_graphs_that_are_left_out_leave_out_their_metrics_only():
    t = load_task("two_moons")
    population = initialise(t.network, range(2))
    everything = measure(population, t, louvain_seeds=1)
    some = measure(population, t, louvain_seeds=1, transforms=["layer_max"])
    assert everything.keys() - some.keys() == {"modularity_raw", "communities_raw"}
    assert all(some[name].equal(everything[name]) for name in some)


def test_second_opinions_that_are_left_out_leave_out_their_metrics_only():
    t = load_task("two_moons")
    population = initialise(t.network, range(2))
    everything, some = (measure(population, t, louvain_seeds=1, thorough=thorough) for thorough in (True, False))
    assert everything.keys() - some.keys() == {"modularity_newman", "modularity_z"}
    assert all(some[name].equal(everything[name]) for name in some)


@pytest.mark.parametrize("name", ["in_context", "digits", "delayed_response"])
def test_losses_and_score_are_those_of_the_rows_that_count(name):
    t = load_task(name)
    t = replace(t, test_inputs=t.test_inputs[:50], test_targets=t.test_targets[:50])
    population = initialise(t.network, range(2), dtype=t.dtype)
    found = measure(population, t, louvain_seeds=1, transforms=())
    train, test = population.predict(t.inputs), population.predict(t.test_inputs)
    rows = 50 if t.shared.batch_size else len(t.inputs)  # trained in batches: as many training rows as test rows
    counts = torch.ones_like(t.targets[0], dtype=torch.bool) if t.scored is None else t.scored
    for network in range(2):
        error = ((train[network] - t.targets) ** 2)[:rows, counts]
        assert found["train_loss"][network].item() == pytest.approx(error.mean().item(), rel=1e-5)
        error = ((test[network] - t.test_targets) ** 2)[:, counts]
        assert found["test_loss"][network].item() == pytest.approx(error.mean().item(), rel=1e-5)
        assert found["score"][network].item() == pytest.approx(t.score(test, t.test_targets)[network].item())


def test_a_task_trained_in_batches_says_so_of_its_training_loss():
    assert "trained in batches" in METRICS["train_loss"].description


def test_the_largest_published_network_is_measured():
    t, network = (
        load_task("digits"),
        MLP(((28, 28), (10, 10), (10, 10), 10), "mean", ring_outputs=True, fixed_inputs=True),
    )
    rows, names = torch.rand(1000, 784), tuple(map(str, range(784)))
    t = replace(
        t,
        network=network,
        inputs=rows,
        targets=t.targets[:1000],
        test_inputs=rows,
        test_targets=t.targets[:1000],
        input_names=names,
    )
    population = initialise(network, [0])
    found = measure(population, t)
    assert all(values.isfinite().all() for values in found.values())
    assert found["active_weights"].item() > 86_000 and found["active_neurons"].item() == 994
