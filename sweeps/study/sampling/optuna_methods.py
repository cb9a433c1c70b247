"""Suggestions by Optuna's TPE and NSGA-II, from a study in memory that holds the trials so far."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.study.sampling.observation import Observation
from sweeps.study.sampling.unit_cube import UnitCube

GENERATIONS = 6  # of NSGA-II in a sweep
LEAST_POPULATION, LARGEST_POPULATION = 6, 50
LEAST_NSGA2_TRIALS = GENERATIONS * LEAST_POPULATION
ATTEMPTS = 20  # at a suggestion that differs from all others


def suggest_tpe(
    cube: UnitCube,
    directions: Sequence[str],
    observations: Sequence[Observation],
    n: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Suggests configurations by a tree-structured Parzen estimator, to which running trials count as bad.

    Args:
        cube: The search space.
        directions: "minimize" or "maximize" per objective.
        observations: Trials so far.
        n: Number of suggestions.
        seed: Seed of the sweep.
    """
    sampler = TPESampler(seed=_mix(seed, observations), n_startup_trials=0)
    trials = [_make_trial(cube, o) for o in observations]
    return _ask(sampler, cube, directions, trials, n)


def suggest_nsga2(
    cube: UnitCube,
    directions: Sequence[str],
    observations: Sequence[Observation],
    n: int,
    seed: int,
    population: int,
) -> list[dict[str, Any]]:
    """Suggests configurations by NSGA-II, a genetic algorithm.

    Args:
        cube: The search space.
        directions: "minimize" or "maximize" per objective.
        observations: Trials so far.
        n: Number of suggestions.
        seed: Seed of the sweep.
        population: Number of complete trials per generation.
    """
    sampler = NSGAIISampler(seed=_mix(seed, observations), population_size=population)
    trials: list[FrozenTrial] = []
    complete = 0
    for o in observations:
        trials.append(_make_trial(cube, o, {sampler._get_generation_key(): complete // population}))
        complete += o.values is not None
    return _ask(sampler, cube, directions, trials, n)


def count_population(trials: int) -> int:
    """Returns a size of NSGA-II's population that gives a sweep several generations.

    Args:
        trials: Number of trials of the sweep.
    """
    return min(max(trials // GENERATIONS, LEAST_POPULATION), LARGEST_POPULATION)


def _ask(
    sampler: BaseSampler,
    cube: UnitCube,
    directions: Sequence[str],
    trials: Sequence[FrozenTrial],
    n: int,
) -> list[dict[str, Any]]:
    named = [StudyDirection[direction.upper()] for direction in directions]
    study = optuna.create_study(storage=InMemoryStorage(), directions=named, sampler=sampler)
    study.add_trials(trials)
    seen = [trial.params for trial in trials]
    for _ in range(n):
        seen.append(_ask_new(study, cube, seen))
    return seen[len(trials) :]


def _ask_new(study: optuna.Study, cube: UnitCube, seen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    for _ in range(ATTEMPTS):
        trial = study.ask(cube.space)
        if trial.params not in seen:
            return trial.params
        study.tell(trial, state=TrialState.FAIL)
    return cube.fill(0, len(seen), 1, cube.points(seen))[0]


def _make_trial(cube: UnitCube, o: Observation, attributes: Mapping[str, Any] | None = None) -> FrozenTrial:
    complete = o.values is not None
    return optuna.create_trial(
        state=TrialState.COMPLETE if complete else TrialState.RUNNING,
        params=dict(o.params),
        distributions=cube.space,
        values=o.values,
        constraints={str(i): violation for i, violation in enumerate(o.violations)} if complete else None,
        system_attrs=dict(attributes or {}),
    )


def _mix(seed: int, observations: Sequence[Observation]) -> int:
    """Seed of a call, which differs from those of the calls before."""
    return (seed * 1_000_003 + len(observations)) % 2**32
