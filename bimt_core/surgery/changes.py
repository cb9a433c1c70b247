"""Interventions on single parameters, and a history of operations that can be undone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from bimt_core.population import Population
from bimt_core.surgery.ablation import NeuronSelection, ablate
from bimt_core.surgery.pruning import prune
from bimt_core.wiring import Axis, Wire, Wiring


@dataclass(frozen=True)
class Change:
    """A change of one parameter: exactly one of `to` and `times` is given.

    Args:
        tensor: Name of the tensor, such as "weight0" or "bias0".
        at: Entry: (target place, source place) of a weight, (place,) of a bias, (token, place) of an embedding.
        to: New value of the parameter.
        times: Factor of the parameter.
        folds: Fold in each dimension, if the tensor has several (see `Axis`); None for the first of each.

    Raises:
        ValueError: If not exactly one of `to` and `times` is given, or it is not finite.
    """

    tensor: str
    at: tuple[int, ...]
    to: float | None = None
    times: float | None = None
    folds: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        values = [value for value in (self.to, self.times) if value is not None]
        if len(values) != 1:
            raise ValueError(f"a change has one of to and times, got to={self.to}, times={self.times}")
        if not math.isfinite(values[0]):
            raise ValueError(f"to and times of a change must be finite, got {values[0]}")


def intervene(population: Population, changes: Sequence[Change]) -> Population:
    """Returns the networks with single parameters set or scaled, the same in every network.

    Places are those after relocation, as in the diagrams.

    Args:
        population: Networks of one architecture; not changed, so that it can be used again (see `Surgery`).
        changes: Changes in order; a second change of a parameter acts on the result of the first.

    Raises:
        ValueError: If there is no such tensor, or no such place in it.

    Examples:
        >>> from bimt_core import MLP, initialise
        >>> changed = intervene(initialise(MLP((2, 3, 1)), seeds=[0, 1]), [Change("weight0", (2, 0), to=0.5)])
        >>> changed.tensors["weight0"][:, 2, 0]
        tensor([0.5000, 0.5000])
    """
    wiring, changed = population.network.wiring, replace(population, flat=population.flat.clone())
    tensors = changed.tensors
    for change in changes:
        value = _parameter(wiring, tensors, change)
        if change.to is not None:
            value.fill_(change.to)
        elif change.times is not None:
            value.mul_(change.times)
    return changed


def _parameter(wiring: Wiring, tensors: Mapping[str, Tensor], change: Change) -> Tensor:
    """Returns a view of a change's parameter, shape (networks,)."""
    wires = {wire.tensor: wire for wire in wiring.wires}
    if change.tensor not in wires:
        raise ValueError(f"tensor must be one of {', '.join(wires)}, got {change.tensor!r}")
    wire = wires[change.tensor]
    folds = (0,) * len(wire.axes) if change.folds is None else change.folds
    for name, numbers in (("at", change.at), ("folds", folds)):
        if len(numbers) != len(wire.axes):
            raise ValueError(f"{name} of tensor {wire.tensor!r} must have {len(wire.axes)} numbers, got {numbers}")
    index = tuple(_index(wiring, wire, *numbers) for numbers in zip(wire.axes, change.at, folds, strict=True))
    return tensors[wire.tensor].movedim(0, -1)[index]


def _index(wiring: Wiring, wire: Wire, axis: Axis | int, place: int, fold: int) -> int:
    """Returns the index in one dimension of a tensor."""
    n, n_folds = (axis, 1) if isinstance(axis, int) else (len(wiring[axis.neurons]), axis.folds)
    where = f"of tensor {wire.tensor!r}" if isinstance(axis, int) else f"of {axis.neurons!r} in tensor {wire.tensor!r}"
    for name, number, length in (("places", place, n), ("folds", fold, n_folds)):
        if not 0 <= number < length:
            raise ValueError(f"{name} {where} must be between 0 and {length - 1}, got {number}")
    return fold * n + place


@dataclass(frozen=True, eq=False)
class Surgery:
    """Networks with the operations on them, which can be undone.

    Populations never change, so undoing an operation computes nothing.

    Args:
        population: The current networks.
        earlier: The networks before each operation, first to last.

    Examples:
        >>> from bimt_core import MLP, initialise
        >>> surgery = Surgery(initialise(MLP((2, 3, 1)), seeds=[0])).prune(0.01)
        >>> surgery.ablate({"hidden1": [0]}).revert().population is surgery.population
        True
    """

    population: Population
    earlier: tuple[Population, ...] = ()

    def append(self, population: Population) -> "Surgery":
        """Adds an operation that is not one of the methods.

        Args:
            population: The networks after the operation.
        """
        return Surgery(population, (*self.earlier, self.population))

    def prune(self, threshold: float) -> "Surgery":
        """See `bimt_core.prune`."""
        return self.append(prune(self.population, threshold))

    def intervene(self, changes: Sequence[Change]) -> "Surgery":
        """See `bimt_core.intervene`."""
        return self.append(intervene(self.population, changes))

    def ablate(self, neurons: NeuronSelection) -> "Surgery":
        """See `bimt_core.ablate`."""
        return self.append(ablate(self.population, neurons))

    def revert(self) -> "Surgery":
        """Undoes the last operation.

        Raises:
            ValueError: If there is none.
        """
        if not self.earlier:
            raise ValueError("there is no operation to revert")
        return Surgery(self.earlier[-1], self.earlier[:-1])

    def revert_all(self) -> "Surgery":
        """Undoes all operations."""
        return Surgery((*self.earlier, self.population)[0])
