from dataclasses import replace

import pytest
import torch
from torch import nn

from bimt_core.geometry import grid, line, ring
from bimt_core.networks import MLP
from bimt_core.population import initialise


class Plain(nn.Module):
    """The same network of torch modules, drawn from torch's global generator."""

    def __init__(self, network, dtype):
        super().__init__()
        first, *rest = network.widths
        widths = [first * network.folds, *rest]
        self.layers = nn.ModuleList(nn.Linear(a, b, dtype=dtype) for a, b in zip(widths, rest, strict=False))
        if network.vocabulary:
            self.embedding = nn.Embedding(network.vocabulary, first, dtype=dtype)

    def forward(self, x):
        if hasattr(self, "embedding"):
            x = self.embedding(x).flatten(1)
        for layer in self.layers[:-1]:
            x = nn.functional.silu(layer(x))
        return self.layers[-1](x)

    def tensors(self):
        named = {f"weight{i}": layer.weight for i, layer in enumerate(self.layers)}
        named |= {f"bias{i}": layer.bias for i, layer in enumerate(self.layers)}
        return named | ({"embedding": self.embedding.weight} if hasattr(self, "embedding") else {})


def plain(network, seed, dtype=torch.float64):
    torch.manual_seed(seed)
    return Plain(network, dtype)


NETWORKS = [
    MLP((4, 20, 20, 2)),
    MLP((3, 1)),
    MLP((1, 7, 5, 6, 2)),
    MLP((32, 50, 24), "mean", 2, vocabulary=24),
    MLP((3, 5), folds=3, vocabulary=24),
    MLP((6, 5, 2), vocabulary=24),
    MLP(((3, 2), (2, 4), (1, 3))),
    MLP(((4, 5), (3, 3), 4), ring_outputs=True, fixed_inputs=True),
]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_initial_parameters_equal_those_of_torch(network, dtype):
    flat = network.initial_parameters(torch.Generator().manual_seed(3), dtype)
    expected = network.wiring.flatten(plain(network, 3, dtype).tensors())
    assert flat.dtype == dtype
    assert torch.equal(flat, expected)


