"""What every architecture is: pure functions of named tensors that declare their wiring."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from bimt_core.wiring import Wiring


class Network(Protocol):
    """An architecture. It holds no parameters: those of many networks come and go as one population.

    Architectures are values: equal ones describe the same networks.
    """

    @property
    def wiring(self) -> Wiring:
        """Its neurons, input first and output last, and its tensors."""

    @property
    def takes_tokens(self) -> bool:
        """Whether inputs are token numbers (for a trainable embedding) and not values of the input neurons."""

    def forward(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Values of the output neurons, in order of their places.

        Args:
            tensors: One population's parameters, each with the leading dimension networks.
            inputs: Values of the input neurons in order of their places, shape (networks, rows, [places,] inputs); or
                tokens, int64, shape (rows, folds).

        Returns:
            Shape (networks, rows, [places,] outputs).
        """

    def initial(self, generator: Generator, dtype: torch.dtype) -> Tensor:
        """Flat parameters of one network, drawn anew; shape (n_parameters,)."""

    def activation_values(self, rows: int) -> int:
        """Numbers kept for the backward pass of one network on `rows` rows; an estimate for memory and work."""

    def resized(self, hidden_width: int | None, hidden_layers: int | None) -> "Network":
        """The same architecture with other hidden layers; None keeps what there is.

        Raises:
            ValueError: If the architecture has no such size.
        """

    def as_dict(self) -> dict[str, Any]:
        """Plain data from which `from_dict` makes the architecture again."""


def draw_linear(weight: Tensor, bias: Tensor, generator: Generator) -> None:
    """Draws a linear layer in place as torch.nn.Linear does: weights, then biases, uniform on +-1 / sqrt(fan in).

    Args:
        weight: Shape (out, in).
        bias: Shape (out,).
        generator: Source of the random numbers.
    """
    torch.nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    bound = 1 / math.sqrt(weight.shape[1])
    bias.uniform_(-bound, bound, generator=generator)


def empty_tensors(wiring: Wiring, dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors of one network, not yet drawn."""
    return {wire.tensor: torch.empty(wiring.shape(wire), dtype=dtype) for wire in wiring.wires}


def square(n: int) -> tuple[int, int]:
    """(rows, columns) of a square grid of n neurons.

    Raises:
        ValueError: If n is not a square number above 0.
    """
    side = math.isqrt(max(n, 0))
    if side * side != n or n < 1:
        raise ValueError(f"hidden_width must be a square number where neurons stand on a grid, got {n}")
    return side, side
