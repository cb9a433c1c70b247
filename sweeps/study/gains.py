"""Gains: confirmed trials against the published setting, on networks and rows that the search did not choose by."""

from collections.abc import Iterable, Sequence

from bimt_core import TEST_COUNTERPARTS
from sweeps.spec.parts import Objective
from sweeps.spec.sweep import SweepSpec
from sweeps.study.confirmation import ConfirmedTrial
from sweeps.study.group_comparison import Comparison, compare_groups
from sweeps.study.trial import Confirmation, Trial


def compare_with_baseline(confirmed: Sequence[ConfirmedTrial], spec: SweepSpec) -> dict[int, dict[str, Comparison]]:
    """Compares every confirmed trial of the search with the confirmed baseline in each objective.

    Args:
        confirmed: Confirmed trials, from `judge_confirmed`.
        spec: Their sweep.

    Returns:
        Comparison by trial number and objective; empty without a confirmed baseline.
    """
    baseline = find_confirmed_baseline(confirmed)
    if baseline is None:
        return {}
    return {
        one.trial.number: {
            objective.metric: compare_groups(
                _select_networks(one.confirmation, objective),
                _select_networks(baseline.confirmation, objective),
                objective.direction,
                objective.aggregate,
            )
            for objective in spec.objectives
        }
        for one in confirmed
        if one.trial.role == "search"
    }


def choose_gains(confirmed: Sequence[ConfirmedTrial], spec: SweepSpec) -> dict[str, ConfirmedTrial]:
    """Chooses, per objective, the trial that gains most at no loss in the other objectives, to be shown as confirmed.

    The choice is by searched values, so the confirmed ones are not those of a lucky trial.

    Args:
        confirmed: Confirmed trials, from `judge_confirmed`.
        spec: Their sweep.

    Returns:
        Trial by objective, without those in which no feasible trial gains anything; empty without a confirmed baseline.
    """
    baseline = find_confirmed_baseline(confirmed)
    if baseline is None:
        return {}
    start = _compute_searched_costs(baseline, spec)
    costs = {
        one.trial.number: _compute_searched_costs(one, spec)
        for one in confirmed
        if one.trial.role == "search" and one.trial.feasible
    }
    no_loss = {
        number: values
        for number, values in costs.items()
        if all(ours <= theirs for ours, theirs in zip(values, start, strict=True))
    }
    by_number = {one.trial.number: one for one in confirmed}
    chosen: dict[str, ConfirmedTrial] = {}
    for i, objective in enumerate(spec.objectives):
        better = [number for number, values in no_loss.items() if values[i] < start[i]]
        if better:
            chosen[objective.metric] = by_number[min(better, key=lambda number: no_loss[number][i])]
    return chosen


def find_baseline(trials: Iterable[Trial]) -> Trial | None:
    """Returns the complete trial of the published setting; None if there is none.

    Args:
        trials: Trials of a sweep.
    """
    return next((trial for trial in trials if trial.role == "baseline" and trial.state == "COMPLETE"), None)


def find_confirmed_baseline(confirmed: Sequence[ConfirmedTrial]) -> ConfirmedTrial | None:
    """Returns the confirmed baseline; None if there is none.

    Args:
        confirmed: Confirmed trials, from `judge_confirmed`.
    """
    return next((one for one in confirmed if one.trial.role == "baseline"), None)


def _select_networks(confirmation: Confirmation, objective: Objective) -> Sequence[float]:
    return confirmation.networks[TEST_COUNTERPARTS.get(objective.metric, objective.metric)]


def _compute_searched_costs(one: ConfirmedTrial, spec: SweepSpec) -> list[float]:
    """Searched values with their sign changed where larger is better."""
    return [
        value.searched if objective.direction == "minimize" else -value.searched
        for value, objective in zip(one.objectives, spec.objectives, strict=True)
    ]
