"""Observations: a sweep's trials as its sampler sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sweeps.spec.sweep import SweepSpec
from sweeps.study.pooling import summarize_trial
from sweeps.study.sampling.observation import Observation
from sweeps.study.trial import Networks, Trial


def make_observations(
    trials: Sequence[Trial], spec: SweepSpec, interim: Mapping[int, Networks] | None = None
) -> list[Observation]:
    """Returns what a sampler learns from: configurations with their values, or without values while they run.

    A trial that failed, because a network diverged or lost all its weights, has the worst values of all others. One
    that was cut off counts as its retry, and else not at all.

    Args:
        trials: Trials of the sweep, with all their networks.
        spec: The sweep.
        interim: Metrics of trials that are about to end, by number, which count as their results where they include all
            that the sampler needs.
    """
    needed = [*(o.metric for o in spec.objectives), *(c.metric for c in spec.constraints)]
    ending = {n: networks for n, networks in (interim or {}).items() if all(name in networks for name in needed)}
    known = [
        summarize_trial(replace(trial, state="COMPLETE"), ending[trial.number], {}, spec)
        if trial.state == "RUNNING" and trial.number in ending
        else trial
        for trial in trials
        if trial.role == "search"
    ]
    complete = [trial for trial in known if trial.state == "COMPLETE"]
    retried = {trial.retry_of for trial in known}
    observations = []
    for trial in known:
        params = {name: trial.params[name] for name in spec.searched}
        if trial.state == "COMPLETE":
            observations.append(_observe(trial, spec))
        elif trial.state in ("RUNNING", "WAITING"):
            observations.append(Observation(params, None, None))
        elif complete and trial.number not in retried:
            observations.append(_observe_failure(trial, complete, spec))
    return observations


def _observe(trial: Trial, spec: SweepSpec) -> Observation:
    metrics = [objective.metric for objective in spec.objectives]
    return Observation(
        {name: trial.params[name] for name in spec.searched},
        tuple(trial.values[metric] for metric in metrics),
        tuple(trial.stderr[metric] for metric in metrics),
        tuple(constraint.violation(trial.values[constraint.metric]) for constraint in spec.constraints),
    )


def _observe_failure(trial: Trial, complete: Sequence[Trial], spec: SweepSpec) -> Observation:
    observed = [_observe(other, spec) for other in complete]
    values = [
        (max if objective.direction == "minimize" else min)(column)
        for objective, column in zip(
            spec.objectives, zip(*(o.values for o in observed if o.values), strict=True), strict=True
        )
    ]
    violations = [max(column) for column in zip(*(o.violations for o in observed), strict=True)]
    params = {name: trial.params[name] for name in spec.searched}
    return Observation(params, tuple(values), None, tuple(violations))
