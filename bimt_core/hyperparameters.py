"""What one training run is set to: knobs of a single network and the schedule a population shares."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from bimt_core.geometry import DISTANCES, Distance
from bimt_core.relocate import METHODS, Method
from bimt_core.wiring import REDUCTIONS, Reduction, Wiring

PenaltyStep = Literal["subgradient", "proximal"]

CHOICES: dict[str, tuple[str, ...]] = {
    "reduction": ("published", *REDUCTIONS),
    "distance": tuple(DISTANCES),
    "penalty_step": get_args(PenaltyStep),
    "relocation": METHODS,
}


@dataclass(frozen=True)
class PerNetworkHyperparameters:
    """Hyperparameters that may differ between the networks of one population.

    Args:
        cost_weight: lambda, the weight of the connection cost in the loss; 0 switches BIMT off.
        weight_factor: A, how much a unit of in-layer distance costs; 0 gives plain L1.
        layer_distance: y0, the cost of a weight of length 0, and of biases.
        learning_rate: Step size of AdamW.

    Raises:
        ValueError: If a value is negative, or the learning rate is 0.
    """

    cost_weight: float = 1e-3
    weight_factor: float = 1.0
    layer_distance: float = 0.1
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        for name in ("cost_weight", "weight_factor", "layer_distance"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")


@dataclass(frozen=True)
class SharedHyperparameters:
    """Hyperparameters that all networks of one population share.

    Args:
        steps: Optimiser steps.
        batch_size: Training rows a step, drawn in epochs of shuffled rows; 0 for all of them.
        cost_phases: (fraction, factor) pairs: from that fraction of the steps on, lambda is multiplied by the factor.
        bias_from: Fraction of the steps from which biases are penalised; 1 for never.
        local_last: Whether distance counts in the last layer's penalty (False: the paper's no_penalize_last).
        reduction: R over the entries of each tensor, "sum" or "mean"; "published" for the task's own.
        distance: In-layer distance that costs, "manhattan" (the paper's) or "euclidean".
        distance_power: What the distance is raised to; the paper's is 1.
        penalty_step: "subgradient" adds the penalty's subgradient to the loss's, as published; "proximal" shrinks the
            parameters towards 0 after each step instead, which gives exact zeros (see `train`).
        relocation: "assignment", "exchange", "greedy" (as published) or "none"; see `relocate`.
        relocate_every: S, optimiser steps between two relocations (and prunings).
        relocate_top_k: Neurons that greedy relocation tries in each set.
        relocate_rounds: How many times a relocation visits all sets.
        move_moments: Whether AdamW's moments move with the weights. The published code leaves them behind.
        prune_below: Hidden neurons whose incoming or outgoing weights sum to less than this in size are removed, at
            relocations; 0 removes none.

    Raises:
        ValueError: If a count is too small, a fraction is outside [0, 1], the phases do not start at 0 in rising order,
            or a choice is unknown.
    """

    steps: int = 20_000
    batch_size: int = 0
    cost_phases: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    bias_from: float = 0.0
    local_last: bool = True
    reduction: Reduction | Literal["published"] = "published"
    distance: Distance = "manhattan"
    distance_power: float = 1.0
    penalty_step: PenaltyStep = "subgradient"
    relocation: Method = "assignment"
    relocate_every: int = 200
    relocate_top_k: int = 5
    relocate_rounds: int = 1
    move_moments: bool = True
    prune_below: float = 0.0

    def __post_init__(self) -> None:
        least = dict.fromkeys(("steps", "relocate_every", "relocate_top_k", "relocate_rounds"), 1)
        for name, low in (least | {"batch_size": 0, "prune_below": 0}).items():
            if not getattr(self, name) >= low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}")
        if not self.distance_power > 0:
            raise ValueError(f"distance_power must be above 0, got {self.distance_power}")
        starts = [fraction for fraction, _ in self.cost_phases]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] > 1:
            raise ValueError(f"cost_phases must start at 0 and rise up to at most 1, got {starts}")
        if not 0 <= self.bias_from <= 1:
            raise ValueError(f"bias_from must be between 0 and 1, got {self.bias_from}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")

    @property
    def is_published_relocation(self) -> bool:
        """Whether neurons are relocated exactly as in the published code."""
        return self.relocation == "greedy" and not self.move_moments

    def penalty_wiring(self, wiring: Wiring) -> Wiring:
        """A network's wiring with the reduction and the distances that this schedule's penalty uses."""
        reduction = wiring.reduction if self.reduction == "published" else self.reduction
        return replace(wiring, reduction=reduction, distance=self.distance, distance_power=self.distance_power)

    def cost_factor(self, step: int) -> float:
        """What lambda is multiplied by at a step (counted from 0)."""
        return [factor for fraction, factor in self.cost_phases if step >= int(fraction * self.steps)][-1]

    def penalises_bias(self, step: int) -> bool:
        """Whether biases are penalised at a step (counted from 0)."""
        return step >= int(self.bias_from * self.steps)

    def penalty_changes(self) -> frozenset[int]:
        """Steps at which the penalty changes."""
        fractions = [fraction for fraction, _ in self.cost_phases] + [self.bias_from]
        return frozenset(int(fraction * self.steps) for fraction in fractions)
