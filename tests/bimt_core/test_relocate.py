from dataclasses import replace
from itertools import permutations, product
from math import lcm

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bimt_core.cost import ConnectionCost, connection_cost
from bimt_core.networks import MLP
from bimt_core.population import Population, initialise
from bimt_core.relocate import METHODS, place_costs, relocate
from bimt_core.wiring import Neurons, parameter_order

MOVING = ("assignment", "greedy")
SHAPES = st.lists(st.integers(1, 20), min_size=2, max_size=5)


def whole_cost(wiring, tensors):
    """The wiring cost of one network: sum over weights of R(|W| * d)."""
    costs = [np.abs(tensors[wire.tensor]) * wiring.lengths(wire).numpy() for wire in wiring.weights]
    return sum(c.sum() if wiring.reduction == "sum" else c.mean() for c in costs)


def exchanged(wiring, tensors, name, one, other):
    """The tensors after two neurons of a set have changed places, in every fold."""
    tensors = {key: tensor.copy() for key, tensor in tensors.items()}
    n = len(wiring[name])
    for wire in wiring.wires:
        for axis, end in enumerate(wire.axes):
            if isinstance(end, int) or end.neurons != name:
                continue
            tensor = np.moveaxis(tensors[wire.tensor], axis, 0)
            for fold in range(end.folds):
                tensor[[fold * n + one, fold * n + other]] = tensor[[fold * n + other, fold * n + one]]
    return tensors


def score(wiring, tensors, name, neuron):
    n, total = len(wiring[name]), 0.0
    for wire in wiring.weights:
        for axis, end in enumerate(wire.ends):
            if end.neurons == name:
                total += sum(
                    np.abs(tensors[wire.tensor].take(fold * n + neuron, axis)).sum() for fold in range(end.folds)
                )
    return total


def naive_greedy(wiring, flat, top_k):
    """The published search on one network: every candidate exchange is made, and the whole cost computed again."""
    tensors = {name: tensor.numpy() for name, tensor in wiring.tensors(flat).items()}
    costs = []
    for name, n in ((neurons.name, len(neurons)) for neurons in wiring.neurons if neurons.movable):
        scores = [score(wiring, tensors, name, neuron) for neuron in range(n)]
        for one in sorted(range(n), key=lambda neuron: -scores[neuron])[:top_k]:
            candidates = [exchanged(wiring, tensors, name, one, other) for other in range(n)]
            tensors = candidates[int(np.argmin([whole_cost(wiring, candidate) for candidate in candidates]))]
        costs.append(whole_cost(wiring, tensors))
    return wiring.flatten({name: torch.from_numpy(tensor) for name, tensor in tensors.items()}), costs


def whole_numbers(wiring):
    """The wiring with all positions multiplied so that they are whole: costs are then exact, ties included."""
    scale = 2 * lcm(*map(len, wiring.neurons))
    return replace(
        wiring, neurons=tuple(Neurons(n.name, (n.positions * scale).round(), n.movable) for n in wiring.neurons)
    )


def only(wiring, *movable):
    """The wiring with only these neurons free to move."""
    return replace(wiring, neurons=tuple(replace(n, movable=n.name in movable) for n in wiring.neurons))


def relocated(wiring, flat, method, top_k=5):
    return flat.gather(1, parameter_order(wiring, relocate(wiring, flat, method, top_k=top_k)))


def some_network(shape, folds=1, reduction="sum", seed=0, networks=1):
    wiring = MLP(tuple(shape), reduction, folds, vocabulary=3 if folds > 1 else 0).wiring
    random = torch.Generator().manual_seed(seed)
    return wiring, torch.randn(networks, wiring.n_parameters, dtype=torch.float64, generator=random)


def cost_of(wiring, flat):
    one, zero = torch.ones(len(flat), dtype=flat.dtype), torch.zeros(len(flat), dtype=flat.dtype)
    return connection_cost(flat, ConnectionCost.of(wiring).coefficients(one, zero))


# The published code and slow, obvious searches


def test_greedy_does_what_the_published_code_did(recorded):
    wiring, facts = recorded.wiring, recorded.facts
    order = relocate(wiring, recorded.flat, "greedy", top_k=facts["top_k"])
    for name, published in (("input", facts["in_perm"]), ("output", facts["out_perm"])):
        assert order.get(name, torch.arange(len(published)).unsqueeze(0)).tolist() == [published]
    moved = wiring.tensors(recorded.flat.gather(1, parameter_order(wiring, order)))
    for name, published in recorded.after.items():
        assert torch.equal(moved[name][0], published)


