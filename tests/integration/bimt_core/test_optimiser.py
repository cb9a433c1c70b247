import warnings

import pytest
import torch

from bimt_core import optimiser
from bimt_core.networks import MLP
from bimt_core.optimiser import StepArguments, bias_corrections, make_step, prepare_step

MSE = "mse"


@pytest.fixture(autouse=True)
def _reset_compiler(monkeypatch):
    """Resets torch's count of compilations, which lasts over all tests."""
    monkeypatch.setattr(optimiser, "_COMPILED", {})
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def arguments(networks=3, dtype=torch.float64, **changes):
    """A small network and random arguments of its step."""
    network = MLP((3, 5, 2))
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    n = network.wiring.n_parameters
    values = {
        "flat": random(networks, n),
        "first": torch.zeros(networks, n, dtype=dtype),
        "second": torch.zeros(networks, n, dtype=dtype),
        "inputs": random(networks, 7, 3),
        "targets": random(networks, 7, 2),
        "scored": None,
        "coefficients": random(networks, n).abs() * 1e-2,
        "learning_rate": torch.linspace(1e-3, 1e-2, networks, dtype=dtype).unsqueeze(1),
        "corrections": torch.tensor(bias_corrections(1), dtype=dtype),
    }
    return network, StepArguments(**values | changes)


def take_steps(network, a, penalty_step="subgradient", steps=5):
    step = make_step(network, MSE, penalty_step)
    for t in range(1, steps + 1):
        a.corrections.copy_(torch.tensor(bias_corrections(t), dtype=a.flat.dtype))
        step(*a)


def compute_gradient(network, a, member):
    flat = a.flat[member : member + 1].detach().clone().requires_grad_()
    outputs = network.forward(network.wiring.tensors(flat), a.inputs[member : member + 1])
    loss = (outputs - a.targets[member]).square().mean()
    return torch.autograd.grad(loss, flat)[0][0]


def test_subgradient_steps_equal_adamw_of_torch():
    network, a = arguments()
    for member in range(3):
        parameter = torch.nn.Parameter(a.flat[member].clone())
        rate = a.learning_rate[member].item()
        optimiser_of_torch = torch.optim.AdamW([parameter], lr=rate, weight_decay=0.0)
        for _ in range(5):
            outputs = network.forward(network.wiring.tensors(parameter.unsqueeze(0)), a.inputs[member : member + 1])
            loss = (outputs - a.targets[member]).square().mean() + (a.coefficients[member] * parameter.abs()).sum()
            optimiser_of_torch.zero_grad()
            loss.backward()
            optimiser_of_torch.step()
        _, ours = arguments()
        take_steps(network, ours)
        torch.testing.assert_close(ours.flat[member], parameter.detach(), rtol=1e-10, atol=1e-12)


def test_a_proximal_step_solves_its_minimisation_problem():
    """Each parameter minimises coefficient * |w| + (w - plain step)^2 / (2 * step size)."""
    network, a = arguments(coefficients=torch.full((3, 32), 0.3, dtype=torch.float64))
    before = a.flat.clone()
    gradients = torch.stack([compute_gradient(network, a, member) for member in range(3)])
    take_steps(network, a, "proximal", steps=1)
    size = a.learning_rate / (gradients.abs() + optimiser.EPS)  # at the first step
    plain = before - size * gradients
    expected = torch.where(plain.abs() > size * 0.3, plain - plain.sign() * size * 0.3, 0.0)
    torch.testing.assert_close(a.flat, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(a.first, 0.1 * gradients, rtol=1e-9, atol=1e-12)  # moments do not include the penalty


def test_proximal_steps_give_exact_zeros_and_subgradient_steps_do_not():
    zeros = {}
    for penalty_step in ("proximal", "subgradient"):
        network, a = arguments(coefficients=torch.full((3, 32), 0.05, dtype=torch.float64))
        take_steps(network, a, penalty_step, steps=2000)
        zeros[penalty_step] = (a.flat == 0).sum().item()
    assert zeros["subgradient"] == 0
    assert zeros["proximal"] > 20


@pytest.mark.parametrize("penalty_step", ["subgradient", "proximal"])
def test_a_compiled_step_equals_the_plain_step(penalty_step):
    network, plain = arguments()
    _, fast = arguments()
    runs = [
        prepare_step(network, MSE, penalty_step, a, compiled=compiled) for a, compiled in ((plain, False), (fast, True))
    ]
    for t in range(1, 6):
        for a, run in zip((plain, fast), runs, strict=True):
            a.corrections.copy_(torch.tensor(bias_corrections(t), dtype=torch.float64))
            run()
    for name in ("flat", "first", "second"):
        torch.testing.assert_close(getattr(fast, name), getattr(plain, name), rtol=1e-9, atol=1e-12)


def test_a_bounded_number_of_compiled_steps_is_cached(monkeypatch):
    compiled = []
    monkeypatch.setattr(optimiser.torch, "compile", lambda step, **_: compiled.append(step) or step)
    for networks in (*range(1, optimiser.MAX_COMPILED + 3), 1):
        network, a = arguments(networks)
        for _ in range(2):
            prepare_step(network, MSE, "subgradient", a, compiled=True)()
    assert len(compiled) == optimiser.MAX_COMPILED + 3  # the first was evicted
    assert len(optimiser._COMPILED) <= optimiser.MAX_COMPILED


def test_without_a_compiler_a_warning_is_issued_once():
    from torch._inductor import config  # the only way to break the C++ compiler of this process

    network, a = arguments()
    run = prepare_step(network, MSE, "subgradient", a, compiled=True)
    no_compiler = config.patch({"cpp.cxx": (None, "/no/such/compiler"), "fx_graph_cache": False})
    with no_compiler, pytest.warns(UserWarning, match="training is not compiled and takes about twice as long: "):
        run()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run()
    _, plain = arguments()
    for _ in range(2):
        make_step(network, MSE, "subgradient")(*plain)
    assert torch.equal(a.flat, plain.flat)


def test_nan_stays_in_its_network():
    network, a = arguments()
    _, expected = arguments()
    a.flat[1] = torch.nan
    take_steps(network, a)
    take_steps(network, expected)
    assert a.flat[1].isnan().all()
    assert torch.equal(a.flat[[0, 2]], expected.flat[[0, 2]])
