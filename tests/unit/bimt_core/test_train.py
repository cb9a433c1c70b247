import importlib
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from support.published import check_trace
from torch import nn

from bimt_core.cost import ConnectionCost, connection_cost
from bimt_core.hyperparameters import PerNetworkHyperparameters, SharedHyperparameters
from bimt_core.population import initialise
from bimt_core.relocate import relocate
from bimt_core.tasks import load_task
from bimt_core.train import Moments, Snapshot, start, train
from bimt_core.wiring import parameter_order

train_module = importlib.import_module("bimt_core.train")  # the package has a function of this name

THREE = (
    PerNetworkHyperparameters(),
    PerNetworkHyperparameters(1e-2, 2.0, 0.3, 1e-2),
    PerNetworkHyperparameters(0.0, 0.0, 0.0, 5e-4),
)


def in_float64(name):
    """A task in a precision that distinguishes errors from rounding."""
    t = load_task(name)
    return t if t.network.takes_tokens else t.cast(torch.float64)


def run(t, per_network, shared, snapshot_at, seeds=None, begin=None):
    """Snapshots by step, from the start or from an earlier snapshot."""
    begin = begin or start(initialise(t.network, seeds or range(len(per_network)), dtype=t.dtype))
    return {snapshot.step: snapshot for snapshot in train(begin, t, per_network, shared, snapshot_at)}


def same(one, other):
    """True if two snapshots are bitwise equal."""
    pairs = [
        (one.population.flat, other.population.flat),
        (one.population.input_labels, other.population.input_labels),
        (one.population.output_labels, other.population.output_labels),
        (one.moments.first, other.moments.first),
        (one.moments.second, other.moments.second),
    ]
    return one.step == other.step and all(torch.equal(a, b) for a, b in pairs)


# The published code


FORMULAS = ("independence", "feature_sharing", "compositionality")


@pytest.mark.parametrize(
    ("name", "last"),
    [*((name, 1000) for name in (*FORMULAS, "two_moons")), ("permutation_s4", 400), ("modular_addition", 50)],
)
def test_training_follows_the_published_code(name, last, reference):
    check_trace(name, last, reference)


# A plain loop