def test_greedy_lowers_the_cost_layer_by_layer_as_the_published_code_did(recorded):
    wiring, facts = recorded.wiring, recorded.facts
    order = relocate(wiring, recorded.flat, "greedy", top_k=facts["top_k"])
    factor, distance = (torch.tensor([facts[f]], dtype=torch.float64) for f in ("default_weight_factor", "l0"))
    coefficients = ConnectionCost.of(wiring).coefficients(factor, distance)
    moved: dict[str, torch.Tensor] = {}
    for neurons, published in zip(wiring.neurons, facts["cost_after_each_layer"], strict=True):
        moved |= {neurons.name: order[neurons.name]} if neurons.movable else {}
        flat = recorded.flat.gather(1, parameter_order(wiring, moved)) if moved else recorded.flat
        assert connection_cost(flat, coefficients).item() == pytest.approx(published, rel=1e-6)


@given(shape=SHAPES, folds=st.integers(1, 2), top_k=st.integers(1, 25), seed=st.integers(0, 999))
def test_greedy_equals_the_naive_search_ties_included(shape, folds, top_k, seed):
    wiring, _ = some_network(shape, folds)
    wiring = whole_numbers(wiring)
    random = torch.Generator().manual_seed(seed)
    flat = torch.randint(-3, 4, (2, wiring.n_parameters), generator=random).double()
    expected = torch.stack([naive_greedy(wiring, one, top_k)[0] for one in flat])
    assert torch.equal(relocated(wiring, flat, "greedy", top_k), expected)


@pytest.mark.parametrize(("reduction", "folds", "seed"), [*product(["sum", "mean"], [1, 2], range(3))])
def test_greedy_equals_the_naive_search_on_real_weights(reduction, folds, seed):
    wiring, flat = some_network((6, 9, 14, 4), folds, reduction, seed)
    expected, costs = naive_greedy(wiring, flat[0], top_k=5)
    found = relocated(wiring, flat, "greedy")
    assert torch.equal(found[0], expected)
    assert cost_of(wiring, found).item() == pytest.approx(costs[-1], rel=1e-12)


@given(
    around=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    n=st.integers(1, 6),
    folds=st.integers(1, 2),
    seed=st.integers(0, 999),
)
def test_assignment_is_the_best_of_all_arrangements(around, n, folds, seed):
    wiring, flat = some_network((around[0], n, around[1]), folds, seed=seed)
    free = only(wiring, "hidden1")
    best = min(
        cost_of(wiring, flat.gather(1, parameter_order(wiring, {"hidden1": torch.tensor([order])}))).item()
        for order in permutations(range(n))
    )
    assert cost_of(wiring, relocated(free, flat, "assignment")).item() == pytest.approx(best, rel=1e-12)


@given(
    shape=SHAPES,
    folds=st.integers(1, 2),
    reduction=st.sampled_from(["sum", "mean"]),
    which=st.data(),
    seed=st.integers(0, 999),
)
def test_assignment_is_never_worse_than_greedy_for_a_layer(shape, folds, reduction, which, seed):
    wiring, flat = some_network(shape, folds, reduction, seed)
    free = only(wiring, which.draw(st.sampled_from(wiring.neurons)).name)
    optimal, greedy = (cost_of(wiring, relocated(free, flat, method, 20)).item() for method in MOVING)
    assert optimal <= greedy * (1 + 1e-12)


def test_place_costs_are_the_cost_of_each_neuron_in_each_place():
    wiring, flat = some_network((4, 6, 3), folds=2, reduction="mean")
    tensors = wiring.tensors(flat.abs())
    strength = {"weight0": tensors["weight0"].unflatten(2, (2, 4)).sum(2), "weight1": tensors["weight1"]}
    found = place_costs(wiring, strength, wiring["hidden1"])[0]
    for neuron, place in product(range(6), range(6)):
        alone = {name: torch.zeros_like(tensor[0]) for name, tensor in tensors.items()}
        alone["weight0"][place] = tensors["weight0"][0, neuron]
        alone["weight1"][:, place] = tensors["weight1"][0, :, neuron]
        cost = whole_cost(wiring, {name: tensor.numpy() for name, tensor in alone.items()})
        assert found[neuron, place].item() == pytest.approx(cost, rel=1e-12)


# What holds for every network


