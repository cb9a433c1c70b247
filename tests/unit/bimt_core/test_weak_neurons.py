from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bimt_core.geometry import line
from bimt_core.hyperparameters import PerNetworkHyperparameters, SharedHyperparameters
from bimt_core.networks import MLP, RNN, Transformer
from bimt_core.population import initialise
from bimt_core.tasks import Task
from bimt_core.train import start, train
from bimt_core.weak_neurons import find_weak_neurons
from bimt_core.wiring import Axis, Neurons, Wire, Wiring, linear_wires, parameter_mask

NETWORKS = {
    "mlp": MLP((3, 8, 7, 2)),
    "no hidden neurons": MLP((3, 2)),
    "embedding": MLP((3, 8, 2), folds=2, vocabulary=5),
    "image": MLP(((2, 3), (3, 3), 4), ring_outputs=True, fixed_inputs=True),
    "transformer": Transformer(2, 2, width=8, blocks=2, heads=1, hidden_width=6),
    "heads": Transformer(2, 2, width=8, blocks=1, heads=4, hidden_width=6),
    "rnn": RNN(2, (2, 4), 3),
}
SEVERAL = [name for name in NETWORKS if name != "no hidden neurons"]


def mixed():
    """A wiring with an embedded hidden set and a recurrent one."""
    neurons = tuple(Neurons(name, line(n)) for name, n in (("in", 3), ("a", 4), ("b", 5), ("out", 2)))
    recurrent = Wire("bb", (Axis("b"), Axis("b", 2)))
    wires = (
        *linear_wires("ia", "in", "a"),
        recurrent,
        *linear_wires("ab", "a", "b", source_folds=3),
        *linear_wires("bo", "b", "out"),
    )
    return Wiring(neurons, (*wires, Wire("places", (6, Axis("a")))))


def naive_weak(wiring, flat, below):
    """Weak neurons of one network, computed a parameter at a time."""
    incoming = {n.name: [0.0] * len(n) for n in wiring.neurons}
    outgoing = {n.name: [0.0] * len(n) for n in wiring.neurons}
    tensors = wiring.tensors(flat)
    for wire in wiring.wires:
        for index in np.ndindex(*wiring.shape(wire)):
            size = abs(tensors[wire.tensor][index].item())
            ends = [(axis, at) for axis, at in zip(wire.axes, index, strict=True) if isinstance(axis, Axis)]
            for number, (axis, at) in enumerate(ends):
                sums, neuron = (incoming, outgoing)[number], at % len(wiring[axis.neurons])
                sums[axis.neurons][neuron] += size
                if number == 0 and axis.folds > 1:
                    outgoing[axis.neurons][neuron] = float("inf")
    weak = {name: [min(a, b) < below for a, b in zip(incoming[name], outgoing[name], strict=True)] for name in incoming}
    for neurons in (wiring.inputs, wiring.outputs):
        weak[neurons.name] = [False] * len(neurons)
    return weak


def prune(wiring, flat, below):
    return flat.masked_fill(parameter_mask(wiring, find_weak_neurons(wiring, flat, below)), 0.0)


def weaken(wiring, flat, name, neuron, *, incoming, factor=1e-9):
    """Makes the incoming or the outgoing parameters of a neuron small."""
    tensors = {key: tensor.clone() for key, tensor in wiring.tensors(flat).items()}
    for wire in wiring.wires:
        for dimension, axis in enumerate(wire.axes):
            if isinstance(axis, Axis) and axis.neurons == name and incoming != (wire.is_weight and dimension == 1):
                tensor = tensors[wire.tensor].movedim(dimension + 1, 1)
                tensor[:, neuron :: len(wiring[name])] *= factor
    return wiring.flatten(tensors)


def some_inputs(network):
    if network.takes_tokens:
        return torch.randint(5, (20, network.folds))
    sequence = () if isinstance(network, MLP) else (5,)
    return torch.randn(20, *sequence, len(network.wiring.inputs), dtype=torch.float64)


# Finding weak neurons


