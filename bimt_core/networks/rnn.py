"""Recurrent network with hidden neurons on a grid."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Generator, Tensor

from bimt_core.geometry import grid, ring
from bimt_core.networks.network import draw_linear, square
from bimt_core.wiring import Axis, Neurons, Reduction, Wire, Wiring, linear_wires


@dataclass(frozen=True)
class RNN:
    """Recurrent network: h(t) = tanh(W_in x(t) + W h(t - 1) + b), y(t) = W_out h(t) + b_out, with h(-1) = 0.

    Inputs and outputs are on rings, hidden neurons on a grid (Liu et al., "Growing Brains", arXiv 2310.07711). Hidden
    neurons are connected to each other, so the gain of exchanging two of them depends on their own connection too.

    Args:
        inputs: Number of input values at each time.
        hidden: (rows, columns) of the hidden neurons.
        outputs: Number of output values at each time.
        reduction: R of the connection cost over each tensor.

    Raises:
        ValueError: If a size is below 1.

    Examples:
        >>> [wire.tensor for wire in RNN(2, (3, 3), 1).wiring.weights]
        ['in.weight', 'recurrent', 'out.weight']
    """

    inputs: int
    hidden: tuple[int, int]
    outputs: int
    reduction: Reduction = "mean"

    takes_tokens = False

    def __post_init__(self) -> None:
        if min(self.inputs, *self.hidden, self.outputs) < 1:
            raise ValueError(
                f"inputs, hidden and outputs must be at least 1, got {self.inputs}, {list(self.hidden)}, {self.outputs}"
            )

    @cached_property
    def wiring(self) -> Wiring:
        """Sets "input", "hidden", "output"; tensors "in.weight", "in.bias", "recurrent", "out.weight", "out.bias"."""
        positions = {"input": ring(self.inputs), "hidden": grid(*self.hidden), "output": ring(self.outputs)}
        neurons = tuple(Neurons(*item) for item in positions.items())
        recurrent = Wire("recurrent", (Axis("hidden"), Axis("hidden")))
        wires = (*linear_wires("in", "input", "hidden"), recurrent, *linear_wires("out", "hidden", "output"))
        return Wiring(neurons, wires, self.reduction)

    def forward(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """See `Network.forward`."""
        rows, times = inputs.shape[1:3]
        bias, out = tensors["in.bias"].unsqueeze(2), tensors["out.bias"].unsqueeze(2)
        driven = torch.baddbmm(bias, tensors["in.weight"], inputs.permute(0, 3, 2, 1).flatten(2))
        states: list[Tensor] = []
        for drive in driven.unflatten(2, (times, rows)).unbind(2):
            states.append(torch.tanh(torch.baddbmm(drive, tensors["recurrent"], states[-1]) if states else drive))
        values = torch.baddbmm(out, tensors["out.weight"], torch.cat(states, dim=2))
        outputs: Tensor = values.unflatten(2, (times, rows)).permute(0, 3, 2, 1)
        return outputs

    def initial_parameters(self, generator: Generator, dtype: torch.dtype) -> Tensor:
        """See `Network.initial_parameters`; as in torch.nn.Linear, in the order in, recurrent, out."""
        flat = torch.empty(self.wiring.n_parameters, dtype=dtype)
        tensors = self.wiring.tensors(flat)
        draw_linear(tensors["in.weight"], tensors["in.bias"], generator)
        draw_linear(tensors["recurrent"], torch.empty(len(self.wiring["hidden"]), dtype=dtype), generator)
        draw_linear(tensors["out.weight"], tensors["out.bias"], generator)
        return flat

    def activation_values(self, rows: int) -> int:
        """See `Network.activation_values`."""
        return rows * (self.inputs + self.outputs + 2 * len(self.wiring["hidden"]))

    def resize(self, hidden_width: int | None, hidden_layers: int | None) -> "RNN":
        """See `Network.resize`; the width is a square number, for a square grid, and there is one layer."""
        if hidden_layers not in (None, 1):
            raise ValueError(f"hidden_layers of a recurrent network is 1, got {hidden_layers}")
        return self if hidden_width is None else replace(self, hidden=square(hidden_width))
