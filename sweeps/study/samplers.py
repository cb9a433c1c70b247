"""Optuna's distributions and sampler for a search space, and the copy of a study that the sampler reads."""

import copy

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial

from sweeps.spec.search_space import Choices, Fixed, Parameter, Range, is_integer
from sweeps.spec.sweep import SweepSpec

SAMPLERS = {"tpe": TPESampler, "nsga2": NSGAIISampler, "random": RandomSampler}
COPIED = frozenset({"attempt", "retry_of"})  # user attributes of a trial that its driver reads


def make_distributions(spec: SweepSpec) -> dict[str, BaseDistribution]:
    """Converts the searched hyperparameters of a sweep to Optuna's distributions.

    Args:
        spec: The sweep.
    """
    if spec.variants:
        return {"variant": CategoricalDistribution(tuple(spec.variants))}
    return {name: _make_distribution(name, p) for name, p in spec.search.items() if not isinstance(p, Fixed)}


def copy_to_memory(study: optuna.Study, spec: SweepSpec) -> optuna.Study:
    """Copies a study to memory, with the sampler that suggests its next trials.

    A sampler reads all trials again for every suggestion, and Optuna writes every hyperparameter separately. In memory
    both cost almost nothing, and the durable study is written once per trial that is asked for.

    Args:
        study: Durable study, which only this process writes to.
        spec: Its sweep.
    """
    trials = study.get_trials(deepcopy=False)
    sampler = SAMPLERS[spec.sampler](seed=spec.seed + len(trials))
    copied = optuna.create_study(storage=InMemoryStorage(), directions=study.directions, sampler=sampler)
    copied.add_trials(map(_without_results, trials))
    return copied


def _without_results(trial: FrozenTrial) -> FrozenTrial:
    light = copy.copy(trial)
    light.user_attrs = {name: value for name, value in trial.user_attrs.items() if name in COPIED}
    return light


def _make_distribution(name: str, parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choices):
        return CategoricalDistribution(parameter.choices)
    assert isinstance(parameter, Range)
    if is_integer(name):
        low, high, step = int(parameter.low), int(parameter.high), int(parameter.step or 1)
        return IntDistribution(low, high, log=parameter.log, step=step)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
