"""Hyperparameters of training: per network, and shared by a population."""

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
    """Hyperparameters that may differ between the networks of a population.

    Args:
        cost_weight: lambda, the weight of the connection cost in the loss, at least 0; 0 disables BIMT.
        weight_factor: A, the cost per unit of in-layer distance, at least 0; 0 gives plain L1.
        layer_distance: y0, the cost of a weight of length 0 and of biases, at least 0.
        learning_rate: Step size of AdamW, above 0.

    Raises:
        ValueError: If a value is outside its range.

    Examples:
        >>> PerNetworkHyperparameters(cost_weight=0.01)
        PerNetworkHyperparameters(cost_weight=0.01, weight_factor=1.0, layer_distance=0.1, learning_rate=0.002)
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
    """Hyperparameters that all networks of a population share.

    Args:
        steps: Optimiser steps.
        batch_size: Training rows per step, drawn in epochs of shuffled rows; 0 for all rows.
        cost_phases: (fraction, factor) pairs: from that fraction of the steps on, lambda is multiplied by the factor.
        bias_from: Fraction of the steps from which on biases are penalised; 1 for never.
        local_last: If False, distance does not count in the last layer's penalty (the paper's no_penalize_last).
        reduction: R over the entries of each tensor, "sum" or "mean"; "published" for the task's.
        distance: In-layer distance of the penalty, "manhattan" (as published) or "euclidean".
        distance_power: Power of that distance; 1 as published.
        penalty_step: "subgradient" adds the penalty's subgradient to the gradient, as published. "proximal" shrinks the
            parameters towards 0 after each step instead, which gives exact zeros; see `optimiser.make_step`.
        relocation: "assignment", "exchange", "greedy" (as published) or "none"; see `relocate`.
        relocate_every: S, optimiser steps between two relocations (and prunings).
        relocate_top_k: Neurons per set that greedy relocation tries to move.
        relocate_rounds: Visits of all sets per relocation.
        move_moments: If True, AdamW's moments move with the weights. In the published code they stay.
        prune_below: At relocations, hidden neurons are removed if the sizes of their incoming or outgoing weights sum
            to less than this; 0 removes none.

    Raises:
        ValueError: If a count is too small, a fraction is outside [0, 1], the phases do not start at 0 or do not rise,
            or a choice is unknown.

    Examples:
        >>> shared = SharedHyperparameters(steps=1000, cost_phases=((0.0, 1.0), (0.5, 10.0)))
        >>> shared.cost_factor(499), shared.cost_factor(500)
        (1.0, 10.0)
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
        for name in ("steps", "relocate_every", "relocate_top_k", "relocate_rounds", "batch_size", "prune_below"):
            least = 0 if name in ("batch_size", "prune_below") else 1
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
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
        """True if neurons are relocated exactly as in the published code."""
        return self.relocation == "greedy" and not self.move_moments

    def penalty_wiring(self, wiring: Wiring) -> Wiring:
        """Returns a network's wiring with the reduction and distance of the penalty.

        Args:
            wiring: The network's own wiring.
        """
        reduction = wiring.reduction if self.reduction == "published" else self.reduction
        return replace(wiring, reduction=reduction, distance=self.distance, distance_power=self.distance_power)

    def cost_factor(self, step: int) -> float:
        """Returns the factor of lambda at a step.

        Args:
            step: Counted from 0.
        """
        return [factor for fraction, factor in self.cost_phases if step >= int(fraction * self.steps)][-1]

    def penalises_bias(self, step: int) -> bool:
        """Returns True if biases are penalised at a step.

        Args:
            step: Counted from 0.
        """
        return step >= int(self.bias_from * self.steps)

    def penalty_changes(self) -> frozenset[int]:
        """Computes the steps, counted from 0, at which the penalty changes."""
        fractions = [fraction for fraction, _ in self.cost_phases] + [self.bias_from]
        return frozenset(int(fraction * self.steps) for fraction in fractions)
