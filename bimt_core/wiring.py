"""Wiring: the declaration of the tensors that connect neurons.

A wiring is a list of sets of neurons and a list of wires. A wire is one tensor of the network, with the neurons that
each of its dimensions belongs to. Layers of a perceptron, attention heads, a residual stream (one set of neurons with
many tensors) and a recurrent layer (a tensor with the same set twice) are all cases of it. Cost and relocation depend
on the wiring only, so they are written once for all architectures. The tensors of a network are concatenated to one
flat vector, and a population is a matrix with one row per network. `Wiring.tensors` gives named views of it.
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
    """Tests for each weight whether it is active: |weight| > `ACTIVE`.

    Args:
        weights: A tensor or numpy array of any shape.

    Examples:
        >>> is_active(torch.tensor([0.5, -0.0001, -2.0]))
        tensor([ True, False,  True])
    """
    active: Array = abs(weights) > ACTIVE
    return active


@dataclass(frozen=True, eq=False)
class Neurons:
    """A set of neurons that share one row, grid or ring of positions.

    Args:
        name: Unique name, such as "hidden1".
        positions: In-layer positions, shape (n, dimensions).
        movable: If False, relocation does not move them.
        blocks: Number of equal blocks of consecutive neurons, such as attention heads. Relocation moves neurons within
            their block, and whole blocks.

    Raises:
        ValueError: If the set is empty, or the blocks do not divide it.

    Examples:
        >>> from bimt_core.geometry import line
        >>> len(Neurons("heads1", line(8), blocks=2))
        8
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
    """A tensor dimension that consists of a set of neurons, repeated for every fold.

    Two folds are an input of two tokens. All folds have the same positions, and a neuron moves in all of them.

    Args:
        neurons: Name of the set.
        folds: Number of repetitions.
    """

    neurons: str
    folds: int = 1


@dataclass(frozen=True)
class Wire:
    """One tensor of the network, with the neurons of its dimensions.

    With two neuron axes (target, source) it is a weight, whose entries cost by distance. A vector is a bias. A matrix
    with one neuron axis is an embedding.

    Args:
        tensor: Name of the tensor.
        axes: An axis, or the size of a dimension without neurons, for each dimension.
    """

    tensor: str
    axes: tuple[Axis | int, ...]

    @property
    def ends(self) -> tuple[Axis, ...]:
        """Axes that belong to neurons."""
        return tuple(axis for axis in self.axes if isinstance(axis, Axis))

    @property
    def is_weight(self) -> bool:
        return len(self.ends) == 2

    @property
    def is_bias(self) -> bool:
        return len(self.axes) == 1

    @property
    def is_recurrent(self) -> bool:
        """True if it connects a set of neurons to itself."""
        return self.is_weight and self.ends[0].neurons == self.ends[1].neurons


def linear_wires(
    name: str, source: str, target: str, *, source_folds: int = 1, target_folds: int = 1
) -> tuple[Wire, Wire]:
    """Declares the two wires of a `torch.nn.Linear`: "NAME.weight", shape (target, source), and "NAME.bias".

    Args:
        name: Name of the module.
        source: Name of the set of neurons that it reads.
        target: Name of the set of neurons that it writes.
        source_folds: Folds of the source neurons in the weight's columns.
        target_folds: Folds of the target neurons in its rows, such as 3 for query, key and value.

    Examples:
        >>> [wire.tensor for wire in linear_wires("fc1", "input", "hidden1")]
        ['fc1.weight', 'fc1.bias']
    """
    rows = Axis(target, target_folds)
    return Wire(f"{name}.weight", (rows, Axis(source, source_folds))), Wire(f"{name}.bias", (rows,))


