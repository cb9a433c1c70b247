"""Connection cost of networks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bimt_core.hyperparameters import PerNetworkHyperparameters
from bimt_core.wiring import Wiring


@dataclass(frozen=True, eq=False)
class ConnectionCost:
    """The paper's connection cost as one coefficient per parameter.

    connection cost = sum over tensors of R(|W| * (A * d + y0)) + R(|b| * y0) [+ R(|E| * y0) for an embedding],
    with A the weight factor, d the in-layer distance, y0 the layer distance and R the wiring's reduction. It is linear
    in |parameters|, so it is a scalar product, and its subgradient is coefficient * sign(parameter).

    Args:
        distance: d of each parameter (0 for biases and embeddings), shape (n_parameters,).
        scale: 1, or 1 / number of entries of the parameter's tensor, shape (n_parameters,).
        is_bias: True for biases, shape (n_parameters,).

    Examples:
        >>> from bimt_core import MLP
        >>> cost = ConnectionCost.from_wiring(MLP((1, 2)).wiring)
        >>> cost.coefficients(weight_factor=torch.ones(1), layer_distance=torch.full((1,), 0.5))
        tensor([[0.7500, 0.7500, 0.5000, 0.5000]])
    """

    distance: Tensor
    scale: Tensor
    is_bias: Tensor

    @staticmethod
    def from_wiring(wiring: Wiring, *, local_last: bool = True) -> "ConnectionCost":
        """Computes the parts of the coefficients that depend on the wiring only.

        Args:
            wiring: The network's wiring.
            local_last: If False, distance does not count in the last weight tensor (the paper's no_penalize_last).
        """
        local = wiring.weights if local_last else wiring.weights[:-1]
        distance = [
            wiring.lengths(wire).flatten() if wire in local else torch.zeros(size, dtype=torch.float64)
            for wire, size in zip(wiring.wires, wiring.sizes, strict=True)
        ]
        scale = [wiring.scale(wire) for wire in wiring.wires]
        sizes = torch.tensor(wiring.sizes)
        return ConnectionCost(
            torch.cat(distance),
            torch.tensor(scale, dtype=torch.float64).repeat_interleave(sizes),
            torch.tensor([wire.is_bias for wire in wiring.wires]).repeat_interleave(sizes),
        )

    def coefficients(self, weight_factor: Tensor, layer_distance: Tensor, *, penalise_bias: bool = True) -> Tensor:
        """Computes the cost of one unit of each parameter, shape (networks, n_parameters).

        Args:
            weight_factor: A of each network, shape (networks,); its dtype and device are those of the result.
            layer_distance: y0 of each network, shape (networks,).
            penalise_bias: If False, biases cost nothing.
        """
        distance, scale = self.distance.to(weight_factor), self.scale.to(weight_factor)
        cost = scale * (weight_factor.unsqueeze(1) * distance + layer_distance.unsqueeze(1))
        return cost if penalise_bias else cost.masked_fill(self.is_bias.to(cost.device), 0.0)

    def wiring_length(self, flat: Tensor) -> Tensor:
        """Computes the sum of |weight| * distance over all weights, whatever the reduction; shape (networks,).

        Args:
            flat: Parameters, shape (networks, n_parameters).
        """
        return flat.abs() @ self.distance.to(flat)


def connection_cost(flat: Tensor, coefficients: Tensor) -> Tensor:
    """Computes the connection cost of each network, shape (networks,).

    Args:
        flat: Parameters, shape (networks, n_parameters).
        coefficients: From `ConnectionCost.coefficients`, same shape.

    Examples:
        >>> connection_cost(torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 0.25]]))
        tensor([1.])
    """
    return (flat.abs() * coefficients).sum(1)


def published_cost(wiring: Wiring, flat: Tensor, published: PerNetworkHyperparameters) -> Tensor:
    """Computes the reported connection cost, shape (networks,), with the published weight factor and layer distance.

    It therefore compares networks that were trained with different weight factors, layer distances or reductions.

    Args:
        wiring: The network's own wiring.
        flat: Parameters, shape (networks, n_parameters).
        published: `Task.per_network`, the task's published values.
    """
    factor, distance = (flat.new_full((1,), value) for value in (published.weight_factor, published.layer_distance))
    return connection_cost(flat, ConnectionCost.from_wiring(wiring).coefficients(factor, distance))
