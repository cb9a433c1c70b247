import pytest
import torch
from torch import nn

from bimt_core.geometry import grid, ring
from bimt_core.networks import RNN

NETWORKS = [RNN(3, (2, 4), 2), RNN(1, (1, 1), 1), RNN(2, (3, 3), 5, "sum")]


def plain(network, flat):
    """The network of one row of parameters as torch modules."""
    tensors = network.wiring.tensors(flat)
    n = len(network.wiring["hidden"])
    hidden = nn.RNN(network.inputs, n, nonlinearity="tanh", batch_first=True, dtype=torch.float64)
    out = nn.Linear(n, network.outputs, dtype=torch.float64)
    values = {
        hidden.weight_ih_l0: tensors["in.weight"],
        hidden.bias_ih_l0: tensors["in.bias"],
        hidden.weight_hh_l0: tensors["recurrent"],
        hidden.bias_hh_l0: torch.zeros(n, dtype=torch.float64),
        out.weight: tensors["out.weight"],
        out.bias: tensors["out.bias"],
    }
    for parameter, value in values.items():
        parameter.data.copy_(value)
    return hidden, out


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("times", [1, 2, 9])
def test_outputs_and_gradients_equal_those_of_torch_modules(network, times):
    flat = torch.randn(3, network.wiring.n_parameters, dtype=torch.float64, requires_grad=True)
    inputs = torch.randn(3, 4, times, network.inputs, dtype=torch.float64)
    outputs = network.forward(network.wiring.tensors(flat), inputs)
    (gradients,) = torch.autograd.grad(outputs.square().sum(), flat)
    for one, rows, output, gradient in zip(flat.detach(), inputs, outputs, gradients, strict=True):
        hidden, out = plain(network, one)
        expected = out(hidden(rows)[0])
        expected.square().sum().backward()
        torch.testing.assert_close(output, expected, rtol=1e-10, atol=1e-12)
        of_torch = network.wiring.flatten(
            {
                "in.weight": hidden.weight_ih_l0.grad,
                "in.bias": hidden.bias_ih_l0.grad,
                "recurrent": hidden.weight_hh_l0.grad,
                "out.weight": out.weight.grad,
                "out.bias": out.bias.grad,
            }
        )
        torch.testing.assert_close(gradient, of_torch, rtol=1e-9, atol=1e-10)


def test_outputs_equal_the_formula():
    network = RNN(2, (1, 3), 2)
    flat = torch.randn(1, network.wiring.n_parameters, dtype=torch.float64)
    t = {name: tensor[0] for name, tensor in network.wiring.tensors(flat).items()}
    inputs = torch.randn(1, 1, 4, 2, dtype=torch.float64)
    h = torch.zeros(3, dtype=torch.float64)
    for time, output in enumerate(network.forward(network.wiring.tensors(flat), inputs)[0, 0]):
        h = torch.tanh(t["in.weight"] @ inputs[0, 0, time] + t["recurrent"] @ h + t["in.bias"])
        torch.testing.assert_close(output, t["out.weight"] @ h + t["out.bias"])


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_initial_parameters_equal_those_of_torch(network, dtype):
    torch.manual_seed(3)
    n = len(network.wiring["hidden"])
    sizes = ((network.inputs, n), (n, n), (n, network.outputs))
    into, recurrent, out = (nn.Linear(*size, dtype=dtype) for size in sizes)
    expected = [into.weight, into.bias, recurrent.weight, out.weight, out.bias]
    flat = network.initial_parameters(torch.Generator().manual_seed(3), dtype)
    assert torch.equal(flat, torch.cat([p.detach().flatten() for p in expected]))


def test_names_and_positions():
    wiring = RNN(3, (2, 4), 2).wiring
    assert [n.name for n in wiring.neurons] == ["input", "hidden", "output"]
    assert [n.positions.tolist() for n in wiring.neurons] == [p.tolist() for p in (ring(3), grid(2, 4), ring(2))]
    assert [w.tensor for w in wiring.wires] == ["in.weight", "in.bias", "recurrent", "out.weight", "out.bias"]
    assert [w.tensor for w in wiring.wires if w.is_recurrent] == ["recurrent"]
    assert wiring.reduction == "mean"


def test_resize():
    network = RNN(3, (2, 4), 2, "sum")
    assert network.resize(None, None) == network.resize(None, 1) == network
    assert network.resize(9, None) == RNN(3, (3, 3), 2, "sum")
    for width, layers, message in (
        (8, None, "hidden_width must be a square number .*, got 8"),
        (0, None, "hidden_width must be a square number .*, got 0"),
        (-4, None, "hidden_width must be a square number .*, got -4"),
        (None, 2, "hidden_layers of a recurrent network is 1, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            network.resize(width, layers)


def test_activation_values_grow_with_rows():
    assert RNN(3, (2, 4), 2).activation_values(10) == 10 * (3 + 2 + 2 * 8)


@pytest.mark.parametrize("sizes", [(0, (2, 2), 1), (1, (0, 2), 1), (1, (2, -1), 1), (1, (2, 2), 0)])
def test_impossible_networks_are_refused(sizes):
    with pytest.raises(ValueError, match="inputs, hidden and outputs must be at least 1, got"):
        RNN(*sizes)
