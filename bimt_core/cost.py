"""What the connections of a network cost."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bimt_core.wiring import Wiring


@dataclass(frozen=True, eq=False)
class ConnectionCost:
    """The paper's connection cost as one coefficient a parameter.

    connection cost = sum over tensors of R(|W| * (A * d + y0)) + R(|b| * y0) [+ R(|E| * y0) for an embedding],
    with A the weight factor, d the in-layer distance, y0 the layer distance and R the wiring's reduction. It is linear
    in |parameters|, so it is a scalar product, and its subgradient is coefficient * sign(parameter).

    Args:
        distance: d of each parameter (0 where there is none), shape (n_parameters,).
        scale: 1, or 1 / number of entries of the parameter's tensor, shape (n_parameters,).
        is_bias: Which parameters are biases, shape (n_parameters,).
    """

    distance: Tensor
    scale: Tensor
    is_bias: Tensor

    @staticmethod
    def of(wiring: Wiring, *, local_last: bool = True) -> "ConnectionCost":
        """Reads the coefficients off a wiring.

        Args:
            wiring: The network's wiring.
            local_last: Whether distance counts in the last weight tensor (False: the paper's no_penalize_last).
        """
        last = wiring.weights[-1]
        local = {wire.tensor for wire in wiring.weights if local_last or wire is not last}
        distance = [
            wiring.lengths(wire).flatten() if wire.tensor in local else torch.zeros(size, dtype=torch.float64)
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
        """Cost of one unit of each parameter.

        Args:
            weight_factor: A, one a network, shape (networks,).
            layer_distance: y0, one a network, shape (networks,).
            penalise_bias: Whether biases cost anything.

        Returns:
            Coefficients, shape (networks, n_parameters), in the dtype and on the device of `weight_factor`.
        """
        distance, scale = self.distance.to(weight_factor), self.scale.to(weight_factor)
        cost = scale * (weight_factor.unsqueeze(1) * distance + layer_distance.unsqueeze(1))
        return cost if penalise_bias else cost.masked_fill(self.is_bias.to(cost.device), 0.0)

    def wiring_length(self, flat: Tensor) -> Tensor:
        """Sum of |weight| * distance over all weights, whatever the reduction; shape (networks,)."""
        return flat.abs() @ self.distance.to(flat)


def connection_cost(flat: Tensor, coefficients: Tensor) -> Tensor:
    """Connection cost of each network.

    Args:
        flat: Parameters, shape (networks, n_parameters).
        coefficients: From `ConnectionCost.coefficients`, same shape.

    Returns:
        Cost, shape (networks,).
    """
    return (flat.abs() * coefficients).sum(1)
