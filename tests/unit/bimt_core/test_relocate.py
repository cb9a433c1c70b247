from dataclasses import replace
from itertools import permutations, product
from math import lcm

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import nn

from bimt_core.cost import ConnectionCost, connection_cost
from bimt_core.geometry import line
from bimt_core.networks import MLP, RNN, ModuleNetwork, Transformer
from bimt_core.population import Population, initialise
from bimt_core.relocate import METHODS, place_costs, relocate
from bimt_core.wiring import Axis, Neurons, Wire, Wiring, linear_wires, parameter_order

MOVING = ("assignment", "exchange", "greedy")
SHAPES = st.lists(st.integers(1, 20), min_size=2, max_size=5)
SEEDS = st.integers(0, 999)


def wiring_cost(wiring, tensors):
    """The sum over weights of R(|W| * d) of one network."""
    costs = [np.abs(tensors[wire.tensor]) * wiring.lengths(wire).numpy() for wire in wiring.weights]
    return sum(c.sum() if wiring.reduction == "sum" else c.mean() for c in costs)


def exchange(wiring, tensors, name, one, other):
    """Exchanges two neurons of a set, in every fold."""
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


def strength(wiring, tensors, name, neuron):
    n, total = len(wiring[name]), 0.0
    for wire in wiring.weights:
        for axis, end in enumerate(wire.ends):
            if end.neurons == name:
                total += sum(
                    np.abs(tensors[wire.tensor].take(fold * n + neuron, axis)).sum() for fold in range(end.folds)
                )
    return total


def units(neurons):
    """Units that are exchanged, neurons within blocks and whole blocks: (neurons per unit, units that mix)."""
    size = len(neurons) // neurons.blocks
    return [(1, size)] if neurons.blocks == 1 else [(1, size), (size, neurons.blocks)]


