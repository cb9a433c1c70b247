from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import silu

from bimt_core.files import deserialize_population, serialize_population
from bimt_core.geometry import line
from bimt_core.hyperparameters import PerNetworkHyperparameters, SharedHyperparameters
from bimt_core.networks import MLP, ModuleNetwork
from bimt_core.population import initialise
from bimt_core.tasks import load_task
from bimt_core.train import start, train
from bimt_core.wiring import Axis, Neurons, Wire, Wiring, linear_wires


class Two(nn.Module):
    """Two linear layers."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.fc2(silu(self.fc1(x)))


LAYERS = (Neurons("input", line(4)), Neurons("hidden1", line(6)), Neurons("output", line(2)))
FC1, FC2 = linear_wires("fc1", "input", "hidden1"), linear_wires("fc2", "hidden1", "output")
NETWORK = ModuleNetwork(Two, Wiring(LAYERS, (*FC1, *FC2)))


class Embedded(nn.Module):
    """A module with tokens, and with a mask and a scale that are buffers."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 3)
        self.fc = nn.Linear(6, 5)
        self.register_buffer("mask", torch.tensor([True, False, True, True, True]))
        self.register_buffer("scale", torch.tensor([[0.1, 0.0, 0.2], [0.3, 0.7, 0.0], [0.5, 0.0, 0.0]]))

    def forward(self, tokens):
        return self.fc((self.embedding(tokens) @ self.scale).flatten(1)).where(self.mask, 0.0)


EMBEDDED = ModuleNetwork(
    Embedded,
    Wiring(
        (Neurons("input", line(3)), Neurons("output", line(5))),
        (Wire("embedding.weight", (7, Axis("input"))), *linear_wires("fc", "input", "output", source_folds=2)),
    ),
    takes_tokens=True,
)


def test_outputs_and_gradients_equal_those_of_the_module():
    flat = torch.randn(3, NETWORK.wiring.n_parameters, requires_grad=True)
    inputs = torch.randn(3, 5, 4)
    outputs = NETWORK.forward(NETWORK.wiring.tensors(flat), inputs)
    (gradients,) = torch.autograd.grad(outputs.square().sum(), flat)
    for one, rows, output, gradient in zip(flat.detach(), inputs, outputs, gradients, strict=True):
        module = Two()
        module.load_state_dict(NETWORK.wiring.tensors(one))
        expected = module(rows)
        expected.square().sum().backward()
        torch.testing.assert_close(output, expected)
        grads = {name: p.grad for name, p in module.named_parameters()}
        torch.testing.assert_close(gradient, NETWORK.wiring.flatten(grads))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tokens_and_buffers(dtype):
    population = initialise(EMBEDDED, [0, 1], dtype=dtype)
    tokens = torch.randint(7, (9, 2))
    outputs = population.predict(tokens)
    assert outputs.dtype == dtype
    for one, output in zip(population.flat, outputs, strict=True):
        module = Embedded().to(dtype)
        module.load_state_dict(EMBEDDED.wiring.tensors(one), strict=False)
        torch.testing.assert_close(output, module(tokens))
    assert (outputs[:, :, 1] == 0).all()


def test_populations_of_both_precisions_alternate():
    tokens = torch.randint(7, (9, 2))
    single, double = (initialise(EMBEDDED, [0], dtype=dtype) for dtype in (torch.float32, torch.float64))
    for population in (single, double, single):
        assert population.predict(tokens).dtype == population.flat.dtype


def test_a_seed_gives_the_same_parameters_as_in_torch():
    before = torch.get_rng_state()
    flat = initialise(NETWORK, [5, 6, 5]).flat
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(flat[0], flat[2])
    assert not torch.equal(flat[0], flat[1])
    torch.manual_seed(5)
    assert torch.equal(flat[0], torch.cat([p.detach().flatten() for p in Two().parameters()]))
    assert initialise(NETWORK, [5], dtype=torch.float64).flat.dtype == torch.float64


