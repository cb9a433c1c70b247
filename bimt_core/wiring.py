"""Wiring: which tensor connects which neurons, and what the connections cost.

A wiring is a list of neuron sets and a list of wires. A wire is one tensor of the network with, for each of its
dimensions, the neurons that dimension belongs to. Cost and relocation read nothing else, so they are written once for
every architecture. All tensors of a network are stored end to end in one flat vector, and a population of networks is a
matrix with one row a network; `Wiring.tensors` gives the named views.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Literal

import torch
from torch import Tensor

from bimt_core.geometry import manhattan

Reduction = Literal["sum", "mean"]


@dataclass(frozen=True, eq=False)
class Neurons:
    """A set of neurons that share one row (or grid) of positions.

    Args:
        name: Unique name, such as "hidden1".
        positions: In-layer positions, shape (n, dimensions).
        movable: Whether relocation may rearrange them.
    """

    name: str
    positions: Tensor
    movable: bool = True

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class Axis:
    """A tensor dimension that runs over a set of neurons, `folds` times one after the other.

    Two folds are an input made of two tokens: the positions are tiled, and moving a neuron moves it in every fold.
    """

    neurons: str
    folds: int = 1


@dataclass(frozen=True)
class Wire:
    """One tensor of the network and what its dimensions belong to.

    Two neuron axes (target, source) make it a weight, whose entries cost by distance; one axis of a vector makes it a
    bias; one axis of a matrix makes it an embedding. An integer stands for a plain dimension of that size.
    """

    tensor: str
    axes: tuple[Axis | int, ...]

    @property
    def ends(self) -> tuple[Axis, ...]:
        """The axes that belong to neurons."""
        return tuple(axis for axis in self.axes if isinstance(axis, Axis))

    @property
    def is_weight(self) -> bool:
        return len(self.ends) == 2

    @property
    def is_bias(self) -> bool:
        return len(self.axes) == 1


@dataclass(frozen=True, eq=False)
class Wiring:
    """Neuron sets, in the order relocation visits them, and the tensors attached to them.

    Args:
        neurons: Neuron sets, input first, output last.
        wires: Tensors in storage order.
        reduction: R of the connection cost: "sum" or "mean" over the entries of each tensor.

    Raises:
        ValueError: If a name is used twice, an axis names unknown neurons, a tensor has no or more than two neuron
            axes, or its two axes are the same neurons (recurrent wiring).
    """

    neurons: tuple[Neurons, ...]
    wires: tuple[Wire, ...]
    reduction: Reduction = "sum"
    _by_name: dict[str, Neurons] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {neurons.name: neurons for neurons in self.neurons})
        if len(self._by_name) < len(self.neurons):
            raise ValueError(f"neuron names must differ, got {[neurons.name for neurons in self.neurons]}")
        if len({wire.tensor for wire in self.wires}) < len(self.wires):
            raise ValueError(f"a tensor is attached once, got {[wire.tensor for wire in self.wires]}")
        for wire in self.wires:
            for end in wire.ends:
                if end.neurons not in self._by_name:
                    raise ValueError(f"tensor {wire.tensor!r} names unknown neurons {end.neurons!r}")
            if len(wire.ends) not in (1, 2):
                raise ValueError(f"tensor {wire.tensor!r} must have 1 or 2 neuron axes, got {len(wire.ends)}")
            if wire.is_weight and wire.ends[0].neurons == wire.ends[1].neurons:
                raise ValueError(f"tensor {wire.tensor!r} connects {wire.ends[0].neurons!r} to itself: not supported")

    def __getitem__(self, name: str) -> Neurons:
        return self._by_name[name]

    @property
    def inputs(self) -> Neurons:
        return self.neurons[0]

    @property
    def outputs(self) -> Neurons:
        return self.neurons[-1]

    @property
    def weights(self) -> tuple[Wire, ...]:
        """The wires that connect two sets of neurons."""
        return tuple(wire for wire in self.wires if wire.is_weight)

    def shape(self, wire: Wire) -> tuple[int, ...]:
        """Shape of the wire's tensor in one network."""
        return tuple(axis if isinstance(axis, int) else len(self[axis.neurons]) * axis.folds for axis in wire.axes)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of entries of each wire's tensor."""
        return tuple(prod(self.shape(wire)) for wire in self.wires)

    @property
    def n_parameters(self) -> int:
        return sum(self.sizes)

    def tensors(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of flat parameters as named tensors.

        Args:
            flat: Parameters, shape (..., n_parameters).

        Returns:
            Tensor name to view, shape (..., *shape of the tensor).
        """
        parts = flat.split(self.sizes, dim=-1)
        return {w.tensor: part.unflatten(-1, self.shape(w)) for w, part in zip(self.wires, parts, strict=True)}

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Inverse of `tensors`: named tensors with equal leading dimensions stored end to end."""
        parts = [tensors[wire.tensor].flatten(-len(wire.axes)) for wire in self.wires]
        return torch.cat(parts, dim=-1)

    def distance(self, wire: Wire) -> Tensor:
        """In-layer distance of every entry of a weight, shape of its tensor; folds share positions."""
        target, source = wire.ends
        return self.between(self[target.neurons], self[source.neurons]).repeat(target.folds, source.folds)

    def between(self, target: Neurons, source: Neurons) -> Tensor:
        """In-layer distances between two sets of neurons, shape (n target, n source)."""
        return manhattan(target.positions, source.positions)


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
            wiring.distance(wire).flatten() if wire.tensor in local else torch.zeros(size, dtype=torch.float64)
            for wire, size in zip(wiring.wires, wiring.sizes, strict=True)
        ]
        scale = [1.0 if wiring.reduction == "sum" else 1.0 / size for size in wiring.sizes]
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


def parameter_order(wiring: Wiring, order: Mapping[str, Tensor], *, embeddings_only: bool = False) -> Tensor:
    """Where each parameter comes from when neurons are rearranged.

    Args:
        wiring: The wiring.
        order: For every set of neurons that moves, which neuron (by its present place) goes to each place, int64,
            shape (networks, n). Sets that are left out stay.
        embeddings_only: Only embeddings go along. The published code moves weights and biases without their optimiser
            moments, but permutes what an embedding gives, so that an embedding keeps its own.

    Returns:
        Index into the flat parameters, int64, shape (networks, n_parameters): `flat.gather(1, index)` rearranges
        weights, optimiser moments or gradients alike.
    """
    some = next(iter(order.values()))
    networks, device = len(some), some.device
    parts, offset = [], 0
    for wire, size in zip(wiring.wires, wiring.sizes, strict=True):
        index = torch.zeros(networks, 1, dtype=torch.int64, device=device)
        for axis, length in zip(wire.axes, wiring.shape(wire), strict=True):
            places = torch.arange(length, device=device).expand(networks, length)
            stays = embeddings_only and (wire.is_weight or wire.is_bias)
            if isinstance(axis, Axis) and axis.neurons in order and not stays:
                n = length // axis.folds
                folds = n * torch.arange(axis.folds, device=device).unsqueeze(1)
                places = (order[axis.neurons].unsqueeze(1) + folds).flatten(1)
            index = (index.unsqueeze(2) * length + places.unsqueeze(1)).flatten(1)
        parts.append(index + offset)
        offset += size
    return torch.cat(parts, dim=1)