def plain_run(t, per_network, shared, seed):
    """Trains one network of torch modules with AdamW; yields its parameters after each step."""
    torch.manual_seed(seed)
    layers = [nn.Linear(a, b, dtype=torch.float64) for a, b in pairwise(t.network.shape)]
    parameters = [p for layer in layers for p in layer.parameters()]
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    for step in range(shared.steps):
        fraction = step / shared.steps
        cost_weight = per_network.cost_weight * (1 if fraction < 0.25 else 10 if fraction < 0.75 else 2)
        values, cost = t.inputs, 0.0
        for number, layer in enumerate(layers):
            n_out, n_in = layer.weight.shape
            out, into = ((2 * torch.arange(n, dtype=torch.float64) + 1) / (2 * n) for n in (n_out, n_in))
            local = shared.local_last or number < len(layers) - 1
            distance = (out.unsqueeze(1) - into).abs() * (per_network.weight_factor if local else 0.0)
            cost = cost + (layer.weight.abs() * (distance + per_network.layer_distance)).sum()
            if fraction >= 0.5:
                cost = cost + (layer.bias.abs() * per_network.layer_distance).sum()
            values = layer(values)
            if number < len(layers) - 1:
                values = nn.functional.silu(values)
        if t.loss_name == "mse":
            loss = nn.functional.mse_loss(values, t.targets)
        else:
            loss = nn.functional.cross_entropy(values, t.targets)
        gradients = torch.autograd.grad(loss + cost_weight * cost, parameters)
        for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
            m.copy_(0.9 * m + 0.1 * g)
            v.copy_(0.999 * v + 0.001 * g**2)
            denominator = (v / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            p.data -= per_network.learning_rate * m / (1 - 0.9 ** (step + 1)) / denominator
        yield torch.cat([p.detach().flatten() for p in parameters])


@pytest.mark.parametrize("name", ["independence", "two_moons"])
@pytest.mark.parametrize("local_last", [True, False])
def test_training_equals_a_plain_loop(name, local_last):
    t = in_float64(name)
    shared = SharedHyperparameters(
        40, cost_phases=((0.0, 1.0), (0.25, 10.0), (0.75, 2.0)), bias_from=0.5, relocation="none", local_last=local_last
    )
    begin = start(initialise(t.network, [5, 6, 7], dtype=torch.float64))
    snapshots = run(t, THREE, shared, range(41), begin=begin)
    for network, (per_network, seed) in enumerate(zip(THREE, (5, 6, 7), strict=True)):
        for step, expected in enumerate(plain_run(t, per_network, shared, seed), start=1):
            torch.testing.assert_close(snapshots[step].population.flat[network], expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["independence", "permutation_s4"])
@pytest.mark.parametrize("method", ["greedy", "assignment"])
@pytest.mark.parametrize("move_moments", [True, False])
def test_relocation_moves_weights_and_moments(name, method, move_moments):
    t, per_network = load_task(name), (load_task(name).per_network,) * 3
    shared = SharedHyperparameters(10, relocation=method, relocate_every=10, move_moments=move_moments)
    still = run(t, per_network, replace(shared, relocation="none"), {10})[10]
    moved = run(t, per_network, shared, {10})[10]
    wiring = t.network.wiring
    order = relocate(wiring, still.population.flat, method)
    index = moments_index = parameter_order(wiring, order)
    if not move_moments:  # except for those of an embedding
        moments_index = torch.arange(wiring.n_parameters).repeat(3, 1)
        if t.network.vocabulary:
            moments_index[:, -wiring.sizes[-1] :] = index[:, -wiring.sizes[-1] :]
    expected = Snapshot(
        10,
        still.population.rearrange(order),
        Moments(still.moments.first.gather(1, moments_index), still.moments.second.gather(1, moments_index)),
    )
    assert not torch.equal(still.population.flat, moved.population.flat)
    assert same(moved, expected)
    outputs = [snapshot.population.predict(t.test_inputs) for snapshot in (still, moved)]
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["greedy", "assignment"])
def test_inputs_and_targets_follow_relocation(method):
    """If moments move and distance costs nothing, relocation changes the places only."""
    t = in_float64("independence")
    per_network = [replace(t.per_network, weight_factor=0.0)] * 2
    shared = SharedHyperparameters(60, relocation=method, relocate_every=20)
    still = run(t, per_network, replace(shared, relocation="none"), {60})[60].population
    moved = run(t, per_network, shared, {60})[60].population
    assert not torch.equal(moved.input_labels, still.input_labels)
    torch.testing.assert_close(moved.predict(t.test_inputs), still.predict(t.test_inputs), rtol=1e-8, atol=1e-8)


def test_relocation_happens_every_s_steps():
    t = load_task("two_moons")
    shared = SharedHyperparameters(40, relocation="assignment", relocate_every=15)
    still = run(t, [t.per_network], replace(shared, relocation="none"), range(41))
    moved = run(t, [t.per_network], shared, range(41))
    assert [step for step in range(1, 41) if same(still[step], moved[step])] == list(range(1, 15))


# Populations


@pytest.mark.parametrize("name", ["independence", "two_moons", "permutation_s4"])
def test_a_population_of_n_equals_n_populations_of_one(name):
    """Equal within rounding: vectorised arithmetic depends on the address of a network in memory."""
    t = in_float64(name)
    per_network = [
        replace(t.per_network, cost_weight=t.per_network.cost_weight * (1 + i), learning_rate=1e-3 * (1 + i))
        for i in range(4)
    ]
    shared = replace(t.shared, steps=40, relocation="assignment", relocate_every=15, move_moments=True)
    together = run(t, per_network, shared, {1, 40}, seeds=[3, 1, 4, 1])
    for network, seed in enumerate([3, 1, 4, 1]):
        alone = run(t, [per_network[network]], shared, {1, 40}, seeds=[seed])
        for step in (1, 40):
            expected = together[step].select([network])
            torch.testing.assert_close(alone[step].population.flat, expected.population.flat, rtol=1e-9, atol=1e-10)
            assert torch.equal(alone[step].population.input_labels, expected.population.input_labels)
            assert torch.equal(alone[step].population.output_labels, expected.population.output_labels)


