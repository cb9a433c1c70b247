import math

import pytest
import torch
from torch import nn

from bimt_core.networks import Transformer
from bimt_core.population import initialise


class Block(nn.Module):
    """Causal attention computed per head, row and sequence index, then a perceptron with tanh-GELU."""

    def __init__(self, width, heads, hidden_width):
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.attend, self.attended = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.expand, self.contract = nn.Linear(width, hidden_width), nn.Linear(hidden_width, width)

    def attention(self, stream):
        query, key, value = self.attend(stream).split(self.heads * self.size, dim=2)
        rows, length = stream.shape[:2]
        mixed = []
        for row in range(rows):
            for index in range(length):
                heads = []
                for head in range(self.heads):
                    neurons = slice(head * self.size, (head + 1) * self.size)
                    keys = key[row, : index + 1, neurons]
                    shares = torch.softmax(keys @ query[row, index, neurons] / math.sqrt(self.size), dim=0)
                    heads.append(shares @ value[row, : index + 1, neurons])
                mixed.append(torch.cat(heads))
        return self.attended(torch.stack(mixed).unflatten(0, (rows, length)))

    def forward(self, stream):
        stream = stream + self.attention(stream)
        hidden = self.expand(stream)
        inner = math.sqrt(2 / math.pi) * (hidden + 0.044715 * hidden**3)
        return stream + self.contract(0.5 * hidden * (1 + torch.tanh(inner)))


class Plain(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.embed = nn.Linear(network.inputs, network.width)
        self.blocks = nn.ModuleList(
            Block(network.width, network.heads, network.hidden_width) for _ in range(network.blocks)
        )
        self.read = nn.Linear(network.width, network.outputs)

    def forward(self, values):
        stream = self.embed(values)
        for block in self.blocks:
            stream = block(stream)
        return self.read(stream)

    def by_wire(self, value):
        """Maps the name of every wire to a value of its parameter."""
        modules = {"embed": self.embed, "read": self.read}
        for number, block in enumerate(self.blocks, start=1):
            names = ("attend", "attended", "expand", "contract")
            modules |= {f"{name}{number}": getattr(block, name) for name in names}
        return {f"{name}.{kind}": value(getattr(m, kind)) for name, m in modules.items() for kind in ("weight", "bias")}


def plain(network, seed, dtype=torch.float64):
    torch.manual_seed(seed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return Plain(network)
    finally:
        torch.set_default_dtype(before)


NETWORKS = [
    Transformer(2, 2, width=8, blocks=2, heads=1, hidden_width=12),
    Transformer(3, 2, width=8, blocks=1, heads=4, hidden_width=5),
    Transformer(1, 4, width=6, blocks=3, heads=2, hidden_width=7, reduction="sum"),
    Transformer(2, 1, width=3, blocks=1, heads=3, hidden_width=1),
]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_initial_parameters_equal_those_of_torch(network, dtype):
    flat = network.initial_parameters(torch.Generator().manual_seed(3), dtype)
    expected = network.wiring.flatten(plain(network, 3, dtype).by_wire(lambda p: p.detach()))
    assert flat.dtype == dtype
    assert torch.equal(flat, expected)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("length", [1, 2, 7])
def test_outputs_and_gradients_equal_those_of_torch_modules(network, length):
    seeds = (0, 1, 2)
    flat = initialise(network, seeds, dtype=torch.float64).flat
    flat = flat.mul_(2).requires_grad_()
    inputs = 3 * torch.randn(3, 4, length, network.inputs, dtype=torch.float64)
    outputs = network.forward(network.wiring.tensors(flat), inputs)
    (gradients,) = torch.autograd.grad(outputs.square().sum(), flat)
    for number, seed in enumerate(seeds):
        modules = plain(network, seed)
        for p in modules.parameters():
            p.data.mul_(2)
        expected = modules(inputs[number])
        expected.square().sum().backward()
        torch.testing.assert_close(outputs[number], expected, rtol=1e-10, atol=1e-10)
        gradient = network.wiring.flatten(modules.by_wire(lambda p: p.grad))
        torch.testing.assert_close(gradients[number], gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_depend_on_this_and_earlier_sequence_indices_only(network):
    flat = torch.randn(2, network.wiring.n_parameters, dtype=torch.float64)
    inputs = torch.randn(2, 3, 6, network.inputs, dtype=torch.float64)
    before = network.forward(network.wiring.tensors(flat), inputs)
    for index in range(6):
        changed = inputs.clone()
        changed[:, :, index] += 1
        differs = (network.forward(network.wiring.tensors(flat), changed) - before).abs().amax((0, 1, 3)) > 1e-9
        assert differs.tolist() == [False] * index + [True] * (6 - index)


def test_names_of_sets_and_tensors():
    wiring = Transformer(2, 3, width=8, blocks=2, heads=4, hidden_width=12).wiring
    assert [(n.name, len(n), n.blocks) for n in wiring.neurons] == [
        ("input", 2, 1),
        ("residual", 8, 1),
        ("heads1", 8, 4),
        ("hidden1", 12, 1),
        ("heads2", 8, 4),
        ("hidden2", 12, 1),
        ("output", 3, 1),
    ]
    assert {wire.tensor: wiring.shape(wire) for wire in wiring.weights} == {
        "embed.weight": (8, 2),
        "attend1.weight": (24, 8),
        "attended1.weight": (8, 8),
        "expand1.weight": (12, 8),
        "contract1.weight": (8, 12),
        "attend2.weight": (24, 8),
        "attended2.weight": (8, 8),
        "expand2.weight": (12, 8),
        "contract2.weight": (8, 12),
        "read.weight": (3, 8),
    }
    assert wiring.weights[-1].tensor == "read.weight"


def test_resize():
    network = Transformer(2, 3, width=8, blocks=2, heads=4, hidden_width=12)
    assert network.resize(None, None) == network
    assert network.resize(5, None) == Transformer(2, 3, 8, 2, 4, 5)
    assert network.resize(None, 3) == Transformer(2, 3, 8, 3, 4, 12)
    with pytest.raises(ValueError, match="hidden_width must be at least 1, got 0"):
        network.resize(0, None)


def test_activation_values_grow_with_rows_and_blocks():
    one, two = (Transformer(2, 2, 8, blocks, 1, 12) for blocks in (1, 2))
    assert two.activation_values(10) > one.activation_values(10) == 10 * one.activation_values(1) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": 0}, "inputs must be at least 1, got 0"),
        ({"outputs": -1}, "outputs must be at least 1, got -1"),
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"blocks": 0}, "blocks must be at least 1, got 0"),
        ({"heads": 0}, "heads must be at least 1, got 0"),
        ({"hidden_width": 0}, "hidden_width must be at least 1, got 0"),
        ({"heads": 5}, "heads must divide the width 32, got 5"),
    ],
)
def test_impossible_networks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Transformer(**{"inputs": 2, "outputs": 2, **arguments})
