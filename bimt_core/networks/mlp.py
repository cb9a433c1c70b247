"""Multi-layer perceptron."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import torch
from torch import Generator, Tensor
from torch.nn.functional import silu

from bimt_core.geometry import grid, line, ring
from bimt_core.networks.network import draw_linear, square
from bimt_core.wiring import Axis, Neurons, Reduction, Wire, Wiring

Size = int | tuple[int, int]


@dataclass(frozen=True)
class MLP:
    """Multi-layer perceptron with SiLU activations.

    Args:
        shape: Size of each layer, input first: a number of neurons on a line, or (rows, columns) of a grid. With an
            embedding, the first is the embedding's width.
        reduction: R of the connection cost over each tensor.
        folds: Tokens per row of data; the first weight has `folds` times the columns of the input.
        vocabulary: Number of tokens of a trainable embedding; 0 for none.
        ring_outputs: If True, the outputs are on a ring, and all other layers on grids.
        fixed_inputs: If True, the inputs never move, such as the pixels of an image.

    Raises:
        ValueError: If there are fewer than two layers, a layer is empty, grids and lines are mixed, the vocabulary is
            negative, or folds are used without an embedding.

    Examples:
        >>> [(neurons.name, len(neurons)) for neurons in MLP((4, 20, 2)).wiring.neurons]
        [('input', 4), ('hidden1', 20), ('output', 2)]
    """

    shape: tuple[Size, ...]
    reduction: Reduction = "sum"
    folds: int = 1
    vocabulary: int = 0
    ring_outputs: bool = False
    fixed_inputs: bool = False

    def __post_init__(self) -> None:
        shape = [list(size) if isinstance(size, tuple) else size for size in self.shape]
        if len(shape) < 2 or min(min(size) if isinstance(size, list) else size for size in shape) < 1:
            raise ValueError(f"shape must have at least 2 layers of at least 1 neuron, got {shape}")
        grids = [isinstance(size, tuple) for size in self.shape]
        fits = grids == [True] * (len(grids) - 1) + [False] if self.ring_outputs else len(set(grids)) == 1
        if not fits:
            raise ValueError(
                "shape must be all lines, or all grids (rows, columns) with perhaps a number of outputs on a ring, "
                f"got {shape}, ring_outputs={self.ring_outputs}"
            )
        if self.vocabulary < 0:
            raise ValueError(f"vocabulary must be at least 0, got {self.vocabulary}")
        if self.folds < 1 or (self.folds > 1 and not self.vocabulary):
            raise ValueError(f"folds must be 1 without an embedding, got {self.folds}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of neurons in each layer."""
        return tuple(math.prod(size) if isinstance(size, tuple) else size for size in self.shape)

    @property
    def takes_tokens(self) -> bool:
        """True if there is an embedding."""
        return self.vocabulary > 0

    @cached_property
    def wiring(self) -> Wiring:
        """Sets "input", "hidden1", ..., "output"; tensors "weight0", "bias0", ... and "embedding"."""
        names = ["input", *(f"hidden{i}" for i in range(1, len(self.shape) - 1)), "output"]
        positions = [grid(*size) if isinstance(size, tuple) else line(size) for size in self.shape]
        if self.ring_outputs:
            positions[-1] = ring(self.widths[-1])
        neurons = [Neurons(*pair) for pair in zip(names, positions, strict=True)]
        if self.fixed_inputs:
            neurons[0] = replace(neurons[0], movable=False)
        wires: list[Wire] = []
        for layer, (source, target) in enumerate(pairwise(names)):
            columns = Axis(source, self.folds if layer == 0 else 1)
            wires += [Wire(f"weight{layer}", (Axis(target), columns)), Wire(f"bias{layer}", (Axis(target),))]
        if self.vocabulary:
            wires.append(Wire("embedding", (self.vocabulary, Axis("input"))))
        return Wiring(tuple(neurons), tuple(wires), self.reduction)

    def forward(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """See `Network.forward`.

        Rows of data are contiguous in memory, in the inputs, the outputs and between: a third faster on a CPU, as
        measured, than contiguous neurons. With an embedding, the first layer is computed for every token of the
        vocabulary and not for every row, of which there are many more.
        """
        values = self._first_layer(tensors, inputs)
        for layer in range(1, len(self.shape) - 1):
            weight, bias = tensors[f"weight{layer}"], tensors[f"bias{layer}"]
            values = torch.baddbmm(bias.unsqueeze(2), weight, silu(values))
        return values.mT

    def _first_layer(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Values before the activation function, shape (networks, neurons, rows)."""
        weight, bias = tensors["weight0"], tensors["bias0"].unsqueeze(2)
        if not self.vocabulary:
            return torch.baddbmm(bias, weight, inputs.mT)
        tokens = tensors["embedding"].mT
        folds = weight.unflatten(2, (self.folds, -1)).unbind(2)
        values = [look_up(torch.bmm(w, tokens), token) for w, token in zip(folds, inputs.mT, strict=True)]
        return sum(values[1:], values[0] + bias)

    def initial_parameters(self, generator: Generator, dtype: torch.dtype) -> Tensor:
        """See `Network.initial_parameters`.

        As in torch.nn.Linear and nn.Embedding, weights and biases are uniform on +-1/sqrt(fan in), layer by layer; then
        the embedding, standard normal.
        """
        flat = torch.empty(self.wiring.n_parameters, dtype=dtype)
        tensors = self.wiring.tensors(flat)
        for layer in range(len(self.shape) - 1):
            draw_linear(tensors[f"weight{layer}"], tensors[f"bias{layer}"], generator)
        if self.vocabulary:
            tensors["embedding"].normal_(generator=generator)
        return flat

    def activation_values(self, rows: int) -> int:
        """See `Network.activation_values`."""
        first, *rest = self.widths
        return rows * (first * self.folds + 2 * sum(rest))

    def resize(self, hidden_width: int | None, hidden_layers: int | None) -> "MLP":
        """See `Network.resize`.

        Raises:
            ValueError: If a number is below 1, or the width of a grid is not a square number.
        """
        first, *hidden, last = self.shape
        for name, size in (("hidden_width", hidden_width), ("hidden_layers", hidden_layers)):
            if size is not None and size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        if hidden_width is not None:
            hidden = [square(hidden_width) if isinstance(first, tuple) else hidden_width] * max(1, len(hidden))
        if hidden_layers not in (None, len(hidden)):
            if not hidden:
                raise ValueError(f"hidden_width is needed if there is no hidden layer yet, got {hidden_layers=}")
            hidden = hidden[:1] * hidden_layers
        return replace(self, shape=(first, *hidden, last))


def look_up(by_token: Tensor, token: Tensor) -> Tensor:
    """Selects the values of each row's token, shape (networks, neurons, rows).

    On CUDA this is a product with one-hot rows: the gradient of indexing is summed in no fixed order there.

    Args:
        by_token: Values for every token, shape (networks, neurons, tokens).
        token: Token of each row, int64, shape (rows,).
    """
    if not by_token.is_cuda:
        return by_token.index_select(2, token)
    one_hot = torch.arange(by_token.shape[2], device=token.device).unsqueeze(1) == token
    return by_token @ one_hot.to(by_token.dtype)
