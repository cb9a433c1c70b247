"""Optuna's side of a search space: its distributions, its sampler, and the copy of a study that the sampler reads."""

import copy

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial

from sweeps.spec.recipe import INTEGERS
from sweeps.spec.search_space import Choices, Fixed, Parameter, Range
from sweeps.spec.sweep import SweepSpec

READ = frozenset({"attempt", "retry_of"})  # user attributes of a trial that its driver goes by


def make_distributions(spec: SweepSpec) -> dict[str, BaseDistribution]:
    """What is searched, as Optuna says it."""
    if spec.variants:
        return {"variant": CategoricalDistribution(tuple(spec.variants))}
    return {name: _distribution(name, p) for name, p in spec.search.items() if not isinstance(p, Fixed)}


def copy_to_memory(study: optuna.Study, spec: SweepSpec) -> optuna.Study:
    """A study's trials in memory, with the sampler that suggests the next ones.

    A sampler reads all trials again for every suggestion, and Optuna writes every hyperparameter by itself. In memory
    both cost next to nothing, and the durable study is written once where a trial is asked.

    Args:
        study: The durable study, which only this process writes to.
        spec: Of its sweep.
    """
    trials = study.get_trials(deepcopy=False)
    sampler = _sampler(spec, seed=spec.seed + len(trials))
    working = optuna.create_study(storage=InMemoryStorage(), directions=study.directions, sampler=sampler)
    working.add_trials(map(_without_figures, trials))
    return working


def _without_figures(trial: FrozenTrial) -> FrozenTrial:
    light = copy.copy(trial)
    light.user_attrs = {name: value for name, value in trial.user_attrs.items() if name in READ}
    return light


def _sampler(spec: SweepSpec, seed: int) -> BaseSampler:
    if spec.sampler == "nsga2":
        return NSGAIISampler(seed=seed)
    if spec.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed)


def _distribution(name: str, parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choices):
        return CategoricalDistribution(parameter.choices)
    assert isinstance(parameter, Range)
    if name in INTEGERS:
        return IntDistribution(
            int(parameter.low), int(parameter.high), log=parameter.log, step=int(parameter.step or 1)
        )
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