def candidates(wiring, tensors, neurons, one, size, mix):
    """Yields the network after each exchange of a unit, including that with itself."""
    for other in range(one // mix * mix, (one // mix + 1) * mix):
        candidate = tensors
        for i in range(size):
            candidate = exchange(wiring, candidate, neurons.name, one * size + i, other * size + i)
        yield candidate


def naive_visit(wiring, tensors, neurons, top_k):
    """Computes the whole cost for every possible exchange."""
    for (size, mix), most in zip(units(neurons), (top_k, None), strict=False):
        n = len(neurons) // size
        strengths = [sum(strength(wiring, tensors, neurons.name, u * size + i) for i in range(size)) for u in range(n)]
        for one in np.argsort(np.negative(strengths), kind="stable")[:most]:
            networks = list(candidates(wiring, tensors, neurons, one, size, mix))
            tensors = networks[int(np.argmin([wiring_cost(wiring, candidate) for candidate in networks]))]
    return tensors


def as_arrays(wiring, flat):
    return {name: tensor.numpy() for name, tensor in wiring.tensors(flat).items()}


def naive_greedy(wiring, flat, top_k):
    """The published method on one network, and the cost after each set."""
    tensors, costs = as_arrays(wiring, flat), []
    for neurons in (n for n in wiring.neurons if n.movable):
        tensors = naive_visit(wiring, tensors, neurons, top_k)
        costs.append(wiring_cost(wiring, tensors))
    return wiring.flatten({name: torch.from_numpy(tensor) for name, tensor in tensors.items()}), costs


def cheapest_exchange(wiring, flat):
    """The lowest cost after one exchange of two neurons of a block, or of two blocks."""
    tensors = as_arrays(wiring, flat)
    return min(
        wiring_cost(wiring, candidate)
        for neurons in wiring.neurons
        if neurons.movable
        for size, mix in units(neurons)
        for one in range(len(neurons) // size)
        for candidate in candidates(wiring, tensors, neurons, one, size, mix)
    )


def whole_numbers(wiring):
    """The wiring with positions multiplied to integers, so that costs are exact and ties are ties."""
    scale = 2 * lcm(*map(len, wiring.neurons))
    return replace(
        wiring,
        neurons=tuple(replace(neurons, positions=(neurons.positions * scale).round()) for neurons in wiring.neurons),
    )


def only(wiring, *movable):
    """The wiring with all other sets fixed."""
    return replace(wiring, neurons=tuple(replace(n, movable=n.name in movable) for n in wiring.neurons))


def apply_relocation(wiring, flat, method, top_k=5, rounds=1):
    return flat.gather(1, parameter_order(wiring, relocate(wiring, flat, method, top_k=top_k, rounds=rounds)))


def random_network(shape, folds=1, reduction="sum", seed=0, networks=1):
    wiring = MLP(tuple(shape), reduction, folds, vocabulary=3 if folds > 1 else 0).wiring
    random = torch.Generator().manual_seed(seed)
    return wiring, torch.randn(networks, wiring.n_parameters, dtype=torch.float64, generator=random)


def cost_of(wiring, flat):
    one, zero = torch.ones(len(flat), dtype=flat.dtype), torch.zeros(len(flat), dtype=flat.dtype)
    return connection_cost(flat, ConnectionCost.from_wiring(wiring).coefficients(one, zero))


# The published code and naive searches


def test_greedy_equals_the_published_code(recorded):
    wiring, facts = recorded.wiring, recorded.facts
    order = relocate(wiring, recorded.flat, "greedy", top_k=facts["top_k"])
    for name, published in (("input", facts["in_perm"]), ("output", facts["out_perm"])):
        assert order.get(name, torch.arange(len(published)).unsqueeze(0)).tolist() == [published]
    moved = wiring.tensors(recorded.flat.gather(1, parameter_order(wiring, order)))
    for name, published in recorded.after.items():
        assert torch.equal(moved[name][0], published)


def test_greedy_has_the_published_cost_after_every_set(recorded):
    wiring, facts = recorded.wiring, recorded.facts
    order = relocate(wiring, recorded.flat, "greedy", top_k=facts["top_k"])
    factor, distance = (torch.tensor([facts[f]], dtype=torch.float64) for f in ("default_weight_factor", "l0"))
    coefficients = ConnectionCost.from_wiring(wiring).coefficients(factor, distance)
    moved: dict[str, torch.Tensor] = {}
    for neurons, published in zip(wiring.neurons, facts["cost_after_each_layer"], strict=True):
        moved |= {neurons.name: order[neurons.name]} if neurons.movable else {}
        flat = recorded.flat.gather(1, parameter_order(wiring, moved)) if moved else recorded.flat
        assert connection_cost(flat, coefficients).item() == pytest.approx(published, rel=1e-6)


@settings(max_examples=20)
@given(shape=SHAPES, folds=st.integers(1, 2), top_k=st.integers(1, 25), seed=SEEDS)
def test_greedy_equals_the_naive_search_with_ties(shape, folds, top_k, seed):
    wiring, _ = random_network(shape, folds)
    wiring = whole_numbers(wiring)
    random = torch.Generator().manual_seed(seed)
    flat = torch.randint(-3, 4, (2, wiring.n_parameters), generator=random).double()
    expected = torch.stack([naive_greedy(wiring, one, top_k)[0] for one in flat])
    assert torch.equal(apply_relocation(wiring, flat, "greedy", top_k), expected)


@pytest.mark.parametrize(("reduction", "folds", "seed"), [*product(["sum", "mean"], [1, 2], range(3))])
def test_greedy_equals_the_naive_search_without_ties(reduction, folds, seed):
    wiring, flat = random_network((6, 9, 14, 4), folds, reduction, seed)
    expected, costs = naive_greedy(wiring, flat[0], top_k=5)
    moved = apply_relocation(wiring, flat, "greedy")
    assert torch.equal(moved[0], expected)
    assert cost_of(wiring, moved).item() == pytest.approx(costs[-1], rel=1e-12)


def best_of_all_orders(wiring, flat, name, orders):
    """The lowest cost of one network over orders of a set."""
    order = torch.tensor(list(orders))
    networks = flat.expand(len(order), -1).gather(1, parameter_order(wiring, {name: order}))
    return cost_of(wiring, networks).min().item()


@settings(max_examples=20)
@given(inputs=st.integers(1, 8), n=st.integers(1, 5), outputs=st.integers(1, 8), folds=st.integers(1, 2), seed=SEEDS)
def test_assignment_is_optimal(inputs, n, outputs, folds, seed):
    wiring, flat = random_network((inputs, n, outputs), folds, seed=seed)
    best = best_of_all_orders(wiring, flat, "hidden1", permutations(range(n)))
    moved = apply_relocation(only(wiring, "hidden1"), flat, "assignment")
    assert cost_of(wiring, moved).item() == pytest.approx(best, rel=1e-12)


@given(
    shape=SHAPES,
    folds=st.integers(1, 2),
    reduction=st.sampled_from(["sum", "mean"]),
    which=st.data(),
    seed=SEEDS,
)
def test_assignment_is_never_worse_for_one_set(shape, folds, reduction, which, seed):
    wiring, flat = random_network(shape, folds, reduction, seed)
    free = only(wiring, which.draw(st.sampled_from(wiring.neurons)).name)
    optimal, *others = (cost_of(wiring, apply_relocation(free, flat, method, 20)).item() for method in MOVING)
    assert optimal <= min(others) * (1 + 1e-12)


def test_place_costs_are_the_costs_of_single_neurons():
    wiring, flat = random_network((4, 6, 3), folds=2, reduction="mean")
    tensors = wiring.tensors(flat.abs())
    magnitude = {"weight0": tensors["weight0"].unflatten(2, (2, 4)).sum(2), "weight1": tensors["weight1"]}
    costs = place_costs(wiring, magnitude, wiring["hidden1"])[0]
    for neuron, place in product(range(6), range(6)):
        alone = {name: torch.zeros_like(tensor[0]) for name, tensor in tensors.items()}
        alone["weight0"][place] = tensors["weight0"][0, neuron]
        alone["weight1"][:, place] = tensors["weight1"][0, :, neuron]
        cost = wiring_cost(wiring, {name: tensor.numpy() for name, tensor in alone.items()})
        assert costs[neuron, place].item() == pytest.approx(cost, rel=1e-12)


# Properties of every method


@pytest.mark.parametrize("method", MOVING)
def test_relocation_lowers_the_cost(method):
    wiring, flat = random_network((4, 20, 20, 2), networks=8)
    assert (cost_of(wiring, apply_relocation(wiring, flat, method)) < 0.95 * cost_of(wiring, flat)).all()


@pytest.mark.parametrize(("method", "folds"), [*product(MOVING, (1, 2))])
def test_outputs_stay_the_same_at_every_width(method, folds):
    for n in range(1, 21, 3):
        network = MLP((n, 21 - n, n, 21 - n), folds=folds, vocabulary=7 if folds > 1 else 0)
        population, inputs = random_population(network)
        moved = population
        for _ in range(2):  # the second time with labels that have moved already
            moved = moved.rearrange(relocate(network.wiring, moved.flat, method))
        torch.testing.assert_close(moved.predict(inputs), population.predict(inputs), rtol=1e-10, atol=1e-10)
        if n == 10:
            assert not torch.equal(moved.input_labels, torch.arange(n).repeat(3, 1))
            assert not torch.equal(moved.output_labels, torch.arange(21 - n).repeat(3, 1))


@pytest.mark.parametrize("method", MOVING)
def test_an_optimal_network_stays_unchanged(method):
    wiring, flat = random_network((3, 12, 4))
    free = only(wiring, "hidden1")
    best = apply_relocation(free, flat, "assignment")
    assert torch.equal(apply_relocation(free, best, method, top_k=12), best)


@pytest.mark.parametrize("method", MOVING)
def test_networks_are_relocated_independently(method):
    wiring, flat = random_network((4, 20, 20, 2), networks=4)
    together = apply_relocation(wiring, flat, method)
    for network in range(4):
        assert torch.equal(apply_relocation(wiring, flat[[network]], method)[0], together[network])


@pytest.mark.parametrize("method", MOVING)
def test_a_network_that_is_not_finite_stays_unchanged(method):
    wiring, flat = random_network((4, 12, 10, 2), networks=3)
    expected = relocate(wiring, flat, method)
    for value in (torch.nan, torch.inf, -torch.inf):
        flat[1, 100] = value
        for name, places in relocate(wiring, flat, method).items():
            assert places[1].tolist() == list(range(len(wiring[name])))
            assert torch.equal(places[[0, 2]], expected[name][[0, 2]])


@pytest.mark.parametrize("method", MOVING)
def test_fixed_sets_stay(method):
    wiring, flat = random_network((4, 6, 3))
    assert list(relocate(only(wiring, "hidden1"), flat, method)) == ["hidden1"]


def test_greedy_moves_the_strongest_neurons_only():
    wiring, flat = random_network((3, 12, 4))
    free = only(wiring, "hidden1")
    places = relocate(free, flat, "greedy", top_k=1)["hidden1"][0]
    tensors = {name: tensor.numpy() for name, tensor in wiring.tensors(flat[0]).items()}
    strongest = max(range(12), key=lambda neuron: strength(wiring, tensors, "hidden1", neuron))
    moved = [place for place in range(12) if places[place] != place]
    assert len(moved) == 2
    assert strongest in moved


def test_biases_and_embeddings_do_not_matter():
    wiring, flat = random_network((4, 6, 3), folds=2)
    other = wiring.flatten({n: t if n.startswith("weight") else t * 100 for n, t in wiring.tensors(flat).items()})
    for method in MOVING:
        first, second = relocate(wiring, flat, method), relocate(wiring, other, method)
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_none_moves_nothing():
    wiring, flat = random_network((4, 6, 3))
    assert relocate(wiring, flat, "none") == {}
    population = Population(MLP((4, 6, 3)), flat, torch.arange(4).unsqueeze(0), torch.arange(3).unsqueeze(0))
    assert population.rearrange({}) is population


def test_an_unknown_method_is_refused():
    wiring, flat = random_network((2, 2))
    assert list(METHODS) == [*MOVING, "none"]
    with pytest.raises(ValueError, match="relocation must be one of assignment, exchange, greedy, none, got 'best'"):
        relocate(wiring, flat, "best")


# All architectures


class Residual(nn.Module):
    """A stream that two layers read and write, and a layer that skips it."""

    def __init__(self, inputs, width, hidden, outputs):
        super().__init__()
        self.embed, self.read = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.skip = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x):
        stream = self.embed(x)
        stream = stream + self.down(torch.tanh(self.up(stream)))
        return self.read(torch.relu(stream)) + self.skip(x)


def residual(inputs, width, hidden, outputs):
    sets = {"input": inputs, "stream": width, "hidden": hidden, "output": outputs}
    wires = (
        *linear_wires("embed", "input", "stream"),
        *linear_wires("up", "stream", "hidden"),
        *linear_wires("down", "hidden", "stream"),
        Wire("skip.weight", (Axis("output"), Axis("input"))),
        *linear_wires("read", "stream", "output"),
    )
    neurons = tuple(Neurons(name, line(n)) for name, n in sets.items())
    return ModuleNetwork(lambda: Residual(*sets.values()), Wiring(neurons, wires))


FEW = st.integers(1, 6)
GRID = st.tuples(st.integers(1, 3), st.integers(1, 3))
ARCHITECTURES = {
    "line": st.builds(lambda *shape: MLP(shape), FEW, FEW, FEW, FEW),
    "grid": st.builds(lambda *shape: MLP(shape, "mean"), GRID, GRID, GRID),
    "ring": st.builds(lambda *shape: MLP(shape, ring_outputs=True, fixed_inputs=True), GRID, GRID, FEW),
    "embedding": st.builds(lambda n, folds, *rest: MLP((n, *rest), "mean", folds, 5), FEW, st.integers(1, 3), FEW, FEW),
    "transformer": st.builds(lambda i, o, w, h: Transformer(i, o, w, 2, 1, h), FEW, FEW, FEW, FEW),
    "heads": st.builds(lambda i, o, w, h: Transformer(i, o, 4 * w, 1, 4, h), FEW, FEW, st.integers(1, 3), FEW),
    "rnn": st.builds(RNN, FEW, GRID, FEW, st.sampled_from(["sum", "mean"])),
    "module": st.builds(residual, FEW, FEW, FEW, FEW),
}


def draw_network(which, data, **options):
    """Draws a network, its wiring with any distance, and parameters of two networks."""
    network = data.draw(ARCHITECTURES[which])
    distance = data.draw(st.sampled_from(["manhattan", "euclidean"]))
    power = data.draw(st.sampled_from([0.5, 1.0, 2.0]))
    wiring = replace(network.wiring, distance=distance, distance_power=power, **options)
    random = torch.Generator().manual_seed(data.draw(SEEDS))
    return network, wiring, torch.randn(2, wiring.n_parameters, dtype=torch.float64, generator=random)


def random_population(network, flat=None):
    """A population of random parameters, and inputs for it."""
    population = initialise(network, [0, 1, 2] if flat is None else range(len(flat)), dtype=torch.float64)
    population = replace(population, flat=torch.randn_like(population.flat) if flat is None else flat)
    inputs = torch.randn(4, len(network.wiring.inputs), dtype=torch.float64)
    if network.takes_tokens:
        inputs = torch.randint(network.vocabulary, (11, network.folds))
    elif isinstance(network, RNN | Transformer):
        inputs = torch.randn(4, 5, network.inputs, dtype=torch.float64)
    return population, inputs


@pytest.mark.parametrize("which", ARCHITECTURES)
@pytest.mark.parametrize("method", MOVING)
@settings(max_examples=5)
@given(data=st.data(), rounds=st.integers(1, 3))
def test_outputs_stay_the_same_and_the_cost_never_rises(which, method, data, rounds):
    network, wiring, flat = draw_network(which, data)
    population, inputs = random_population(network, flat)
    order = relocate(wiring, flat, method, rounds=rounds)
    assert list(order) == [neurons.name for neurons in wiring.neurons if neurons.movable]
    moved = population.rearrange(order)
    moved = moved.rearrange(relocate(wiring, moved.flat, method, rounds=rounds))  # with labels that have moved
    torch.testing.assert_close(moved.predict(inputs), population.predict(inputs), rtol=1e-10, atol=1e-10)
    assert (cost_of(wiring, moved.flat) <= cost_of(wiring, flat) * (1 + 1e-12)).all()


@pytest.mark.parametrize("which", ARCHITECTURES)
@settings(max_examples=5)
@given(data=st.data(), top_k=st.integers(1, 25))
def test_greedy_equals_the_naive_search_for_all_architectures_with_ties(which, data, top_k):
    _, wiring, flat = draw_network(which, data, reduction="sum")
    random = torch.Generator().manual_seed(data.draw(SEEDS))
    integers = tuple(
        replace(n, positions=torch.randint(9, n.positions.shape, generator=random).double()) for n in wiring.neurons
    )
    wiring = replace(
        wiring, neurons=integers, distance="manhattan", distance_power=data.draw(st.sampled_from([1.0, 2.0]))
    )
    flat = flat.round()
    expected = torch.stack([naive_greedy(wiring, one, top_k)[0] for one in flat])
    assert torch.equal(apply_relocation(wiring, flat, "greedy", top_k), expected)


@pytest.mark.parametrize("which", ARCHITECTURES)
@settings(max_examples=5)
@given(data=st.data())
def test_greedy_equals_the_naive_search_for_all_architectures_without_ties(which, data):
    _, wiring, flat = draw_network(which, data)
    random = torch.Generator().manual_seed(data.draw(SEEDS))  # at regular positions many distances are equal
    scattered = tuple(
        replace(n, positions=torch.rand(n.positions.shape, generator=random).double()) for n in wiring.neurons
    )
    wiring = replace(wiring, neurons=scattered)
    expected, costs = naive_greedy(wiring, flat[0], top_k=25)
    moved = apply_relocation(wiring, flat[:1], "greedy", top_k=25)
    assert torch.equal(moved[0], expected)
    assert cost_of(wiring, moved).item() == pytest.approx(costs[-1], rel=1e-12)


@pytest.mark.parametrize("which", ARCHITECTURES)
@pytest.mark.parametrize("method", ["assignment", "exchange"])
@settings(max_examples=6)
@given(data=st.data())
def test_no_exchange_within_one_set_lowers_the_cost_afterwards(which, method, data):
    _, wiring, flat = draw_network(which, data)
    free = only(wiring, data.draw(st.sampled_from(wiring.neurons)).name)
    moved = apply_relocation(free, flat, method)
    for one, cost in zip(moved, cost_of(wiring, moved).tolist(), strict=True):
        assert cheapest_exchange(free, one) >= cost * (1 - 1e-8)


@pytest.mark.parametrize("which", ARCHITECTURES)
@pytest.mark.parametrize("method", ["assignment", "exchange"])
@settings(max_examples=3)
@given(data=st.data())
def test_no_exchange_lowers_the_cost_after_enough_rounds(which, method, data):
    _, wiring, flat = draw_network(which, data)
    moved = apply_relocation(wiring, flat, method, rounds=10**9)
    assert torch.equal(apply_relocation(wiring, moved, method), moved)
    for one, cost in zip(moved, cost_of(wiring, moved).tolist(), strict=True):
        assert cheapest_exchange(wiring, one) >= cost * (1 - 1e-8)


@pytest.mark.parametrize("which", ARCHITECTURES)
@pytest.mark.parametrize("method", MOVING)
@settings(max_examples=3)
@given(data=st.data())
def test_rounds_equal_repeated_relocations(which, method, data):
    _, wiring, flat = draw_network(which, data)
    moved = flat
    for rounds in range(1, 4):
        before, moved = cost_of(wiring, moved), apply_relocation(wiring, moved, method)
        assert torch.equal(apply_relocation(wiring, flat, method, rounds=rounds), moved)
        assert (cost_of(wiring, moved) <= before * (1 + 1e-12)).all()


@pytest.mark.parametrize("method", ["assignment", "exchange"])
@pytest.mark.parametrize("network", [MLP((2, 3, 2)), RNN(2, (2, 2), 2), Transformer(2, 2, 8, 1, 2, 8)])
def test_relocation_ends_in_float32_and_with_ties(method, network):
    wiring = network.wiring
    random = torch.Generator().manual_seed(0)
    real = torch.randn(50, wiring.n_parameters, generator=random)
    tenths = torch.randint(-3, 4, real.shape, generator=random) / 10
    for flat in (real, tenths, 1e-30 * real, 1e30 * real):
        moved = apply_relocation(wiring, flat, method, rounds=10**9)
        assert (cost_of(wiring, moved.double()) <= cost_of(wiring, flat.double()) * (1 + 1e-12)).all()


@pytest.mark.parametrize("method", ["assignment", "exchange"])
def test_nothing_moves_without_a_gain(method):
    wiring, flat = random_network((4, 8, 3))
    flat = wiring.flatten({name: t.where(t.abs() > 1.5, 0.0) for name, t in wiring.tensors(flat).items()})
    best = apply_relocation(wiring, flat, method, rounds=10**9)
    assert torch.equal(apply_relocation(wiring, best, method), best)
    nothing = relocate(wiring, torch.zeros_like(flat), method)
    assert all(torch.equal(order[0], torch.arange(order.shape[1])) for order in nothing.values())


# Recurrent sets


@settings(max_examples=20)
@given(hidden=GRID, inputs=FEW, outputs=FEW, seed=SEEDS, reduction=st.sampled_from(["sum", "mean"]))
def test_a_recurrent_set_is_assigned_if_that_is_better_and_then_exchanged(hidden, inputs, outputs, seed, reduction):
    wiring = RNN(inputs, hidden, outputs, reduction).wiring
    free = only(wiring, "hidden")
    flat = torch.randn(1, wiring.n_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    magnitude = {wire.tensor: wiring.tensors(flat.abs())[wire.tensor] for wire in wiring.weights}
    neuron, place = linear_sum_assignment(place_costs(wiring, magnitude, wiring["hidden"])[0].numpy())
    order = {"hidden": torch.from_numpy(neuron[place.argsort()]).unsqueeze(0)}
    assigned = flat.gather(1, parameter_order(wiring, order))
    begin = assigned if cost_of(wiring, assigned) < cost_of(wiring, flat) * (1 - 1e-9) else flat
    expected = apply_relocation(free, begin, "exchange")
    assert torch.equal(apply_relocation(free, flat, "assignment"), expected)


def test_place_costs_of_a_recurrent_set_have_all_other_neurons_fixed():
    wiring = RNN(2, (2, 3), 2, "sum").wiring
    flat = torch.randn(1, wiring.n_parameters, dtype=torch.float64)
    magnitude = {wire.tensor: wiring.tensors(flat.abs())[wire.tensor] for wire in wiring.weights}
    costs = place_costs(wiring, magnitude, wiring["hidden"])[0]
    into, recurrent, out = (magnitude[name][0].numpy() for name in ("in.weight", "recurrent", "out.weight"))
    at = {n.name: n.positions.numpy() for n in wiring.neurons}
    for neuron, place in product(range(6), range(6)):
        distance = {name: np.abs(positions - at["hidden"][place]).sum(1) for name, positions in at.items()}
        expected = into[neuron] @ distance["input"] + out[:, neuron] @ distance["output"]
        others = [i for i in range(6) if i != neuron]
        expected += (recurrent[neuron, others] + recurrent[others, neuron]) @ distance["hidden"][others]
        assert costs[neuron, place].item() == pytest.approx(expected, rel=1e-12)


# Blocks


@pytest.mark.parametrize("method", MOVING)
@settings(max_examples=12)
@given(heads=st.integers(1, 4), size=st.integers(1, 4), inputs=FEW, outputs=FEW, seed=SEEDS)
def test_neurons_stay_in_their_head(method, heads, size, inputs, outputs, seed):
    wiring = Transformer(inputs, outputs, heads * size, 2, heads, 6).wiring
    flat = torch.randn(3, wiring.n_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    order = relocate(wiring, flat, method, rounds=2)
    for name in ("heads1", "heads2"):
        head_of = (order[name] // size).unflatten(1, (heads, size))
        assert (head_of == head_of[:, :, :1]).all()
        assert head_of[:, :, 0].sort(1).values.tolist() == [list(range(heads))] * 3


def test_neurons_move_within_heads_and_heads_move():
    wiring = Transformer(2, 2, 12, 1, 3, 6).wiring
    flat = torch.randn(20, wiring.n_parameters, dtype=torch.float64)
    for method in MOVING:
        order = relocate(wiring, flat, method)["heads1"].unflatten(1, (3, 4))
        assert (order[:, :, 0] // 4 != torch.arange(3)).any()
        assert (order % 4 != torch.arange(4)).any()


@pytest.mark.parametrize(("heads", "size"), [(2, 2), (3, 2), (2, 3), (1, 4), (4, 1), (3, 1)])
def test_assignment_is_optimal_for_heads(heads, size):
    wiring = Transformer(2, 3, heads * size, 1, heads, 4).wiring
    orders = [
        [head * size + i for head, neurons in zip(blocks, within, strict=True) for i in neurons]
        for blocks in permutations(range(heads))
        for within in product(permutations(range(size)), repeat=heads)
    ]
    for _ in range(3):
        flat = torch.randn(1, wiring.n_parameters, dtype=torch.float64)
        moved = apply_relocation(only(wiring, "heads1"), flat, "assignment")
        best = best_of_all_orders(wiring, flat, "heads1", orders)
        assert cost_of(wiring, moved).item() == pytest.approx(best, rel=1e-12)


# Distances


@pytest.mark.parametrize("distance", ["manhattan", "euclidean"])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("network", [MLP(((2, 3), (1, 5), (3, 2))), MLP((6, 5, 4))])
def test_assignment_is_optimal_for_every_distance(distance, power, network):
    wiring = replace(network.wiring, distance=distance, distance_power=power)
    flat = torch.randn(1, wiring.n_parameters, dtype=torch.float64)
    best = best_of_all_orders(wiring, flat, "hidden1", permutations(range(5)))
    assert cost_of(wiring, apply_relocation(only(wiring, "hidden1"), flat, "assignment")).item() == pytest.approx(best)


def test_other_distances_give_other_orders():
    plain = only(MLP(((4, 4), (4, 4), (2, 4))).wiring, "hidden1")
    flat = torch.randn(4, plain.n_parameters, dtype=torch.float64)
    kinds = [("manhattan", 1.0), ("euclidean", 1.0), ("manhattan", 2.0)]
    wirings = [replace(plain, distance=distance, distance_power=power) for distance, power in kinds]
    moved = [apply_relocation(wiring, flat, "assignment") for wiring in wirings]
    for wiring, own in zip(wirings, moved, strict=True):
        costs = [cost_of(wiring, other).mean() for other in moved]
        assert cost_of(wiring, own).mean() == min(costs)
        assert len({cost.item() for cost in costs}) == 3


# After training


@pytest.mark.parametrize("which", ARCHITECTURES)
@settings(max_examples=3)
@given(data=st.data(), method=st.sampled_from(MOVING))
def test_relocation_after_training(which, data, method):
    network, _, flat = draw_network(which, data)
    wiring = network.wiring
    population, inputs = random_population(network, flat)
    moved = population.relocate(method)
    torch.testing.assert_close(moved.predict(inputs), population.predict(inputs), rtol=1e-10, atol=1e-10)
    assert (cost_of(wiring, moved.flat) <= cost_of(wiring, flat) * (1 + 1e-12)).all()
    assert torch.equal(population.flat, flat)
    if method != "greedy":
        assert torch.equal(moved.relocate(method).flat, moved.flat)
        for one, cost in zip(moved.flat, cost_of(wiring, moved.flat).tolist(), strict=True):
            assert cheapest_exchange(wiring, one) >= cost * (1 - 1e-8)


def test_relocation_after_training_defaults_to_assignment_with_limited_rounds():
    population, _ = random_population(MLP((6, 9, 9, 4)))
    assert torch.equal(population.relocate().flat, population.relocate("assignment").flat)
    once = population.relocate(rounds=1)
    assert torch.equal(once.flat, apply_relocation(population.network.wiring, population.flat, "assignment"))
    assert not torch.equal(once.flat, population.relocate().flat)
    assert population.relocate("none") is population
