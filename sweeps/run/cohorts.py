"""Forming cohorts of trials that can train together, and splitting a cohort that was lost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sweeps.spec.cohort import Cohort, Member, SavedCheckpoint
from sweeps.spec.sweep import SweepSpec
from sweeps.study.trial import Trial


def form_cohorts(
    spec: SweepSpec,
    trials: Sequence[Trial],
    *,
    compiled: bool,
    checkpoints: Mapping[int, SavedCheckpoint],
    retry_of: Mapping[int, int | None],
) -> list[Cohort]:
    """Groups trials whose networks can train as one population, on the same data and from the same checkpoint.

    Args:
        spec: The sweep.
        trials: Trials to train.
        compiled: Whether the training is compiled.
        checkpoints: Checkpoint of each trial that an earlier launch left unfinished, by its number.
        retry_of: Number of the trial that each earlier trial repeats.
    """
    groups: dict[Any, list[tuple[Trial, int | None]]] = {}
    for trial in trials:
        source = _find_checkpointed(trial, checkpoints, retry_of)
        key = spec.recipe(trial.params).shape, trial.data_seed, None if source is None else checkpoints[source].uri
        groups.setdefault(key, []).append((trial, source))
    cohorts = []
    for group in groups.values():
        sources = tuple(source for _, source in group if source is not None)
        saved = replace(checkpoints[sources[0]], members=sources) if sources else None
        members = {trial.number: Member(trial.params, trial.seeds) for trial, _ in group}
        cohorts.append(Cohort(spec, members, group[0][0].data_seed, compiled, saved))
    return cohorts


def split_cohort(cohort: Cohort) -> list[Cohort]:
    """Returns a lost cohort's members as cohorts of one that start at step 0, so that only the culprit fails.

    A member that already was alone from step 0 is the culprit: nothing is returned.

    Args:
        cohort: Cohort that raised, or lost its worker.
    """
    if len(cohort.members) == 1 and cohort.saved is None:
        return []
    return [replace(cohort, members={number: member}, saved=None) for number, member in cohort.members.items()]


def _find_checkpointed(
    trial: Trial, checkpoints: Mapping[int, SavedCheckpoint], retry_of: Mapping[int, int | None]
) -> int | None:
    """The latest of the trials that this one repeats that has a checkpoint."""
    number = trial.retry_of
    while number is not None and number not in checkpoints:
        number = retry_of.get(number)
    return number