@pytest.mark.parametrize("method", MOVING)
@given(shape=SHAPES, folds=st.integers(1, 2), reduction=st.sampled_from(["sum", "mean"]), seed=st.integers(0, 999))
def test_cost_never_rises(method, shape, folds, reduction, seed):
    wiring, flat = some_network(shape, folds, reduction, seed, networks=3)
    before, after = cost_of(wiring, flat), cost_of(wiring, relocated(wiring, flat, method))
    assert (after <= before * (1 + 1e-12)).all()


@pytest.mark.parametrize("method", MOVING)
def test_relocation_pays(method):
    wiring, flat = some_network((4, 20, 20, 2), networks=8)
    assert (cost_of(wiring, relocated(wiring, flat, method)) < 0.95 * cost_of(wiring, flat)).all()


@pytest.mark.parametrize(("method", "n", "folds"), [*product(MOVING, range(1, 21), (1, 2))])
def test_outputs_stay_the_same(method, n, folds):
    network = MLP((n, 21 - n, n, 21 - n), folds=folds, vocabulary=7 if folds > 1 else 0)
    population = initialise(network, [0, 1, 2], dtype=torch.float64)
    population = replace(population, flat=torch.randn_like(population.flat))
    inputs = torch.randint(7, (11, folds)) if folds > 1 else torch.randn(11, n, dtype=torch.float64)
    before = population.predict(inputs)
    for _ in range(2):  # the second time from labels that are in disorder already
        order = relocate(network.wiring, population.flat, method)
        population = population.arranged(order)
    torch.testing.assert_close(population.predict(inputs), before, rtol=1e-10, atol=1e-10)
    if n == 10:
        assert not torch.equal(population.input_labels, torch.arange(n).repeat(3, 1))
        assert not torch.equal(population.output_labels, torch.arange(21 - n).repeat(3, 1))


@pytest.mark.parametrize("method", MOVING)
def test_relocating_an_optimum_changes_nothing(method):
    wiring, flat = some_network((3, 12, 4))
    free = only(wiring, "hidden1")
    best = relocated(free, flat, "assignment")
    assert torch.equal(relocated(free, best, method, top_k=12), best)


@pytest.mark.parametrize("method", MOVING)
def test_a_network_does_not_depend_on_its_neighbours(method):
    wiring, flat = some_network((4, 20, 20, 2), networks=4)
    together = relocated(wiring, flat, method)
    for network in range(4):
        assert torch.equal(relocated(wiring, flat[[network]], method)[0], together[network])


@pytest.mark.parametrize("method", MOVING)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_network_that_is_not_finite_stays_as_it_is(method, value):
    wiring, flat = some_network((4, 20, 20, 2), networks=3)
    broken = flat.clone()
    broken[1, 300] = value
    order, healthy = relocate(wiring, broken, method), relocate(wiring, flat, method)
    for name, places in order.items():
        assert places[1].tolist() == list(range(len(wiring[name])))
        assert torch.equal(places[[0, 2]], healthy[name][[0, 2]])


@pytest.mark.parametrize("method", MOVING)
def test_neurons_that_may_not_move_stay(method):
    wiring, flat = some_network((4, 6, 3))
    assert list(relocate(only(wiring, "hidden1"), flat, method)) == ["hidden1"]


def test_greedy_tries_only_the_neurons_of_highest_score():
    wiring, flat = some_network((3, 12, 4))
    free = only(wiring, "hidden1")
    places = relocate(free, flat, "greedy", top_k=1)["hidden1"][0]
    tensors = {name: tensor.numpy() for name, tensor in wiring.tensors(flat[0]).items()}
    strongest = max(range(12), key=lambda neuron: score(wiring, tensors, "hidden1", neuron))
    moved = [place for place in range(12) if places[place] != place]
    assert len(moved) == 2
    assert strongest in moved


def test_biases_and_embeddings_play_no_part():
    wiring, flat = some_network((4, 6, 3), folds=2)
    other = wiring.flatten({n: t if n.startswith("weight") else t * 100 for n, t in wiring.tensors(flat).items()})
    for method in MOVING:
        first, second = relocate(wiring, flat, method), relocate(wiring, other, method)
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_none_moves_nothing():
    wiring, flat = some_network((4, 6, 3))
    assert relocate(wiring, flat, "none") == {}
    population = Population(MLP((4, 6, 3)), flat, torch.arange(4).unsqueeze(0), torch.arange(3).unsqueeze(0))
    assert population.arranged({}) is population


def test_an_unknown_method_is_refused():
    wiring, flat = some_network((2, 2))
    assert METHODS == ("assignment", "greedy", "none")
    with pytest.raises(ValueError, match="relocation must be one of assignment, exchange, greedy, none, got 'best'"):
        relocate(wiring, flat, "best")
