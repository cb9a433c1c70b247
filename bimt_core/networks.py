"""Networks: pure functions of named tensors that declare their wiring."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import silu

from bimt_core.geometry import line
from bimt_core.wiring import Axis, Neurons, Reduction, Wire, Wiring


@dataclass(frozen=True)
class MLP:
    """Multi-layer perceptron with SiLU activations whose layers are lines of neurons.

    Args:
        shape: Neurons in each layer, input first. With an embedding, the input is the embedding's width.
        reduction: R of the connection cost over each tensor.
        folds: Number of tokens the input row is used for; the first weight has `folds * shape[0]` columns.
        vocabulary: Number of tokens of a trainable embedding, or 0 for none: inputs are then the neuron values.

    Raises:
        ValueError: If there are fewer than two layers, a layer is empty, or folds are used without an embedding.
    """

    shape: tuple[int, ...]
    reduction: Reduction = "sum"
    folds: int = 1
    vocabulary: int = 0

    def __post_init__(self) -> None:
        if len(self.shape) < 2 or min(self.shape) < 1:
            raise ValueError(f"shape must have at least 2 layers of at least 1 neuron, got {list(self.shape)}")
        if self.folds < 1 or (self.folds > 1 and not self.vocabulary):
            raise ValueError(f"folds must be 1 without an embedding, got {self.folds}")

    @cached_property
    def wiring(self) -> Wiring:
        """Layers "input", "hidden1", ..., "output"; tensors "weight0", "bias0", ... and "embedding"."""
        names = ["input", *(f"hidden{i}" for i in range(1, len(self.shape) - 1)), "output"]
        neurons = tuple(Neurons(name, line(n)) for name, n in zip(names, self.shape, strict=True))
        wires: list[Wire] = []
        for layer, (source, target) in enumerate(pairwise(names)):
            folds = self.folds if layer == 0 else 1
            wires += [
                Wire(f"weight{layer}", (Axis(target), Axis(source, folds))),
                Wire(f"bias{layer}", (Axis(target),)),
            ]
        if self.vocabulary:
            wires.append(Wire("embedding", (self.vocabulary, Axis("input"))))
        return Wiring(neurons, tuple(wires), self.reduction)

    def forward(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Values of the output neurons, in order of their places.

        Inside, and in the memory of what comes in and goes out, the rows of data are next to each other: measured a
        third faster on a CPU than neurons next to each other.

        Args:
            tensors: One population's parameters, each with the leading dimension networks.
            inputs: Values of the input neurons in order of their places, shape (networks, rows, shape[0]); or tokens,
                int64, shape (rows, folds).

        Returns:
            Shape (networks, rows, shape[-1]).
        """
        values = (tensors["embedding"][:, inputs].flatten(2) if self.vocabulary else inputs).mT
        last = len(self.shape) - 2
        for layer in range(last + 1):
            weight, bias = tensors[f"weight{layer}"], tensors[f"bias{layer}"]
            values = torch.baddbmm(bias.unsqueeze(2), weight, values)
            if layer < last:
                values = silu(values)
        return values.mT

    def initial(self, generator: Generator, dtype: torch.dtype) -> Tensor:
        """Flat parameters of one network drawn as torch.nn.Linear and nn.Embedding draw theirs.

        Weights and biases are uniform on +-1/sqrt(fan in), layer by layer; then the embedding, standard normal.
        """
        tensors = {wire.tensor: torch.empty(self.wiring.shape(wire), dtype=dtype) for wire in self.wiring.wires}
        for layer in range(len(self.shape) - 1):
            weight = tensors[f"weight{layer}"]
            bound = 1 / math.sqrt(weight.shape[1])
            torch.nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
            tensors[f"bias{layer}"].uniform_(-bound, bound, generator=generator)
        if self.vocabulary:
            tensors["embedding"].normal_(generator=generator)
        return self.wiring.flatten(tensors)

    def activation_values(self, rows: int) -> int:
        """Numbers kept for the backward pass of one network on `rows` rows; an estimate for memory."""
        return rows * (self.shape[0] * self.folds + 2 * sum(self.shape[1:]))

    def as_dict(self) -> dict[str, Any]:
        """Plain data that `MLP.from_dict` reads."""
        return {
            "shape": list(self.shape),
            "reduction": self.reduction,
            "folds": self.folds,
            "vocabulary": self.vocabulary,
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "MLP":
        """The network that `as_dict` described."""
        return MLP(tuple(data["shape"]), data["reduction"], data["folds"], data["vocabulary"])