@settings(max_examples=20)
@given(which=st.sampled_from([*NETWORKS, "mixed"]), below=st.floats(0.1, 20), seed=st.integers(0, 999))
def test_weak_neurons_equal_a_naive_loop(which, below, seed):
    wiring = mixed() if which == "mixed" else NETWORKS[which].wiring
    flat = torch.randn(3, wiring.n_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    weak = find_weak_neurons(wiring, flat, below)
    for network in range(3):
        one = {name: mask[network].tolist() for name, mask in weak.items()}
        assert one == naive_weak(wiring, flat[network], below)


@pytest.mark.parametrize("name", NETWORKS)
def test_inputs_and_outputs_are_never_pruned(name):
    wiring = NETWORKS[name].wiring
    weak = find_weak_neurons(wiring, torch.zeros(2, wiring.n_parameters), below=1.0)
    ends = (wiring.inputs.name, wiring.outputs.name)
    assert {key: bool(neurons.any()) for key, neurons in weak.items()} == {key: key not in ends for key in weak}
    kept = prune(wiring, torch.full((2, wiring.n_parameters), 1e-9), below=1.0)
    biases = [wire.tensor for wire in wiring.wires if wire.axes == (Axis(wiring.outputs.name),)]
    assert all((wiring.tensors(kept)[bias] != 0).all() for bias in biases)


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("incoming", [True, False])
def test_without_a_weak_neuron_the_function_changes_little(name, incoming):
    network = NETWORKS[name]
    wiring, population = network.wiring, initialise(network, [0, 1, 2], dtype=torch.float64)
    population = replace(population, flat=3 * torch.randn_like(population.flat))
    inputs, before = some_inputs(network), population.flat
    for neurons in wiring.neurons[1:-1]:
        less = replace(population, flat=weaken(wiring, before, neurons.name, 1, incoming=incoming))
        weak = find_weak_neurons(wiring, less.flat, below=1e-3)
        without = replace(population, flat=prune(wiring, less.flat, below=1e-3))
        torch.testing.assert_close(without.predict(inputs), less.predict(inputs), rtol=1e-3, atol=1e-2)
        expected = [[i == 1 and (incoming or "heads" not in neurons.name) for i in range(len(neurons))]] * 3
        assert weak[neurons.name].tolist() == expected


def test_a_neuron_whose_key_matters_is_not_weak():
    network = NETWORKS["heads"]
    population = initialise(network, [0], dtype=torch.float64)
    flat = weaken(network.wiring, 3 * torch.randn_like(population.flat), "heads1", 1, incoming=False, factor=0.0)
    population, inputs = replace(population, flat=flat), some_inputs(network)
    weak = find_weak_neurons(network.wiring, flat, below=1e-3)
    assert not weak["heads1"].any()
    weak["heads1"][:, 1] = True
    without = replace(population, flat=flat.masked_fill(parameter_mask(network.wiring, weak), 0.0))
    assert (without.predict(inputs) - population.predict(inputs)).abs().max() > 0.1


# Training with pruning


def task_of(network):
    inputs = some_inputs(network).to(torch.int64 if network.takes_tokens else torch.float64)
    targets = torch.randn(*inputs.shape[:-1], len(network.wiring.outputs), dtype=torch.float64)
    return Task(
        name="noise",
        description="Noise.",
        inputs=inputs,
        targets=targets,
        validation_inputs=inputs,
        validation_targets=targets,
        test_inputs=inputs,
        test_targets=targets,
        network=network,
        per_network=PerNetworkHyperparameters(),
        shared=SharedHyperparameters(),
        model_seed=0,
        input_names=tuple(f"x{i}" for i in range(len(network.wiring.inputs))),
        output_names=tuple(f"y{i}" for i in range(len(network.wiring.outputs))),
    )


def dead(wiring, flat):
    """Mask of the neurons of each hidden set whose parameters are all 0."""
    masks = {}
    for neurons in wiring.neurons[1:-1]:
        alone = torch.eye(len(neurons), dtype=torch.bool)
        at = [parameter_mask(wiring, {neurons.name: one.unsqueeze(0)})[0] for one in alone]
        masks[neurons.name] = torch.stack([(flat[:, mask] == 0).all(1) for mask in at], dim=1)
    return masks


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("penalty_step", ["subgradient", "proximal"])
@pytest.mark.parametrize("relocation", ["none", "assignment"])
def test_pruned_neurons_stay_removed(name, penalty_step, relocation):
    network = NETWORKS[name]
    population = initialise(network, [0, 1, 2], dtype=torch.float64)
    flat = 2 * population.flat
    for neurons in network.wiring.neurons[1:-1]:
        flat = weaken(network.wiring, flat, neurons.name, 2, incoming=True)
    shared = SharedHyperparameters(
        20, penalty_step=penalty_step, relocation=relocation, relocate_every=5, prune_below=0.5
    )
    per_network = [PerNetworkHyperparameters(cost_weight) for cost_weight in (0.0, 1e-3, 1e-2)]
    begin, dead_before = start(replace(population, flat=flat)), None
    for snapshot in train(begin, task_of(network), per_network, shared, (5, 6, 9, 10, 11, 15, 20), compiled=False):
        now = dead(network.wiring, snapshot.population.flat)
        assert all(neurons.any(1).all() and not neurons.all() for neurons in now.values())
        if dead_before is not None and relocation == "none":
            assert all((now[key] >= dead_before[key]).all() for key in now)
        elif dead_before is not None:
            assert all((now[key].sum(1) >= dead_before[key].sum(1)).all() for key in now)
        dead_before = now


def test_nothing_is_pruned_by_default():
    network = NETWORKS["mlp"]
    population = initialise(network, [0], dtype=torch.float64)
    begin = start(replace(population, flat=1e-3 * population.flat))
    shared = SharedHyperparameters(20, relocate_every=10)
    (end,) = train(begin, task_of(network), [PerNetworkHyperparameters(0.0)], shared, [20], compiled=False)
    assert (end.population.flat != 0).all()


def test_a_network_without_hidden_neurons_is_not_pruned():
    network = NETWORKS["no hidden neurons"]
    shared = SharedHyperparameters(20, relocate_every=10, prune_below=5.0)
    begin = start(initialise(network, [0], dtype=torch.float64))
    (end,) = train(begin, task_of(network), [PerNetworkHyperparameters(0.0)], shared, [20], compiled=False)
    assert (end.population.flat != 0).all()
