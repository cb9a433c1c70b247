from itertools import pairwise

import pytest
import torch

from bimt_core.metrics import METRICS, measure
from bimt_core.modularity import louvain, weight_graph
from bimt_core.population import initialise
from bimt_core.relocate import relocate
from bimt_core.tasks import TASKS, task


def naive_figures(t, tensors):
    """Counts and sums of one network, a connection at a time."""
    weights, neurons, length, cost = 0, set(), 0.0, 0.0
    mean, y0, factor = t.network.reduction == "mean", t.knobs.layer_distance, t.knobs.weight_factor
    for layer, (n_in, n_out) in enumerate(pairwise(t.network.shape)):
        weight = tensors[f"weight{layer}"].tolist()
        entries = sum(map(len, weight)) if mean else 1
        for o, row in enumerate(weight):
            for i, w in enumerate(row):
                distance = abs((2 * o + 1) / (2 * n_out) - (2 * (i % n_in) + 1) / (2 * n_in))
                length += abs(w) * distance
                cost += abs(w) * (factor * distance + y0) / entries
                if abs(w) > 1e-3:
                    weights += 1
                    neurons |= {(layer, i % n_in), (layer + 1, o)}
    for name, tensor in tensors.items():
        if not name.startswith("weight"):
            cost += tensor.abs().sum().item() * y0 / (tensor.numel() if mean else 1)
    return {"active_weights": weights, "active_neurons": len(neurons), "wiring_length": length, "connection_cost": cost}


def sparse(t, networks=3):
    """Networks with most weights near 0, some of them exactly."""
    population = initialise(t.network, range(networks), dtype=t.dtype)
    size = torch.rand_like(population.flat)
    population.flat.mul_(torch.where(size < 0.97, torch.where(size < 0.5, 0.0, 1e-3), 1.0))
    return population


@pytest.mark.parametrize("name", TASKS)
def test_figures_are_those_of_naive_loops(name):
    t = task(name)
    population = sparse(t)
    found = measure(population, t, louvain_seeds=1)
    for network in range(3):
        tensors = {key: tensor[network] for key, tensor in population.tensors.items()}
        for key, value in naive_figures(t, tensors).items():
            assert found[key][network].item() == pytest.approx(value, rel=1e-5), key


@pytest.mark.parametrize("name", ["independence", "two_moons", "permutation_s4"])
def test_figures_are_those_of_each_network_alone(name):
    t = task(name)
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
        }
        assert {key: found[key][network].item() for key in expected} == pytest.approx(expected, rel=1e-5)


def test_every_metric_is_measured_as_float64_on_the_cpu():
    t = task("two_moons")
    found = measure(sparse(t), t, louvain_seeds=1)
    assert list(found) == list(METRICS)
    assert {(values.shape, values.dtype, values.device.type) for values in found.values()} == {
        ((3,), torch.float64, "cpu")
    }
    assert {metric.direction for metric in METRICS.values()} == {"minimize", "maximize"}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_network_that_is_not_finite_has_no_figures(value):
    t = task("two_moons")
    healthy = sparse(t)
    broken = healthy.select([0, 1, 2])
    broken.flat[1, -1] = value
    found, expected = measure(broken, t, louvain_seeds=1), measure(healthy, t, louvain_seeds=1)
    for key, values in found.items():
        assert values[1].isnan(), key
        assert torch.equal(values[[0, 2]], expected[key][[0, 2]]), key


def test_a_dead_network_has_figures():
    t = task("independence")
    population = sparse(t)
    population.flat.zero_()
    found = measure(population, t, louvain_seeds=1)
    for key in ("connection_cost", "wiring_length", "active_weights", "active_neurons", "modularity", "communities"):
        assert found[key].tolist() == [0.0] * 3
    assert found["test_loss"].isfinite().all()


@pytest.mark.parametrize("method", ["greedy", "assignment"])
def test_relocation_changes_only_what_depends_on_places(method):
    t = task("independence")
    population = initialise(t.network, range(3))
    moved = population.arranged(relocate(t.network.wiring, population.flat, method))
    before, after = (measure(p, t, louvain_seeds=1) for p in (population, moved))
    for key in ("train_loss", "test_loss", "score"):
        torch.testing.assert_close(after[key], before[key], rtol=1e-4, atol=1e-6)
    for key in ("active_weights", "active_neurons"):
        assert torch.equal(after[key], before[key])
    for key in ("connection_cost", "wiring_length"):
        assert (after[key] < before[key]).all()


def test_graphs_that_are_left_out_leave_out_their_metrics_only():
    t = task("two_moons")
    population = initialise(t.network, range(2))
    everything = measure(population, t, louvain_seeds=1)
    some = measure(population, t, louvain_seeds=1, transforms=["layer_max"])
    assert everything.keys() - some.keys() == {"modularity_raw", "communities_raw"}
    assert all(some[name].equal(everything[name]) for name in some)
