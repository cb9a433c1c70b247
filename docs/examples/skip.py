"""A user's task and network: the product of two numbers, by a module with a skip connection."""

import torch
from torch import Tensor, nn

from bimt_core import (
    ModuleNetwork,
    Neurons,
    PerNetworkHyperparameters,
    SharedHyperparameters,
    Task,
    Wiring,
    linear_wires,
)
from bimt_core.geometry import line


class Skipping(nn.Module):
    """Two hidden layers, both read by the output."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 10)
        self.second = nn.Linear(10, 10)
        self.early = nn.Linear(10, 1, bias=False)
        self.late = nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Tensor:
        near = nn.functional.silu(self.first(x))
        far = nn.functional.silu(self.second(near))
        return self.early(near) + self.late(far)


def network() -> ModuleNetwork:
    """Attaches every parameter to the neurons that it connects; connection cost and relocation follow from this."""
    neurons = (
        Neurons("x", line(2)),
        Neurons("near", line(10)),
        Neurons("far", line(10)),
        Neurons("y", line(1)),
    )
    wires = (
        *linear_wires("first", "x", "near"),
        *linear_wires("second", "near", "far"),
        *linear_wires("early", "near", "y")[:1],  # has no bias
        *linear_wires("late", "far", "y"),
    )
    return ModuleNetwork(Skipping, Wiring(neurons, wires))


def product(data_seed: int = 0) -> Task:
    """Product of two numbers between -1 and 1."""
    x = 2 * torch.rand(4200, 2, generator=torch.Generator().manual_seed(data_seed)) - 1
    y = x.prod(1, keepdim=True)
    return Task(
        name="product",
        description="the product of two numbers",
        inputs=x[:200],
        targets=y[:200],
        validation_inputs=x[200:2200],
        validation_targets=y[200:2200],
        test_inputs=x[2200:],
        test_targets=y[2200:],
        network=network(),
        per_network=PerNetworkHyperparameters(cost_weight=1e-4),
        shared=SharedHyperparameters(steps=4000, cost_phases=((0.0, 1.0), (0.5, 10.0))),
        model_seed=0,
        input_names=("x1", "x2"),
        output_names=("x1 x2",),
    )