@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_equal_those_of_torch_modules(network):
    seeds = (0, 1, 2)
    flat = initialise(network, seeds, dtype=torch.float64).flat
    rows = torch.randn(9, network.widths[0], dtype=torch.float64)
    tokens = torch.randint(24, (9, network.folds))
    inputs = tokens if network.takes_tokens else rows.expand(3, -1, -1)
    outputs = network.forward(network.wiring.tensors(flat), inputs)
    expected = [plain(network, seed)(tokens if network.takes_tokens else rows) for seed in seeds]
    torch.testing.assert_close(outputs, torch.stack(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_equal_those_of_torch_modules(network):
    flat = network.initial_parameters(torch.Generator().manual_seed(3), torch.float64).unsqueeze(0).requires_grad_()
    inputs = torch.randn(1, 9, network.widths[0], dtype=torch.float64)
    if network.takes_tokens:
        inputs = torch.randint(24, (9, network.folds))  # with repeated and missing tokens
    (gradient,) = torch.autograd.grad(network.forward(network.wiring.tensors(flat), inputs).square().sum(), flat)
    modules = plain(network, 3)
    modules(inputs if network.takes_tokens else inputs[0]).square().sum().backward()
    expected = network.wiring.flatten({name: p.grad for name, p in modules.tensors().items()})
    torch.testing.assert_close(gradient[0], expected, rtol=1e-10, atol=1e-12)


def test_drawing_keeps_the_global_generator():
    before = torch.get_rng_state()
    NETWORKS[-1].initial_parameters(torch.Generator().manual_seed(0), torch.float32)
    assert torch.equal(torch.get_rng_state(), before)


def test_names_of_sets_and_tensors():
    wiring = MLP((3, 5, 4, 2), "mean", folds=2, vocabulary=7).wiring
    assert [(n.name, len(n)) for n in wiring.neurons] == [("input", 3), ("hidden1", 5), ("hidden2", 4), ("output", 2)]
    tensors = ["weight0", "bias0", "weight1", "bias1", "weight2", "bias2", "embedding"]
    assert [wire.tensor for wire in wiring.wires] == tensors
    assert (wiring.inputs.name, wiring.outputs.name, wiring.reduction) == ("input", "output", "mean")
    assert wiring.n_parameters == 5 * 6 + 5 + 4 * 5 + 4 + 2 * 4 + 2 + 7 * 3


def test_positions_are_lines_grids_and_rings():
    lines = MLP((3, 5, 2)).wiring
    assert [n.positions.tolist() for n in lines.neurons] == [line(n).tolist() for n in (3, 5, 2)]
    image = MLP(((4, 5), (3, 3), 7), ring_outputs=True, fixed_inputs=True).wiring
    assert [n.positions.tolist() for n in image.neurons] == [p.tolist() for p in (grid(4, 5), grid(3, 3), ring(7))]
    assert [n.movable for n in image.neurons] == [False, True, True]
    assert all(n.movable for n in lines.neurons)


def test_activation_values_count_layer_inputs_and_values_kept_by_silu():
    assert MLP((3, 5, 2)).activation_values(10) == 10 * (3 + 2 * (5 + 2))


@pytest.mark.parametrize(
    ("shape", "width", "layers", "expected"),
    [
        ((4, 20, 20, 2), None, None, (4, 20, 20, 2)),
        ((4, 20, 20, 2), 9, None, (4, 9, 9, 2)),
        ((4, 20, 10, 2), None, 2, (4, 20, 10, 2)),
        ((4, 20, 10, 2), None, 3, (4, 20, 20, 20, 2)),
        ((4, 20, 10, 2), None, 1, (4, 20, 2)),
        ((4, 20, 10, 2), 5, 1, (4, 5, 2)),
        ((4, 2), 5, None, (4, 5, 2)),
        ((4, 2), 5, 2, (4, 5, 5, 2)),
        ((4, 2), None, None, (4, 2)),
        (((4, 4), (3, 2), 5), 9, 2, ((4, 4), (3, 3), (3, 3), 5)),
    ],
)
def test_resize(shape, width, layers, expected):
    network = MLP(shape, "mean", ring_outputs=isinstance(shape[0], tuple))
    assert network.resize(width, layers) == replace(network, shape=expected)


@pytest.mark.parametrize(
    ("shape", "width", "layers", "message"),
    [
        ((4, 20, 2), 0, None, "hidden_width must be at least 1, got 0"),
        ((4, 20, 2), None, 0, "hidden_layers must be at least 1, got 0"),
        ((4, 2), None, 2, "hidden_width is needed if there is no hidden layer"),
        (
            ((4, 4), (3, 2), (1, 2)),
            8,
            None,
            "hidden_width must be a square number .* a grid, got 8",
        ),
    ],
)
def test_impossible_sizes_are_refused(shape, width, layers, message):
    with pytest.raises(ValueError, match=message):
        MLP(shape).resize(width, layers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (4,)}, r"at least 2 layers of at least 1 neuron, got \[4\]"),
        ({"shape": (4, 0, 2)}, r"at least 2 layers of at least 1 neuron, got \[4, 0, 2\]"),
        ({"shape": (4, -1, 2)}, r"at least 2 layers of at least 1 neuron, got \[4, -1, 2\]"),
        ({"shape": ((2, 2), (-3, -3), (1, 2))}, r"at least 1 neuron, got \[\[2, 2\], \[-3, -3\], \[1, 2\]\]"),
        ({"shape": ((2, 2), 4, (1, 2))}, r"shape must be all lines, or all grids .*, got \[\[2, 2\], 4, \[1, 2\]\]"),
        ({"shape": ((2, 2), (3, 3), 4)}, r"shape must be all lines, or all grids .*, ring_outputs=False"),
        ({"shape": (4, 5, 2), "ring_outputs": True}, "shape must be all lines, or all grids .*, ring_outputs=True"),
        ({"shape": ((2, 2), (1, 2)), "ring_outputs": True}, "shape must be all lines, or all grids"),
        ({"shape": (4, 2), "vocabulary": -1}, "vocabulary must be at least 0, got -1"),
        ({"shape": (4, 2), "folds": 2}, "folds must be 1 without an embedding, got 2"),
        ({"shape": (4, 2), "folds": 0, "vocabulary": 3}, "folds must be 1 without an embedding, got 0"),
    ],
)
def test_impossible_networks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(**arguments)
