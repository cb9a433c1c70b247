"""Pooling: the trials of a sweep with the networks that later trials have added to them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sweeps.spec.sweep import SweepSpec
from sweeps.study.aggregates import aggregate, aggregate_stderr
from sweeps.study.trial import Confirmation, Networks, Trial, Values


def pool_trials(trials: Iterable[Trial], spec: SweepSpec) -> list[Trial]:
    """Returns the search's trials and the baseline, in order, with all their networks and confirmations.

    Args:
        trials: All trials of the study, in order.
        spec: Their sweep.
    """
    added: dict[int, list[Trial]] = {}
    own: list[Trial] = []
    for trial in trials:
        if trial.of is None:
            own.append(trial)
        else:
            added.setdefault(trial.of, []).append(trial)
    return [pool_trial(trial, added.get(trial.number, ()), spec) for trial in own]


def pool_trial(trial: Trial, added: Sequence[Trial], spec: SweepSpec) -> Trial:
    """Returns a trial with the networks that other trials have added to it.

    Args:
        trial: A trial of the search, or the baseline.
        added: Trials that are of this one.
        spec: Their sweep.
    """
    if trial.state != "COMPLETE" or not added:
        return trial
    parts = [trial, *(other for other in added if other.role == "replicates" and other.state == "COMPLETE")]
    if len(parts) > 1:
        seeds = tuple(seed for part in parts for seed in part.seeds)
        trial = summarize_trial(replace(trial, seeds=seeds), _merge_networks(parts), _merge_errors(parts), spec)
    confirmations: dict[int | None, list[Trial]] = {}
    for other in added:
        if other.role == "confirmation":
            confirmations.setdefault(other.data_seed, []).append(other)
    return replace(trial, confirmations={seed: _merge(parts, spec) for seed, parts in confirmations.items()})


def summarize_trial(trial: Trial, networks: Networks, row_stderr: Values, spec: SweepSpec) -> Trial:
    """Returns a complete trial with the values of its networks.

    Args:
        trial: The trial.
        networks: One value per network, by metric.
        row_stderr: Standard error that the finite number of rows causes, by metric.
        spec: Its sweep.
    """
    values, stderr = summarize_networks(networks, spec)
    feasible = all(constraint.violation(values[constraint.metric]) <= 0 for constraint in spec.constraints)
    return replace(trial, networks=networks, row_stderr=row_stderr, values=values, stderr=stderr, feasible=feasible)


def summarize_networks(networks: Networks, spec: SweepSpec) -> tuple[Values, Values]:
    """Computes the value of each metric, which is the objective's aggregate or the mean, and its standard error.

    Args:
        networks: One value per network, by metric.
        spec: Their sweep.
    """
    values, stderr = {}, {}
    for metric, column in networks.items():
        how, direction = spec.aggregate_of(metric)
        values[metric] = float(aggregate(column, how, direction))
        stderr[metric] = float(aggregate_stderr(column, how, direction))
    return values, stderr


def _merge(parts: Sequence[Trial], spec: SweepSpec) -> Confirmation:
    complete = [part for part in parts if part.state == "COMPLETE"]
    retried = {part.retry_of for part in parts}
    failures = tuple(part.reason or "failed" for part in parts if part.state == "FAIL" and part.number not in retried)
    if not complete:
        return Confirmation((), {}, {}, {}, {}, failures)
    networks = _merge_networks(complete)
    values, stderr = summarize_networks(networks, spec)
    seeds = tuple(seed for part in complete for seed in part.seeds)
    return Confirmation(seeds, networks, _merge_errors(complete), values, stderr, failures)


def _merge_networks(parts: Sequence[Trial]) -> Networks:
    return {metric: [value for part in parts for value in part.networks[metric]] for metric in parts[0].networks}


def _merge_errors(parts: Sequence[Trial]) -> Values:
    """Root of the mean squared error, weighted by networks: all networks are measured on the same rows."""
    n = sum(len(part.seeds) for part in parts)
    squares = {
        metric: sum(len(part.seeds) * part.row_stderr[metric] ** 2 for part in parts) / n
        for metric in parts[0].row_stderr
    }
    return {metric: square**0.5 for metric, square in squares.items()}
