import math

import pytest
import torch

from bimt_core.metrics import measure
from bimt_core.modularity import community_statistics, louvain, tensor_statistics, weight_graph
from bimt_core.networks import MLP, RNN
from bimt_core.population import initialise
from bimt_core.tasks import load_task
from bimt_core.wiring import ACTIVE


def naive_statistics(wiring, wire, tensor, threshold):
    """Statistics of one tensor, entry by entry."""
    target, source = (wiring[end.neurons] for end in wire.ends)
    sizes, distances = [], []
    for o, row in enumerate(tensor.tolist()):
        for i, w in enumerate(row):
            target_at, source_at = (
                target.positions[o % len(target)].tolist(),
                source.positions[i % len(source)].tolist(),
            )
            sizes.append(abs(w))
            distances.append(sum(abs(a - b) for a, b in zip(target_at, source_at, strict=True)))
    active = [d for w, d in zip(sizes, distances, strict=True) if w > threshold]
    mean_w, mean_d = sum(sizes) / len(sizes), sum(distances) / len(distances)
    deviations = [(w - mean_w, d - mean_d) for w, d in zip(sizes, distances, strict=True)]
    spread = math.sqrt(sum(w * w for w, _ in deviations) * sum(d * d for _, d in deviations))
    return {
        "tensor": wire.tensor,
        "source": source.name,
        "target": target.name,
        "entries": len(sizes),
        "active": len(active),
        "size": sum(sizes),
        "length": sum(w * d for w, d in zip(sizes, distances, strict=True)),
        "mean_length": sum(active) / len(active) if active else 0.0,
        "correlation": sum(w * d for w, d in deviations) / spread,
    }


@pytest.mark.parametrize("threshold", [ACTIVE, 0.2])
@pytest.mark.parametrize("network", [MLP((4, 6, 5, 3), folds=2, vocabulary=7), RNN(3, (3, 3), 4)])
def test_statistics_match_loops_over_entries(network, threshold):
    wiring = network.wiring
    tensors = wiring.tensors(network.initial_parameters(torch.Generator().manual_seed(0), torch.float64))
    rows = tensor_statistics(wiring, tensors, threshold=threshold)
    for row, wire in zip(rows, wiring.weights, strict=True):
        assert vars(row) == pytest.approx(naive_statistics(wiring, wire, tensors[wire.tensor], threshold))


def test_sums_over_tensors_match_the_metrics():
    t = load_task("two_moons")
    population = initialise(t.network, [3])
    rows = tensor_statistics(t.network.wiring, {k: v[0] for k, v in population.tensors.items()})
    found = measure(population, t, transforms=(), thorough=False)
    assert sum(row.length for row in rows) == pytest.approx(found["wiring_length"].item(), rel=1e-5)
    assert sum(row.active for row in rows) == found["active_weights"].item()


def test_small_long_weights_give_a_negative_correlation():
    wiring = MLP((10, 10)).wiring
    local = {"weight0": torch.exp(-5 * wiring.lengths(wiring.weights[0])), "bias0": torch.zeros(10)}
    assert tensor_statistics(wiring, local)[0].correlation < -0.8


def test_tensor_of_zeros():
    wiring = MLP((3, 4)).wiring
    (row,) = tensor_statistics(wiring, wiring.tensors(torch.zeros(wiring.n_parameters)))
    assert (row.entries, row.active, row.size, row.length, row.mean_length) == (12, 0, 0.0, 0.0, 0.0)
    assert math.isnan(row.correlation)


def test_invalid_weights_and_thresholds_raise():
    wiring = MLP((3, 4)).wiring
    tensors = wiring.tensors(torch.zeros(wiring.n_parameters))
    with pytest.raises(ValueError, match=r"^threshold must be at least 0 and finite, got -1$"):
        tensor_statistics(wiring, tensors, threshold=-1)
    tensors["weight0"][0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"^weights must be finite, tensor 'weight0' has nan$"):
        tensor_statistics(wiring, tensors)


def test_community_statistics_count_neurons_per_layer():
    wiring = MLP((2, 4, 4, 1)).wiring
    tensors = wiring.tensors(torch.zeros(wiring.n_parameters))
    for target, source in ((0, 0), (1, 0), (2, 1), (3, 1)):
        tensors["weight0"][target, source] = 1.0
    tensors["weight1"][0, 0] = tensors["weight1"][0, 1] = tensors["weight2"][0, 0] = 1.0
    rows = community_statistics(wiring, louvain(weight_graph(wiring, tensors)))
    assert [(row.size, dict(row.layers)) for row in rows] == [
        (5, {"input": 1, "hidden1": 2, "hidden2": 1, "output": 1}),
        (3, {"input": 1, "hidden1": 2, "hidden2": 0, "output": 0}),
    ]
