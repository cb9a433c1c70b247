"""Protocol of architectures, and functions that they share."""

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Generator, Tensor

from bimt_core.wiring import Wiring


class Network(Protocol):
    """An architecture. It holds no parameters: these are passed to it, those of many networks at once.

    Architectures are values: equal ones describe the same networks.
    """

    @property
    def wiring(self) -> Wiring:
        """Sets of neurons, input first and output last, and tensors."""

    @property
    def takes_tokens(self) -> bool:
        """True if inputs are token numbers (for a trainable embedding) and not values of the input neurons."""

    def forward(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Computes the output neurons' values, ordered by place, shape (networks, rows, [sequence_length,] outputs).

        Args:
            tensors: Parameters of a population, each with the leading dimension networks.
            inputs: Values of the input neurons, ordered by place, shape (networks, rows, [sequence_length,] inputs); or
                tokens, int64, shape (rows, folds).
        """

    def initial_parameters(self, generator: Generator, dtype: torch.dtype) -> Tensor:
        """Draws the flat parameters of one network, shape (n_parameters,).

        Args:
            generator: Source of the random numbers, on the CPU.
            dtype: Type of the parameters.
        """

    def activation_values(self, rows: int) -> int:
        """Estimates the number of values kept for the backward pass of one network, a measure of memory and work.

        Args:
            rows: Number of rows, times the length of the sequences.
        """

    def resize(self, hidden_width: int | None, hidden_layers: int | None) -> "Network":
        """Returns the same architecture with other hidden layers.

        Args:
            hidden_width: Neurons in each hidden layer; None for the present number.
            hidden_layers: Number of hidden layers; None for the present number.

        Raises:
            ValueError: If the architecture has no such size.
        """


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


def square(n: int) -> tuple[int, int]:
    """Computes (rows, columns) of a square grid.

    Args:
        n: Number of neurons.

    Raises:
        ValueError: If n is not a square number above 0.
    """
    side = math.isqrt(max(n, 0))
    if side * side != n or n < 1:
        raise ValueError(f"hidden_width must be a square number where neurons stand on a grid, got {n}")
    return side, side
