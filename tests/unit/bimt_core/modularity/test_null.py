import math

import numpy as np
import pytest
import torch

from bimt_core.modularity import AMONG, METHODS, TRANSFORMS, Null, communities, null, null_modularity, weight_graph
from bimt_core.modularity.graph import connections
from bimt_core.networks import MLP, RNN


def one_network(shape=(4, 20, 20, 2), density=1.0, **options):
    network, generator = MLP(shape, **options), torch.Generator().manual_seed(0)
    flat = network.initial(generator, torch.float64)
    flat *= torch.rand(flat.shape, generator=generator) < density
    return network.wiring, network.wiring.tensors(flat)


def modular(groups=4, size=5):
    """A network of parts that have nothing to do with each other."""
    wiring, tensors = one_network((groups * size,) * 3)
    for name in ("weight0", "weight1"):
        tensors[name].copy_(torch.block_diag(*[torch.ones(size, size, dtype=torch.float64)] * groups))
    return wiring, tensors


@pytest.mark.parametrize("among", AMONG)
def test_a_modular_network_stands_out(among):
    found = null_modularity(*modular(), among=among, n=50)
    assert found.modularity == pytest.approx(0.75)
    assert found.z > 10
    assert found.p == pytest.approx(1 / 51)


@pytest.mark.parametrize("among", AMONG)
def test_a_random_network_does_not(among):
    beside = [null_modularity(*one_network(density=0.4), among=among, n=50, seed=seed) for seed in (0, 1)]
    for found in beside:
        assert abs(found.z) < 3
        assert 0.02 < found.p <= 1
    assert beside[0].shuffled != beside[1].shuffled
    assert beside[0] == null_modularity(*one_network(density=0.4), among=among, n=50)


def test_figures_are_those_of_the_draws():
    found = Null(0.5, (0.1, 0.5, 0.3, 0.7))
    assert found.mean == pytest.approx(0.4)
    assert found.sd == pytest.approx(math.sqrt((0.09 + 0.01 + 0.01 + 0.09) / 3))
    assert found.z == pytest.approx(0.1 / found.sd)
    assert found.p == 3 / 5


def test_no_spread_is_no_distance():
    assert (Null(0.5, (0.2, 0.2, 0.2)).z, Null(0.5, (0.2, 0.2, 0.2)).p) == (0.0, 0.25)
    wiring, tensors = one_network()
    for tensor in tensors.values():
        tensor.zero_()
    found = null_modularity(wiring, tensors, n=5)
    assert (found.modularity, found.mean, found.sd, found.z, found.p) == (0.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("method", METHODS)
def test_the_network_s_own_q_is_that_of_as_many_runs(method, transform):
    wiring, tensors = one_network((3, 8, 2), folds=2, vocabulary=5, density=0.7)
    found = null_modularity(wiring, tensors, transform, method, n=2, seeds=3, threshold=0.1)
    graph = weight_graph(wiring, tensors, transform, threshold=0.1)
    assert found.modularity == pytest.approx(communities(graph, method, 3).modularity)  # runs differ in nodes' order


@pytest.mark.parametrize("among", AMONG)
def test_shuffling_keeps_each_tensor_s_weights(among, monkeypatch):
    """The edges of every draw are each tensor's strengths at different entries, those of "used" at used neurons."""
    wiring, tensors = one_network((4, 9, 2), density=0.15)
    parts, seen = connections(wiring, tensors), []
    used = set(weight_graph(wiring, tensors))
    names = [(neurons.name, place) for neurons in wiring.neurons for place in range(len(neurons))]

    def kept(given, places):
        for part, mine, at in zip(given, parts, places, strict=True):
            assert part.strength.tolist() == mine.strength.tolist()
            assert len(set(at.tolist())) == len(at) == len(mine.strength)
            if among == "used":
                assert {names[i] for i in [*part.target[at], *part.source[at]]} <= used
        seen.append(tuple(tuple(at.tolist()) for at in places))
        return edges_at(given, places)

    edges_at = null.edges_at
    monkeypatch.setattr(null, "edges_at", kept)
    null_modularity(wiring, tensors, among=among, n=30)
    assert len(seen) == 31
    assert len(set(seen)) > 25


def test_every_entry_is_as_likely():
    wiring, tensors = one_network((3, 4), density=0.0)
    tensors["weight0"][0, 0] = 1.0
    tensors["weight0"][2, 1] = 0.5
    parts, random = connections(wiring, tensors), np.random.default_rng(0)
    room = [np.arange(12)]
    places = np.array([null._shuffled(parts, room, random)[0] for _ in range(6000)])
    for column in places.T:
        counts = np.bincount(column, minlength=12)
        assert (abs(counts - 500) < 5 * math.sqrt(500)).all()


def test_a_recurrent_network_is_shuffled_too():
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
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        null_modularity(*one_network((2, 2)), **arguments)
