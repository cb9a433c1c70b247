"""Wiring: which tensor connects which neurons.

A wiring is a list of neuron sets and a list of wires. A wire is one tensor of the network with, for each of its
dimensions, the neurons that dimension belongs to. A layer of a perceptron, attention heads, a residual stream (one set
of neurons tied to many tensors) and a recurrent layer (a tensor with the same neurons twice) are all cases of it. Cost
and relocation read nothing else, so they are written once for every architecture. All tensors of a network are stored
end to end in one flat vector, and a population of networks is a matrix with one row a network; `Wiring.tensors` gives
the named views.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Literal, TypeVar, get_args

import numpy.typing as npt
import torch
from torch import Tensor

from bimt_core.geometry import DISTANCES, Distance

Reduction = Literal["sum", "mean"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)

ACTIVE = 1e-3  # |weight| above which a weight counts as active, as in the paper's edge counts
Array = TypeVar("Array", Tensor, npt.NDArray[Any])


def is_active(weights: Array) -> Array:
    """Tests which weights are active.

    Args:
        weights: A tensor or numpy array of any shape.

    Returns:
        |weight| > `ACTIVE` for every entry, bool, same shape.

    Examples:
        >>> is_active(torch.tensor([0.5, -0.0001, -2.0]))
        tensor([ True, False,  True])
    """
    active: Array = abs(weights) > ACTIVE
    return active


@dataclass(frozen=True, eq=False)
class Neurons:
    """A set of neurons that share one row (or grid) of positions.

    Args:
        name: Unique name, such as "hidden1".
        positions: In-layer positions, shape (n, dimensions).
        movable: Whether relocation may rearrange them.
        blocks: Equal blocks of neighbours, such as attention heads: relocation rearranges the neurons within a block
            and whole blocks, so that a block stays together.

    Raises:
        ValueError: If there is no neuron, or the blocks do not divide the neurons.
    """

    name: str
    positions: Tensor
    movable: bool = True
    blocks: int = 1

    def __post_init__(self) -> None:
        if self.positions.ndim != 2 or not len(self.positions):
            raise ValueError(
                f"positions of neurons {self.name!r} must have shape (n, dimensions) with n at least 1, "
                f"got {tuple(self.positions.shape)}"
            )
        if self.blocks < 1 or len(self.positions) % self.blocks:
            raise ValueError(f"{self.blocks} blocks do not divide the {len(self)} neurons of {self.name!r}")

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

    @property
    def is_recurrent(self) -> bool:
        """Whether it connects a set of neurons to itself."""
        return self.is_weight and self.ends[0].neurons == self.ends[1].neurons


def linear_wires(
    name: str, source: str, target: str, *, source_folds: int = 1, target_folds: int = 1
) -> tuple[Wire, Wire]:
    """The two wires of a `torch.nn.Linear`: "NAME.weight", shape (target, source), and "NAME.bias".

    Args:
        name: The module's name.
        source: The neurons it reads.
        target: The neurons it writes.
        source_folds: How many times the source neurons follow each other in the weight's columns.
        target_folds: The same of the target neurons and the rows, such as 3 for query, key and value.
    """
    to = Axis(target, target_folds)
    return Wire(f"{name}.weight", (to, Axis(source, source_folds))), Wire(f"{name}.bias", (to,))


@dataclass(frozen=True, eq=False)
class Wiring:
    """Neuron sets, in the order relocation visits them, and the tensors attached to them.

    Args:
        neurons: Neuron sets, input first, output last.
        wires: Tensors in storage order, the last weight being the last layer.
        reduction: R of the connection cost: "sum" or "mean" over the entries of each tensor.
        distance: In-layer distance; the paper's is "manhattan".
        distance_power: What the distance is raised to; the paper's is 1.

    Raises:
        ValueError: If a name is used twice, an axis names unknown neurons, a tensor has no neuron axis, or more than
            two, or two and another dimension, or no entries, connected neurons have positions of different dimensions,
            neurons in blocks are connected to themselves, no tensor connects neurons, reduction or distance is unknown,
            or the distance's power is not above 0.
    """

    neurons: tuple[Neurons, ...]
    wires: tuple[Wire, ...]
    reduction: Reduction = "sum"
    distance: Distance = "manhattan"
    distance_power: float = 1.0
    _by_name: dict[str, Neurons] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {neurons.name: neurons for neurons in self.neurons})
        if len(self._by_name) < len(self.neurons):
            raise ValueError(f"neuron names must differ, got {[neurons.name for neurons in self.neurons]}")
        for what, value, known in (
            ("reduction", self.reduction, REDUCTIONS),
            ("distance", self.distance, DISTANCES),
        ):
            if value not in known:
                raise ValueError(f"{what} must be one of {', '.join(known)}, got {value!r}")
        if not self.distance_power > 0:
            raise ValueError(f"distance_power must be above 0, got {self.distance_power}")
        twice = [name for name, times in Counter(wire.tensor for wire in self.wires).items() if times > 1]
        if twice:
            raise ValueError(f"a tensor is attached once, {twice[0]!r} is attached twice")
        for wire in self.wires:
            self._check(wire)
        if not self.weights:
            raise ValueError("a wiring needs a tensor that connects two sets of neurons, got none")

    def _check(self, wire: Wire) -> None:
        for end in wire.ends:
            if end.neurons not in self._by_name:
                raise ValueError(
                    f"tensor {wire.tensor!r} names unknown neurons {end.neurons!r}, known are {list(self._by_name)}"
                )
        if len(wire.ends) != 1 and not len(wire.ends) == len(wire.axes) == 2:
            raise ValueError(
                f"tensor {wire.tensor!r} must have one neuron axis, or two and no other dimension, "
                f"got {len(wire.ends)} in {len(wire.axes)} dimensions"
            )
        if min(self.shape(wire)) < 1:
            raise ValueError(f"tensor {wire.tensor!r} must have entries, got shape {self.shape(wire)}")
        if wire.is_weight:
            self._check_ends(wire)

    def _check_ends(self, wire: Wire) -> None:
        one, other = (self[end.neurons] for end in wire.ends)
        if one.positions.shape[1] != other.positions.shape[1]:
            raise ValueError(
                f"tensor {wire.tensor!r} connects neurons at positions of different dimensions: "
                f"{one.name!r} has {one.positions.shape[1]}, {other.name!r} has {other.positions.shape[1]}"
            )
        if wire.is_recurrent and one.blocks > 1:
            raise ValueError(f"tensor {wire.tensor!r} connects neurons in blocks ({one.name!r}) to themselves")

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

    def scale(self, wire: Wire) -> float:
        """What R multiplies each entry of the wire's tensor by: 1, or 1 / number of entries."""
        return 1.0 if self.reduction == "sum" else 1.0 / prod(self.shape(wire))

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

    def lengths(self, wire: Wire) -> Tensor:
        """In-layer distance (to its power) of every entry of a weight, shape of its tensor; folds share positions."""
        target, source = wire.ends
        return self.between(self[target.neurons], self[source.neurons]).repeat(target.folds, source.folds)

    def between(self, target: Neurons, source: Neurons) -> Tensor:
        """In-layer distances between two sets of neurons to their power, shape (n target, n source)."""
        return DISTANCES[self.distance](target.positions, source.positions) ** self.distance_power


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


def parameters_at(wiring: Wiring, chosen: Mapping[str, Tensor]) -> Tensor:
    """Which parameters belong to chosen neurons: their incoming and outgoing weights, biases and embeddings.

    Args:
        wiring: The wiring.
        chosen: For some sets of neurons, which of them, bool, shape (networks, n).

    Returns:
        Bool, shape (networks, n_parameters).
    """
    some = next(iter(chosen.values()))
    parts = []
    for wire in wiring.wires:
        shape = wiring.shape(wire)
        mask = torch.zeros(len(some), *shape, dtype=torch.bool, device=some.device)
        for dimension, axis in enumerate(wire.axes):
            if isinstance(axis, Axis) and axis.neurons in chosen:
                here = chosen[axis.neurons].repeat(1, axis.folds)
                mask = mask | here.unflatten(1, [-1 if d == dimension else 1 for d in range(len(shape))])
        parts.append(mask.flatten(1))
    return torch.cat(parts, dim=1)