@pytest.mark.parametrize("batch_size", [0, 16])
def test_training_equals_that_of_the_built_in_network(batch_size):
    mlp = MLP((4, 6, 2))
    t = load_task("independence").cast(torch.float64)
    shared = SharedHyperparameters(
        60, batch_size, relocate_every=20, relocation="assignment", penalty_step="proximal", prune_below=0.3
    )
    trained = []
    for network in (mlp, NETWORK):
        begin = initialise(network, [0, 1])
        begin = start(replace(begin, flat=begin.flat.double()))  # drawn as float32 by both
        per_network = [PerNetworkHyperparameters(), PerNetworkHyperparameters(1e-2)]
        (end,) = train(begin, replace(t, network=network), per_network, shared, [60], compiled=False)
        trained.append(end.population)
    built_in, module = trained
    torch.testing.assert_close(module.flat, built_in.flat, rtol=1e-9, atol=1e-12)
    assert torch.equal(module.input_labels, built_in.input_labels)
    assert torch.equal(module.output_labels, built_in.output_labels)
    assert not torch.equal(module.input_labels, torch.arange(4).repeat(2, 1))


def test_shared_weights_are_attached_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(3, 5, bias=False), nn.Linear(5, 3, bias=False)
            self.again = nn.Linear(3, 5, bias=False)
            self.again.weight = self.up.weight

        def forward(self, x):
            return self.down(silu(self.again(self.down(silu(self.up(x))))))

    neurons = Neurons("input", line(3)), Neurons("hidden", line(5)), Neurons("output", line(3))
    wires = Wire("up.weight", (Axis("hidden"), Axis("input"))), Wire("down.weight", (Axis("output"), Axis("hidden")))
    network = ModuleNetwork(Tied, Wiring(neurons, wires))
    flat, inputs = torch.randn(1, 30), torch.randn(1, 4, 3)
    up, down = flat[0, :15].view(5, 3), flat[0, 15:].view(3, 5)
    expected = silu(silu(inputs @ up.T) @ down.T @ up.T) @ down.T
    torch.testing.assert_close(network.forward(network.wiring.tensors(flat), inputs), expected)


@pytest.mark.parametrize(
    ("neurons", "wires", "message"),
    [
        (LAYERS, FC1, r"parameter 'fc2.bias' is attached to no neurons, attached are fc1.weight, fc1.bias"),
        (LAYERS, (*FC1, FC2[0]), r"parameter 'fc2.bias' is attached to no neurons"),
        (
            LAYERS,
            (*FC1, *FC2, *linear_wires("fc3", "input", "output")),
            r"the module has no parameter 'fc3.weight', it has",
        ),
        (
            LAYERS,
            (*FC1, *linear_wires("fc2", "output", "hidden1")),
            r"'fc2.weight' has shape \(2, 6\), its .* \(6, 2\)",
        ),
        (LAYERS, (*FC1, FC2[0], Wire("fc2.bias", (Axis("hidden1"),))), r"'fc2.bias' has shape \(2,\), .* \(6,\)"),
        (
            (LAYERS[0], Neurons("hidden1", line(5)), LAYERS[2]),
            (*FC1, *FC2),
            r"parameter 'fc1.weight' has shape \(6, 4\), its wire says \(5, 4\)",
        ),
    ],
)
def test_wrong_wirings_are_refused(neurons, wires, message):
    with pytest.raises(ValueError, match=message):
        ModuleNetwork(Two, Wiring(neurons, wires))


def test_resizing_is_refused():
    assert NETWORK.resize(None, None) is NETWORK
    with pytest.raises(ValueError, match="hidden_width of a ModuleNetwork cannot be changed, got 3"):
        NETWORK.resize(3, None)
    with pytest.raises(ValueError, match="hidden_layers of a ModuleNetwork cannot be changed, got 2"):
        NETWORK.resize(None, 2)


def test_reading_a_file_requires_the_network():
    population = initialise(NETWORK, [0, 1])
    data = serialize_population(population)
    assert torch.equal(deserialize_population(data, NETWORK).flat, population.flat)
    with pytest.raises(ValueError, match="networks of the module 'Two': pass network= to read them"):
        deserialize_population(data)


def test_activation_values_grow_with_rows():
    assert NETWORK.activation_values(10) == 10 * NETWORK.activation_values(1) > 0
