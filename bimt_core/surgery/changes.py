"""Single parameters are set or scaled, and whatever is done to networks can be undone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from bimt_core.population import Population
from bimt_core.surgery.ablation import Chosen, ablate
from bimt_core.surgery.pruning import prune
from bimt_core.wiring import Axis, Wire, Wiring


@dataclass(frozen=True)
class Change:
    """What becomes of one parameter.

    Args:
        tensor: Name of its tensor, such as "weight0" or "bias0".
        at: Where it is: (target place, source place) of a weight, (place,) of a bias, (token, place) of an embedding.
        to: Its new value; or None, to scale it.
        times: What it is multiplied by; or None, to set it.
        folds: Which fold of the neurons is meant, one number a dimension, where a tensor has several (see `Axis`);
            None for the first of each.

    Raises:
        ValueError: If there is not exactly one of `to` and `times`, or it is not finite.
    """

    tensor: str
    at: tuple[int, ...]
    to: float | None = None
    times: float | None = None
    folds: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        given = [number for number in (self.to, self.times) if number is not None]
        if len(given) != 1:
            raise ValueError(f"a change has one of to and times, got to={self.to}, times={self.times}")
        if not math.isfinite(given[0]):
            raise ValueError(f"a change must be to a finite number, or times one, got {given[0]}")


def intervene(population: Population, changes: Sequence[Change]) -> Population:
    """The networks with single parameters set or scaled, the same in every replicate.

    Neurons are known by the places where they stand now, as in the diagrams.

    Args:
        population: Networks of one architecture; they stay as they are, so to undo is to go on with
            them; see `Surgery`.
        changes: One after the other, so that the second change of a parameter acts on what the first made of it.

    Returns:
        The changed networks.

    Raises:
        ValueError: If there is no such tensor, or no such place in it.
    """
    wiring, changed = population.network.wiring, replace(population, flat=population.flat.clone())
    tensors = changed.tensors
    for change in changes:
        value = _entry(wiring, tensors, change)
        if change.to is not None:
            value.fill_(change.to)
        elif change.times is not None:
            value.mul_(change.times)
    return changed


def _entry(wiring: Wiring, tensors: Mapping[str, Tensor], change: Change) -> Tensor:
    """A view of a change's parameter, shape (networks,)."""
    wires = {wire.tensor: wire for wire in wiring.wires}
    if change.tensor not in wires:
        raise ValueError(f"tensor must be one of {', '.join(wires)}, got {change.tensor!r}")
    wire = wires[change.tensor]
    folds = (0,) * len(wire.axes) if change.folds is None else change.folds
    for what, numbers in (("places", change.at), ("folds", folds)):
        if len(numbers) != len(wire.axes):
            raise ValueError(f"{what} in tensor {wire.tensor!r} are {len(wire.axes)} numbers, got {numbers}")
    index = tuple(_along(wiring, wire, *numbers) for numbers in zip(wire.axes, change.at, folds, strict=True))
    return tensors[wire.tensor].movedim(0, -1)[index]


def _along(wiring: Wiring, wire: Wire, axis: Axis | int, place: int, fold: int) -> int:
    """Index in a dimension of a tensor."""
    n, n_folds = (axis, 1) if isinstance(axis, int) else (len(wiring[axis.neurons]), axis.folds)
    where = f"of tensor {wire.tensor!r}" if isinstance(axis, int) else f"of {axis.neurons!r} in tensor {wire.tensor!r}"
    for what, number, length in (("places", place, n), ("folds", fold, n_folds)):
        if not 0 <= number < length:
            raise ValueError(f"{what} {where} must be between 0 and {length - 1}, got {number}")
    return fold * n + place


@dataclass(frozen=True, eq=False)
class Surgery:
    """Networks under surgery: what they are now, and all that they were before.

    Populations never change, so nothing has to be computed to undo a step. In a notebook:

        surgery = Surgery(population).prune(0.01).intervene([Change("weight0", (3, 1), to=0.0)])
        surgery.population           # as it is now
        surgery = surgery.revert()   # only pruned

    Args:
        population: The networks as they are now.
        earlier: What they were before each step, first to last.
    """

    population: Population
    earlier: tuple[Population, ...] = ()

    def then(self, population: Population) -> "Surgery":
        """After a step of one's own that made these networks."""
        return Surgery(population, (*self.earlier, self.population))

    def prune(self, threshold: float) -> "Surgery":
        """After `prune`."""
        return self.then(prune(self.population, threshold))

    def intervene(self, changes: Sequence[Change]) -> "Surgery":
        """After `intervene`."""
        return self.then(intervene(self.population, changes))

    def knock_out(self, neurons: Chosen) -> "Surgery":
        """After `ablate`."""
        return self.then(ablate(self.population, neurons))

    def revert(self) -> "Surgery":
        """Before the last step.

        Raises:
            ValueError: If nothing has been done.
        """
        if not self.earlier:
            raise ValueError("there must be a step to revert, got networks to which nothing has been done")
        return Surgery(self.earlier[-1], self.earlier[:-1])

    def revert_all(self) -> "Surgery":
        """Before the first step."""
        return Surgery((*self.earlier, self.population)[0])