@dataclass(frozen=True, eq=False)
class Wiring:
    """Sets of neurons, in the order in which relocation visits them, and the tensors attached to them.

    Args:
        neurons: Sets of neurons, input first, output last.
        wires: Tensors in storage order; the last weight is the last layer.
        reduction: R of the connection cost: "sum" or "mean" over the entries of each tensor.
        distance: In-layer distance; the paper's is "manhattan".
        distance_power: Power of the distance, above 0; the paper's is 1.

    Raises:
        ValueError: If names are not unique or unknown, a tensor is empty or has an impossible combination of axes,
            connected neurons have positions of different dimensions, neurons in blocks are connected to themselves, no
            tensor connects neurons, or reduction, distance or its power is not allowed.

    Examples:
        >>> from bimt_core.geometry import line
        >>> neurons = Neurons("input", line(4)), Neurons("output", line(2))
        >>> Wiring(neurons, linear_wires("fc", "input", "output")).n_parameters
        10
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
        for name, known in (("reduction", REDUCTIONS), ("distance", DISTANCES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if not self.distance_power > 0:
            raise ValueError(f"distance_power must be above 0, got {self.distance_power}")
        for tensor, times in Counter(wire.tensor for wire in self.wires).items():
            if times > 1:
                raise ValueError(f"every tensor must be attached once, {tensor!r} is attached {times} times")
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
        if not wire.is_weight:
            return
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
        """Wires that connect two sets of neurons."""
        return tuple(wire for wire in self.wires if wire.is_weight)

    def shape(self, wire: Wire) -> tuple[int, ...]:
        """Computes the shape of the wire's tensor in one network.

        Args:
            wire: One of the wires.
        """
        return tuple(axis if isinstance(axis, int) else len(self[axis.neurons]) * axis.folds for axis in wire.axes)

    def scale(self, wire: Wire) -> float:
        """Computes the factor that R gives each entry of the wire's tensor: 1, or 1 / number of entries.

        Args:
            wire: One of the wires.
        """
        return 1.0 if self.reduction == "sum" else 1.0 / prod(self.shape(wire))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of entries of each wire's tensor."""
        return tuple(prod(self.shape(wire)) for wire in self.wires)

    @property
    def n_parameters(self) -> int:
        return sum(self.sizes)

    def tensors(self, flat: Tensor) -> dict[str, Tensor]:
        """Splits flat parameters into named views, shape (..., *shape of the tensor).

        Args:
            flat: Parameters, shape (..., n_parameters).
        """
        parts = flat.split(self.sizes, dim=-1)
        return {w.tensor: part.unflatten(-1, self.shape(w)) for w, part in zip(self.wires, parts, strict=True)}

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Concatenates named tensors to flat parameters; the inverse of `tensors`.

        Args:
            tensors: Name to tensor, all with the same leading dimensions.
        """
        return torch.cat([tensors[wire.tensor].flatten(-len(wire.axes)) for wire in self.wires], dim=-1)

    def lengths(self, wire: Wire) -> Tensor:
        """Computes the distance of every entry of a weight, raised to `distance_power`; equal in all folds.

        Args:
            wire: One of `weights`.
        """
        target, source = wire.ends
        return self.distances(self[target.neurons], self[source.neurons]).repeat(target.folds, source.folds)

    def distances(self, target: Neurons, source: Neurons) -> Tensor:
        """Computes the distances between two sets of neurons, raised to `distance_power`; shape (n target, n source).

        Args:
            target: The first set.
            source: The second set.
        """
        return DISTANCES[self.distance](target.positions, source.positions) ** self.distance_power


def parameter_order(wiring: Wiring, order: Mapping[str, Tensor], *, embeddings_only: bool = False) -> Tensor:
    """Computes the index, int64, shape (networks, n_parameters), that moves neurons to other places.

    `flat.gather(1, index)` permutes parameters, moments or gradients.

    Args:
        wiring: The wiring.
        order: Present place of the neuron that goes to each place, for every set that moves, int64, shape (networks,
            n). Other sets stay.
        embeddings_only: If True, only embeddings are permuted. The published code moves weights and biases without
            their moments, but permutes the output of an embedding, whose moments therefore stay with it.
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


def parameter_mask(wiring: Wiring, neurons: Mapping[str, Tensor], *, keep_outputs: bool = False) -> Tensor:
    """Computes the mask of all parameters of some neurons: weights, in and out, biases and embeddings.

    The mask of the flat parameters is bool, shape (networks, n_parameters).

    Args:
        wiring: The wiring.
        neurons: Mask of the neurons of each set, bool, shape (networks, n). Other sets have none.
        keep_outputs: If True, weights and biases that write output neurons are left out.
    """
    some = next(iter(neurons.values()))
    parts = []
    for wire in wiring.wires:
        shape = wiring.shape(wire)
        mask = torch.zeros(len(some), *shape, dtype=torch.bool, device=some.device)
        for dimension, axis in enumerate(wire.axes):
            if isinstance(axis, Axis) and axis.neurons in neurons:
                is_output = axis.neurons == wiring.outputs.name and dimension == 0 and (wire.is_weight or wire.is_bias)
                if keep_outputs and is_output:
                    continue
                along = neurons[axis.neurons].repeat(1, axis.folds)
                mask |= along.unflatten(1, [-1 if d == dimension else 1 for d in range(len(shape))])
        parts.append(mask.flatten(1))
    return torch.cat(parts, dim=1)
