"""Samplers: the suggestion of a sweep's next trials from the results so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from sweeps.spec.search_space import Choices, Fixed, Parameter, Range, is_integer
from sweeps.spec.sweep import SweepSpec
from sweeps.study.sampling.gp import suggest_gp
from sweeps.study.sampling.observation import Observation
from sweeps.study.sampling.optuna_methods import LEAST_NSGA2_TRIALS, count_population, suggest_nsga2, suggest_tpe
from sweeps.study.sampling.unit_cube import SPARE, UnitCube

SAMPLERS = ("auto", "gp", "tpe", "nsga2", "random", "qmc")
MODELS = ("gp", "tpe", "nsga2")  # samplers that learn from results
LEAST_RESULTS = 4  # that a model needs
LARGEST_SHARE = 0.1  # of a trial's time that a suggestion of "gp" may take where the sampler is "auto"
MOST_GP_OBJECTIVES = 4


@dataclass(frozen=True)
class Suggestions:
    """Configurations to try next.

    Args:
        params: Value of each searched hyperparameter, for each configuration.
        sampler: Sampler that found them, never "auto".
    """

    params: list[dict[str, Any]]
    sampler: str


def suggest(
    space: Mapping[str, BaseDistribution],
    directions: Sequence[str],
    observations: Sequence[Observation],
    n: int,
    *,
    sampler: str,
    seed: int,
    trials: int,
    trial_s: float | None = None,
    suggestion_s: float | None = None,
) -> Suggestions:
    """Suggests the next trials of a sweep; equal arguments give equal suggestions.

    Every sampler but "random" begins with trials that fill the space evenly. No observed configuration is suggested
    again, and none twice, unless the space is exhausted.

    Args:
        space: Distribution of each searched hyperparameter.
        directions: "minimize" or "maximize" per objective.
        observations: All trials so far, running ones too, in their order.
        n: Number of suggestions.
        sampler: One of `SAMPLERS`.
        seed: Seed, the same throughout a sweep.
        trials: Number of trials that the sweep will have.
        trial_s: Measured seconds of one trial, for "auto"; None if unknown.
        suggestion_s: Measured seconds of one suggestion of "gp", for "auto"; None if unknown.

    Raises:
        ValueError: If the sampler cannot treat the space; see `check_sampler`.
    """
    check_sampler(space, len(directions), sampler, trials)
    if sampler == "auto":
        sampler = choose_sampler(space, len(directions), trial_s, suggestion_s)
    if not space:
        return Suggestions([{} for _ in range(n)], sampler)
    cube, begin = UnitCube(space), len(observations)
    taken = cube.points(o.params for o in observations)
    if sampler == "random":
        points = np.random.default_rng([seed, begin]).random((n + SPARE, len(cube)))
        return Suggestions(cube.pick(points, n, taken), sampler)
    results = sum(o.values is not None for o in observations)
    learns = sampler in MODELS and results >= LEAST_RESULTS
    filling = min(max(count_start(sampler, len(space), trials) - begin, 0), n) if learns else n
    params = cube.fill(seed, begin, filling, taken)
    if filling < n:
        seen, rest = [*observations, *map(Observation, params)], n - filling
        if sampler == "gp":
            params += suggest_gp(cube, directions, seen, rest, seed)
        elif sampler == "tpe":
            params += suggest_tpe(cube, directions, seen, rest, seed)
        else:
            params += suggest_nsga2(cube, directions, seen, rest, seed, count_population(trials))
    return Suggestions(params, sampler)


def check_sampler(space: Mapping[str, BaseDistribution], objectives: int, sampler: str, trials: int) -> None:
    """Checks that a sampler can search a space.

    Args:
        space: Distribution of each searched hyperparameter.
        objectives: Number of objectives.
        sampler: One of `SAMPLERS`.
        trials: Number of trials of the sweep.

    Raises:
        ValueError: If it cannot.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
    if sampler == "nsga2" and trials < LEAST_NSGA2_TRIALS:
        raise ValueError(f"sampler nsga2 needs at least {LEAST_NSGA2_TRIALS} trials, got {trials}")
    if sampler == "gp" and objectives > MOST_GP_OBJECTIVES:
        raise ValueError(f"sampler gp takes at most {MOST_GP_OBJECTIVES} objectives, got {objectives}")


def choose_sampler(
    space: Mapping[str, BaseDistribution], objectives: int, trial_s: float | None, suggestion_s: float | None
) -> str:
    """Chooses the sampler that "auto" stands for.

    It is "gp" where all hyperparameters are numbers, unless its suggestions have been seen to take more than a tenth of
    a trial's time, and else "tpe".

    Args:
        space: Distribution of each searched hyperparameter.
        objectives: Number of objectives.
        trial_s: Measured seconds of one trial; None if unknown.
        suggestion_s: Measured seconds of one suggestion of "gp"; None if unknown.
    """
    numeric = not any(isinstance(d, CategoricalDistribution) for d in space.values())
    slow = trial_s is not None and suggestion_s is not None and suggestion_s > LARGEST_SHARE * trial_s
    return "gp" if numeric and objectives <= MOST_GP_OBJECTIVES and not slow else "tpe"


def count_start(sampler: str, hyperparameters: int, trials: int) -> int:
    """Returns the number of trials that fill the space before a sampler learns from results.

    Args:
        sampler: "gp", "tpe" or "nsga2".
        hyperparameters: Number of searched hyperparameters.
        trials: Number of trials of the sweep.
    """
    return count_population(trials) if sampler == "nsga2" else min(2 * (hyperparameters + 1), max(trials // 4, 4))


def make_distributions(spec: SweepSpec) -> dict[str, BaseDistribution]:
    """Converts the searched hyperparameters of a sweep to Optuna's distributions.

    Args:
        spec: The sweep.
    """
    if spec.variants:
        return {"variant": CategoricalDistribution(tuple(spec.variants))}
    return {name: _make_distribution(name, p) for name, p in spec.search.items() if not isinstance(p, Fixed)}


def _make_distribution(name: str, parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choices):
        return CategoricalDistribution(parameter.choices)
    assert isinstance(parameter, Range)
    if is_integer(name):
        low, high, step = int(parameter.low), int(parameter.high), int(parameter.step or 1)
        return IntDistribution(low, high, log=parameter.log, step=step)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
