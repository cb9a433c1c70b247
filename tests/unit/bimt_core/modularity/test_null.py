import math

import numpy as np
import pytest
import torch

from bimt_core.modularity import AMONG, METHODS, TRANSFORMS, Null, communities, null, null_modularity, weight_graph
from bimt_core.modularity.graph import connections
from bimt_core.networks import MLP, RNN


def one_network(shape=(4, 20, 20, 2), density=1.0, **options):
    network, generator = MLP(shape, **options), torch.Generator().manual_seed(0)
    flat = network.initial_parameters(generator, torch.float64)
    flat *= torch.rand(flat.shape, generator=generator) < density
    return network.wiring, network.wiring.tensors(flat)


def modular_network(groups=4, size=5):
    """A network of unconnected parts."""
    wiring, tensors = one_network((groups * size,) * 3)
    for name in ("weight0", "weight1"):
        tensors[name].copy_(torch.block_diag(*[torch.ones(size, size, dtype=torch.float64)] * groups))
    return wiring, tensors


@pytest.mark.parametrize("among", AMONG)
def test_modular_network_has_a_high_z(among):
    found = null_modularity(*modular_network(), among=among, n=50)
    assert found.modularity == pytest.approx(0.75)
    assert found.z > 10
    assert found.p == pytest.approx(1 / 51)


@pytest.mark.parametrize("among", AMONG)
def test_random_network_has_a_low_z(among):
    nulls = [null_modularity(*one_network(density=0.4), among=among, n=50, seed=seed) for seed in (0, 1)]
    for found in nulls:
        assert abs(found.z) < 3
        assert 0.02 < found.p <= 1
    assert nulls[0].shuffled != nulls[1].shuffled
    assert nulls[0] == null_modularity(*one_network(density=0.4), among=among, n=50)


def test_mean_sd_z_and_p_match_values_by_hand():
    found = Null(0.5, (0.1, 0.5, 0.3, 0.7))
    assert found.mean == pytest.approx(0.4)
    assert found.sd == pytest.approx(math.sqrt((0.09 + 0.01 + 0.01 + 0.09) / 3))
    assert found.z == pytest.approx(0.1 / found.sd)
    assert found.p == 3 / 5


def test_equal_shuffled_values_give_z_0():
    assert (Null(0.5, (0.2, 0.2, 0.2)).z, Null(0.5, (0.2, 0.2, 0.2)).p) == (0.0, 0.25)
    wiring, tensors = one_network()
    for tensor in tensors.values():
        tensor.zero_()
    found = null_modularity(wiring, tensors, n=5)
    assert (found.modularity, found.mean, found.sd, found.z, found.p) == (0.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("method", METHODS)
def test_modularity_of_the_network_is_that_of_communities(method, transform):
    wiring, tensors = one_network((3, 8, 2), folds=2, vocabulary=5, density=0.7)
    found = null_modularity(wiring, tensors, transform, method, n=2, seeds=3, threshold=0.1)
    graph = weight_graph(wiring, tensors, transform, threshold=0.1)
    assert found.modularity == pytest.approx(communities(graph, method, 3).modularity)  # up to the order of nodes


@pytest.mark.parametrize("among", AMONG)
def test_shuffling_keeps_the_weights_of_each_tensor(among, monkeypatch):
    """Every draw has each tensor's strengths at distinct entries; with "used", between used neurons only."""
    wiring, tensors = one_network((4, 9, 2), density=0.15)
    parts, draws = connections(wiring, tensors), []
    used = set(weight_graph(wiring, tensors))
    names = [(neurons.name, place) for neurons in wiring.neurons for place in range(len(neurons))]

    def check_draw(given, entries):
        for part, mine, at in zip(given, parts, entries, strict=True):
            assert part.strength.tolist() == mine.strength.tolist()
            assert len(set(at.tolist())) == len(at) == len(mine.strength)
            if among == "used":
                assert {names[i] for i in [*part.target[at], *part.source[at]]} <= used
        draws.append(tuple(tuple(at.tolist()) for at in entries))
        return sum_edges(given, entries)

    sum_edges = null.sum_edges
    monkeypatch.setattr(null, "sum_edges", check_draw)
    null_modularity(wiring, tensors, among=among, n=30)
    assert len(draws) == 31
    assert len(set(draws)) > 25


def test_every_entry_is_equally_likely():
    wiring, tensors = one_network((3, 4), density=0.0)
    tensors["weight0"][0, 0] = 1.0
    tensors["weight0"][2, 1] = 0.5
    parts, random = connections(wiring, tensors), np.random.default_rng(0)
    candidates = [np.arange(12)]
    entries = np.array([null._draw_entries(parts, candidates, random)[0] for _ in range(6000)])
    for column in entries.T:
        counts = np.bincount(column, minlength=12)
        assert (abs(counts - 500) < 5 * math.sqrt(500)).all()


def test_recurrent_networks_can_be_shuffled():
    wiring = RNN(3, (3, 3), 4).wiring
    tensors = wiring.tensors(torch.randn(wiring.n_parameters))
    assert math.isfinite(null_modularity(wiring, tensors, n=5).z)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 1}, "n must be at least 2, got 1"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"among": "all"}, "among must be one of layer, used, got 'all'"),
        ({"method": "leiden"}, "method must be one of louvain, newman, cnm, got 'leiden'"),
        ({"transform": "cubed"}, "transform must be one of layer_max, raw, squared, binary, got 'cubed'"),
        ({"threshold": -1.0}, "threshold must be at least 0 and finite, got -1.0"),
    ],
)
def test_invalid_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        null_modularity(*one_network((2, 2)), **arguments)