@pytest.mark.parametrize("method", ["greedy", "assignment"])
@pytest.mark.parametrize("name", ["independence", "permutation_s4"])
def test_the_same_seed_gives_the_same_bits(name, method):
    t = load_task(name)
    shared = replace(t.shared, steps=40, relocation=method, relocate_every=15)
    first, second = (run(t, [t.per_network] * 3, shared, {40}, seeds=[1, 2, 3])[40] for _ in range(2))
    assert same(first, second)
    assert not torch.equal(first.population.flat[0], first.population.flat[1])


@pytest.mark.parametrize("method", ["greedy", "assignment"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_network_that_diverges_does_not_change_the_others(method, at_once):
    t = load_task("independence")
    shared = SharedHyperparameters(100, relocation=method, relocate_every=10)
    begin = start(initialise(t.network, range(4), dtype=t.dtype))
    healthy = run(t, [t.per_network] * 4, shared, {100}, begin=begin)[100]
    per_network = [t.per_network] * 4
    if at_once:
        flat = begin.population.flat.clone()
        flat[1, 7] = torch.nan
        begin = replace(begin, population=replace(begin.population, flat=flat))
    else:
        per_network[1] = replace(t.per_network, learning_rate=1e30)
    broken = run(t, per_network, shared, {100}, begin=begin)[100]
    assert not broken.population.flat[1].isfinite().all()
    assert same(broken.select([0, 2, 3]), healthy.select([0, 2, 3]))


# Snapshots


@pytest.mark.parametrize("name", ["independence", "permutation_s4"])
def test_a_resumed_training_gives_the_same_bits(name):
    t, at = load_task(name), (1, 14, 15, 16, 22, 29)
    shared = SharedHyperparameters(30, cost_phases=((0.0, 1.0), (0.5, 10.0)), bias_from=0.75, relocate_every=8)
    straight = run(t, [t.per_network] * 2, shared, {*at, 30})
    for step in at:
        resumed = run(t, [t.per_network] * 2, shared, {30}, begin=straight[step])
        assert same(resumed[30], straight[30])


def test_snapshots_are_never_changed_afterwards():
    t = load_task("two_moons")
    shared = SharedHyperparameters(30, relocate_every=10)
    begin = start(initialise(t.network, [0, 1]))
    kept, copies = [begin], [begin.select([0, 1])]
    for snapshot in train(begin, t, [t.per_network] * 2, shared, range(31)):
        kept.append(snapshot)
        copies.append(snapshot.select([0, 1]))
    assert len(kept) == 31
    assert all(same(a, b) for a, b in zip(kept, copies, strict=True))


def test_changing_a_snapshot_does_not_change_training():
    t = load_task("two_moons")
    shared = SharedHyperparameters(30, relocate_every=10)
    expected = run(t, [t.per_network] * 2, shared, {30})[30]
    for snapshot in train(start(initialise(t.network, [0, 1])), t, [t.per_network] * 2, shared, range(31)):
        if snapshot.step < 30:
            snapshot.population.flat.zero_()
            snapshot.moments.first.zero_()
            snapshot.moments.second.zero_()
    assert same(snapshot, expected)


def test_snapshots_are_in_order_and_only_where_requested():
    t = load_task("two_moons")
    snapshots = train(
        start(initialise(t.network, [0])), t, [t.per_network], SharedHyperparameters(10), (7, 3, 10, 11, 0)
    )
    assert [snapshot.step for snapshot in snapshots] == [3, 7, 10]


def test_a_finished_training_yields_nothing():
    t = load_task("two_moons")
    last = run(t, [t.per_network], SharedHyperparameters(5), {5})[5]
    assert list(train(last, t, [t.per_network], SharedHyperparameters(5), {5})) == []


@pytest.mark.parametrize("n", [0, 1, 3])
def test_per_network_hyperparameters_must_be_one_per_network(n):
    t = load_task("two_moons")
    with pytest.raises(ValueError, match=f"per_network must have one entry per network: 2 networks, got {n}"):
        next(train(start(initialise(t.network, [0, 1])), t, [t.per_network] * n, SharedHyperparameters(5), {5}))


# Options


def test_training_in_parts_gives_the_same_networks(monkeypatch):
    t = load_task("two_moons")
    shared = SharedHyperparameters(60, relocate_every=20)
    together = run(t, [t.per_network] * 5, shared, {60})[60]
    monkeypatch.setattr(train_module, "CACHE_BYTES", 2 * 4 * t.network.activation_values(200))
    in_parts = run(t, [t.per_network] * 5, shared, {30, 60})  # parts of 2 + 2 + 1 networks, the last padded
    assert len(in_parts[30].population) == 5
    torch.testing.assert_close(in_parts[60].population.flat, together.population.flat, rtol=1e-4, atol=1e-5)
    assert torch.equal(in_parts[60].population.output_labels, together.population.output_labels)


def test_a_resumed_training_has_the_same_batches():
    t = load_task("two_moons")
    shared = SharedHyperparameters(40, batch_size=30, relocate_every=10)
    straight = run(t, [t.per_network] * 2, shared, {1, 13, 20, 40})
    for at in (1, 13, 20):
        assert same(run(t, [t.per_network] * 2, shared, {40}, begin=straight[at])[40], straight[40])
    assert not same(run(t, [t.per_network] * 2, replace(shared, batch_size=0), {40})[40], straight[40])


def test_a_batch_larger_than_the_data_is_refused():
    t = load_task("two_moons")
    with pytest.raises(ValueError, match="batch_size must be at most the number of rows 200, got 201"):
        run(t, [t.per_network], SharedHyperparameters(5, batch_size=201), {5})


def test_proximal_training_gives_exact_zeros():
    t = load_task("two_moons")
    per_network, zeros = [replace(t.per_network, cost_weight=3e-2)] * 2, {}
    for penalty_step in ("proximal", "subgradient"):
        shared = SharedHyperparameters(200, penalty_step=penalty_step)
        population = run(t, per_network, shared, {200})[200].population
        zeros[penalty_step] = (population.flat == 0).float().mean().item()
    assert zeros["proximal"] > 0.3
    assert zeros["subgradient"] == 0


def test_weak_neurons_are_pruned_at_relocations_and_stay_removed():
    t = load_task("two_moons")
    shared = SharedHyperparameters(400, relocate_every=100, prune_below=0.3)
    snapshots = run(t, [replace(t.per_network, cost_weight=1e-2)] * 2, shared, {200, 400})
    removed = {
        step: (snapshot.population.tensors["weight1"] == 0).all(2).sum(1) for step, snapshot in snapshots.items()
    }
    assert (removed[200] > 0).any()
    assert (removed[400] >= removed[200]).all()


@pytest.mark.parametrize("changes", [{"distance": "euclidean"}, {"distance_power": 2.0}, {"reduction": "mean"}])
def test_the_penalty_has_the_shared_distance_and_reduction(changes):
    t = in_float64("independence")
    shared = SharedHyperparameters(1, relocation="none", **changes)
    population = initialise(t.network, [0], dtype=torch.float64)
    wiring = replace(t.network.wiring, **changes)
    flat = population.flat.clone().requires_grad_()
    unit = ConnectionCost.from_wiring(wiring).coefficients(
        *(torch.tensor([v], dtype=torch.float64) for v in (t.per_network.weight_factor, t.per_network.layer_distance))
    )
    outputs = t.network.forward(t.network.wiring.tensors(flat), population.place_inputs(t.inputs))
    loss = t.loss(outputs, t.targets) + 100 * t.per_network.cost_weight * connection_cost(flat, unit)
    (gradient,) = torch.autograd.grad(loss.sum(), flat)
    per_network = replace(t.per_network, cost_weight=100 * t.per_network.cost_weight)
    (after,) = train(start(population), t, [per_network], shared, {1})
    torch.testing.assert_close(after.moments.first, 0.1 * gradient, rtol=1e-9, atol=1e-12)


def test_relocation_has_the_shared_distance():
    t = load_task("independence")
    orders = []
    for power in (1.0, 8.0):
        shared = SharedHyperparameters(10, relocate_every=10, distance_power=power)
        orders.append(run(t, [t.per_network] * 4, shared, {10})[10].population)
    assert not torch.equal(orders[0].input_labels, orders[1].input_labels)
