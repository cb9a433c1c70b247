"""What one training run is set to: knobs of a single network and the schedule a population shares."""

from dataclasses import dataclass

from bimt_core.relocate import METHODS, Method


@dataclass(frozen=True)
class Knobs:
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
class Schedule:
    """Hyperparameters that all networks of one population share.

    Args:
        steps: Optimiser steps.
        cost_phases: (fraction, factor) pairs: from that fraction of the steps on, lambda is multiplied by the factor.
        bias_from: Fraction of the steps from which biases are penalised.
        local_last: Whether distance counts in the last layer's penalty (False: the paper's no_penalize_last).
        relocation: "assignment", "greedy" (as published) or "none".
        relocate_every: S, optimiser steps between two relocations.
        relocate_top_k: Neurons that greedy relocation tries in each layer.
        move_moments: Whether AdamW's moments move with the weights. The published code leaves them behind.

    Raises:
        ValueError: If a count is below 1, a fraction is outside [0, 1], the phases do not start at 0 in rising order,
            or the relocation method is unknown.
    """

    steps: int = 20_000
    cost_phases: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    bias_from: float = 0.0
    local_last: bool = True
    relocation: Method = "assignment"
    relocate_every: int = 200
    relocate_top_k: int = 5
    move_moments: bool = True

    def __post_init__(self) -> None:
        for name in ("steps", "relocate_every", "relocate_top_k"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        starts = [fraction for fraction, _ in self.cost_phases]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] > 1:
            raise ValueError(f"cost_phases must start at 0 and rise up to at most 1, got {starts}")
        if not 0 <= self.bias_from <= 1:
            raise ValueError(f"bias_from must be between 0 and 1, got {self.bias_from}")
        if self.relocation not in METHODS:
            raise ValueError(f"relocation must be one of {', '.join(METHODS)}, got {self.relocation!r}")

    def cost_factor(self, step: int) -> float:
        """What lambda is multiplied by at a step (counted from 0)."""
        return [factor for fraction, factor in self.cost_phases if step >= int(fraction * self.steps)][-1]

    def penalises_bias(self, step: int) -> bool:
        """Whether biases are penalised at a step (counted from 0)."""
        return step >= int(self.bias_from * self.steps)

    def changes(self) -> frozenset[int]:
        """Steps at which the penalty changes."""
        fractions = [fraction for fraction, _ in self.cost_phases] + [self.bias_from]
        return frozenset(int(fraction * self.steps) for fraction in fractions)
