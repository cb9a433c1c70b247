"""The Pareto front of a sweep."""

from collections.abc import Iterable, Sequence

from sweeps.spec.parts import Objective
from sweeps.study.trial import Trial

Costs = tuple[float, ...]  # one per objective, smaller is better


def select_front(trials: Iterable[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """Selects the feasible trials of the search that no other dominates, in the order of their numbers.

    A trial dominates another if it is at least as good in every objective and better in one; equal trials both stay.

    Args:
        trials: Trials in any state; only feasible ones of the search, which are complete, count.
        objectives: The sweep's objectives.
    """
    front: list[tuple[Costs, Trial]] = []
    for trial in trials:
        if trial.feasible and trial.role == "search":
            costs = tuple(
                trial.values[o.metric] if o.direction == "minimize" else -trial.values[o.metric] for o in objectives
            )
            if not any(_dominates(other, costs) for other, _ in front):
                front = [(other, t) for other, t in front if not _dominates(costs, other)] + [(costs, trial)]
    return sorted((trial for _, trial in front), key=lambda trial: trial.number)


def _dominates(one: Costs, other: Costs) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
