"""Transformer of the in-context regression task."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Generator, Tensor
from torch.nn.functional import gelu, scaled_dot_product_attention

from bimt_core.geometry import line
from bimt_core.networks.network import draw_linear
from bimt_core.wiring import Neurons, Reduction, Wiring, linear_wires


@dataclass(frozen=True)
class Transformer:
    """Causal transformer without layer norms and position embeddings, as in the paper.

    Values are embedded linearly into a residual stream. Each transformer block adds causal attention, then a perceptron
    with tanh-GELU. A last linear layer reads the stream. The residual stream is one set of neurons, which many tensors
    read and write. Query, key and value share one set of neurons (three folds of the tensor that writes them), in which
    every head is a block: neurons move within their head, and heads move as wholes.

    Args:
        inputs: Number of input values at each sequence index.
        outputs: Number of output values at each sequence index.
        width: Neurons of the residual stream, and of all heads of an attention layer together.
        blocks: Number of attention layers, each followed by a perceptron.
        heads: Heads per attention layer.
        hidden_width: Hidden neurons per perceptron.
        reduction: R of the connection cost over each tensor.

    Raises:
        ValueError: If a size is below 1, or the heads do not divide the width.

    Examples:
        >>> network = Transformer(2, 1, width=8, blocks=1, heads=2, hidden_width=16)
        >>> [(neurons.name, neurons.blocks) for neurons in network.wiring.neurons]
        [('input', 1), ('residual', 1), ('heads1', 2), ('hidden1', 1), ('output', 1)]
    """

    inputs: int
    outputs: int
    width: int = 32
    blocks: int = 2
    heads: int = 1
    hidden_width: int = 128
    reduction: Reduction = "mean"

    takes_tokens = False

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "width", "blocks", "heads", "hidden_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.width % self.heads:
            raise ValueError(f"heads must divide the width {self.width}, got {self.heads}")

    @cached_property
    def wiring(self) -> Wiring:
        """Sets "input", "residual", "heads1", "hidden1", ..., "output"; tensors "embed.weight", "embed.bias", ..."""
        neurons = [Neurons("input", line(self.inputs)), Neurons("residual", line(self.width))]
        wires = [*linear_wires("embed", "input", "residual")]
        for block in range(1, self.blocks + 1):
            heads, hidden = f"heads{block}", f"hidden{block}"
            neurons += [Neurons(heads, line(self.width), blocks=self.heads), Neurons(hidden, line(self.hidden_width))]
            wires += [
                *linear_wires(f"attend{block}", "residual", heads, target_folds=3),
                *linear_wires(f"attended{block}", heads, "residual"),
                *linear_wires(f"expand{block}", "residual", hidden),
                *linear_wires(f"contract{block}", hidden, "residual"),
            ]
        neurons.append(Neurons("output", line(self.outputs)))
        wires += linear_wires("read", "residual", "output")
        return Wiring(tuple(neurons), tuple(wires), self.reduction)

    def forward(self, tensors: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """See `Network.forward`."""
        sequences = inputs.shape[1:3]

        def apply(name: str, values: Tensor) -> Tensor:
            return torch.baddbmm(tensors[f"{name}.bias"].unsqueeze(1), values, tensors[f"{name}.weight"].mT)

        stream = apply("embed", inputs.flatten(1, 2))
        for block in range(1, self.blocks + 1):
            folds = apply(f"attend{block}", stream).unflatten(1, sequences).unflatten(3, (3, self.heads, -1))
            query, key, value = folds.transpose(2, 4).unbind(3)  # (networks, rows, heads, sequence_length, head width)
            attended = scaled_dot_product_attention(query, key, value, is_causal=True)
            stream = stream + apply(f"attended{block}", attended.transpose(2, 3).flatten(3).flatten(1, 2))
            hidden = gelu(apply(f"expand{block}", stream), approximate="tanh")
            stream = stream + apply(f"contract{block}", hidden)
        values: Tensor = apply("read", stream).unflatten(1, sequences)
        return values

    def initial_parameters(self, generator: Generator, dtype: torch.dtype) -> Tensor:
        """See `Network.initial_parameters`; as in torch.nn.Linear, layer by layer from input to output."""
        flat = torch.empty(self.wiring.n_parameters, dtype=dtype)
        tensors = self.wiring.tensors(flat)
        for wire in self.wiring.weights:
            name = wire.tensor.removesuffix(".weight")
            draw_linear(tensors[f"{name}.weight"], tensors[f"{name}.bias"], generator)
        return flat

    def activation_values(self, rows: int) -> int:
        """See `Network.activation_values`."""
        return rows * (self.inputs + self.outputs + self.blocks * (7 * self.width + 2 * self.hidden_width))

    def resize(self, hidden_width: int | None, hidden_layers: int | None) -> "Transformer":
        """See `Network.resize`; the width is that of the perceptrons, and layers are transformer blocks."""
        width = self.hidden_width if hidden_width is None else hidden_width
        blocks = self.blocks if hidden_layers is None else hidden_layers
        return replace(self, hidden_width=width, blocks=blocks)
