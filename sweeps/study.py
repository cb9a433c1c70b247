"""The ledger of a sweep: an Optuna study that knows which trials were asked, by which attempt, and how they ended."""

import math
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import ArgumentError

from sweeps.errors import BadInputError, StoreError
from sweeps.recipe import INTEGERS
from sweeps.search_space import Choices, Fixed, Parameter, Range
from sweeps.spec import SweepSpec
from sweeps.store import Store

MAX_ATTEMPTS = 3  # of one trial, when drivers or workers die under it
LEAST_FOR_IMPORTANCE = 10  # completed trials
BEST_PART, LEAST_BEST = 0.1, 5  # importance is that for being among the best tenth, or the best five
BEYOND = 0.05  # how far the reference point of the hypervolume lies beyond the worst values, as a part of their range

Figures = dict[str, float]

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Attempt:
    """One asking of a trial: what to train, fixed hyperparameters included."""

    number: int
    params: dict[str, Any]
    attempt: int


@dataclass(frozen=True)
class TrialRecord:
    """What the ledger knows of one trial. A retry is a trial of its own that names the one it repeats.

    Args:
        number: The trial's number in the study.
        state: "COMPLETE", "FAIL", "RUNNING" or "WAITING".
        params: All hyperparameters of the sweep, fixed ones included.
        attempt: 1, 2, ...
        retry_of: Number of the trial this one repeats.
        mean: Mean of each metric over the replicates; empty before the end.
        stderr: Standard error of each mean; NaN for a single replicate.
        feasible: Whether all constraints hold; None before the end.
        reason: Why it failed.
        started: When it was asked, local time.
        ended: When it was told.
    """

    number: int
    state: str
    params: dict[str, Any]
    attempt: int = 1
    retry_of: int | None = None
    mean: Figures = field(default_factory=dict)
    stderr: Figures = field(default_factory=dict)
    feasible: bool | None = None
    reason: str | None = None
    started: datetime | None = None
    ended: datetime | None = None


class Ledger:
    """The study of one sweep. Only the sweep's driver writes to it."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self.spec = SweepSpec.model_validate(study.user_attrs["spec"])
        self.sweep_id: str = study.user_attrs["sweep_id"]
        self._distributions = _distributions(self.spec)

    @staticmethod
    def open(store: Store, name: str) -> "Ledger":
        """The ledger of a sweep that was launched before.

        Raises:
            BadInputError: If there is none of that name.
            StoreError: If the storage cannot be read.
        """
        if store.storage is None and not store.study_file(name).exists():
            raise BadInputError(f"no sweep {name!r} in {store.folder}; there are: {_listed(sweep_names(store))}")
        storage = _storage(store, name)
        if name in optuna.get_all_study_names(storage):
            study = optuna.load_study(study_name=name, storage=storage)
            if _is_sweep(study):
                return Ledger(study)
        raise BadInputError(f"no sweep {name!r} in the storage; there are: {_listed(sweep_names(store))}")

    @staticmethod
    def launch(store: Store, spec: SweepSpec) -> "Ledger":
        """The ledger of a sweep that is about to run: a new one, or the one of an earlier launch.

        Raises:
            BadInputError: If the sweep was launched with another spec; only `trials` may rise.
            StoreError: If the storage cannot be written.
        """
        if store.storage is None:
            _drop_torn_line(store.study_file(spec.name))
        study = _made_study(_storage(store, spec.name), spec)
        _check_same_sweep(study, spec)
        if study.user_attrs["spec"]["trials"] != spec.trials:
            study.set_user_attr("spec", spec.model_dump(mode="json"))
        study.sampler = _sampler(spec, seed=spec.seed + len(study.get_trials(deepcopy=False)))
        return Ledger(study)

    def ask(self) -> Attempt | None:
        """The next trial: one that waits, else one the sampler suggests; None where all variants have been tried."""
        if self.spec.variants and not self.count("WAITING"):
            return None
        trial = self._study.ask(self._distributions)
        return Attempt(trial.number, self._params(trial.params), trial.user_attrs.get("attempt", 1))

    def complete(self, number: int, mean: Mapping[str, float], stderr: Mapping[str, float]) -> None:
        """Ends a trial with its figures, means over the replicates.

        Raises:
            ValueError: If the trial is not running, or if an objective or a constrained metric is not finite; nothing
                is written then.
        """
        for name in [o.metric for o in self.spec.objectives] + [c.metric for c in self.spec.constraints]:
            if not math.isfinite(mean[name]):
                raise ValueError(f"{name} of a complete trial must be finite, got {mean[name]}")
        trial = self._running(number)
        trial.set_user_attr("mean", dict(mean))
        trial.set_user_attr("stderr", dict(stderr))
        for constraint in self.spec.constraints:
            trial.set_constraint(str(constraint), constraint.violation(mean[constraint.metric]))
        self._study.tell(number, [mean[objective.metric] for objective in self.spec.objectives])

    def fail(self, number: int, reason: str) -> None:
        """Ends a trial that gave no figures; a ValueError if it is not running."""
        self._running(number).set_user_attr("reason", reason)
        self._study.tell(number, state=TrialState.FAIL)

    def interrupt(self, number: int, reason: str) -> None:
        """Ends a trial that was cut off, and puts it up for another attempt while it has any left.

        Raises:
            ValueError: If the trial is not running.
        """
        trial = self._running(number)
        attempt = trial.user_attrs.get("attempt", 1)
        repeated = any(t.user_attrs.get("retry_of") == number for t in self._study.get_trials(deepcopy=False))
        if attempt < MAX_ATTEMPTS and not repeated:
            self._study.enqueue_trial(trial.params, user_attrs={"attempt": attempt + 1, "retry_of": number})
        self.fail(number, reason)

    def count(self, state: str) -> int:
        """How many trials are in a state."""
        return len(self._study.get_trials(deepcopy=False, states=(TrialState[state],)))

    def records(self) -> list[TrialRecord]:
        """Every trial, in order of number."""
        return [self._record(trial) for trial in self._study.get_trials(deepcopy=False)]

    def front(self) -> list[int]:
        """Numbers of the feasible completed trials that no other beats in all objectives."""
        return [trial.number for trial in self._study.best_trials]

    def importances(self) -> dict[str, dict[str, float]]:
        """How much each searched hyperparameter decides whether a trial is among the best in each objective.

        PED-ANOVA (Watanabe, Bansal, Hutter, IJCAI 2023): how differently the best trials' values of a hyperparameter
        are spread from those of all trials.

        Returns:
            Objective to hyperparameter to its part of 1, the largest first; empty where fewer than two hyperparameters
            are searched or fewer than 10 trials are complete.
        """
        n = self.count("COMPLETE")
        if n < LEAST_FOR_IMPORTANCE or len(self.spec.searched) < 2:
            return {}
        evaluator = PedAnovaImportanceEvaluator(target_quantile=max(BEST_PART, LEAST_BEST / n))
        found = {}
        for i, objective in enumerate(self.spec.objectives):
            sign = 1 if objective.direction == "minimize" else -1

            def cost(trial: FrozenTrial, i: int = i, sign: int = sign) -> float:
                return sign * float(trial.values[i])

            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "PedAnovaImportanceEvaluator computes")  # for low targets: they are
                found[objective.metric] = get_param_importances(self._study, evaluator=evaluator, target=cost)
        return found

    def hypervolumes(self) -> dict[int, float]:
        """How much of the objectives' space the front dominates after each completed trial.

        The reference point lies a little beyond the worst value of each objective among all completed trials. Trials
        that break a constraint add nothing.

        Returns:
            Trial number to hypervolume, in order; empty with one objective or no completed trial.
        """
        values = [trial.values for trial in self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
        if len(self.spec.objectives) < 2 or not values:
            return {}
        worst = []
        for objective, column in zip(self.spec.objectives, zip(*values, strict=True), strict=True):
            margin = BEYOND * (max(column) - min(column)) or 1.0
            worst.append(max(column) + margin if objective.direction == "minimize" else min(column) - margin)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            figure = optuna.visualization.plot_hypervolume_history(self._study, worst)
        return dict(zip(figure.data[0].x, figure.data[0].y, strict=True))

    def _params(self, searched: Mapping[str, Any]) -> dict[str, Any]:
        """All hyperparameters, in the order of the spec: searched ones, fixed ones, and the settings of a variant."""
        settings = self.spec.variants.get(searched.get("variant", ""), {})
        known = {**self.spec.fixed, **searched, **settings}
        return {name: known[name] for name in self.spec.hyperparameters if name in known}

    def _running(self, number: int) -> optuna.Trial:
        frozen = self._study.get_trials(deepcopy=False)[number]
        if frozen.state != TrialState.RUNNING:
            raise ValueError(f"trial {number} must be running to be ended, it is {frozen.state.name}")
        return optuna.Trial(self._study, frozen._trial_id)

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        attrs = trial.user_attrs
        searched = trial.params or trial.system_attrs.get("fixed_params", {})
        return TrialRecord(
            trial.number,
            trial.state.name,
            self._params(searched),
            attrs.get("attempt", 1),
            attrs.get("retry_of"),
            attrs.get("mean", {}) if trial.state == TrialState.COMPLETE else {},
            attrs.get("stderr", {}) if trial.state == TrialState.COMPLETE else {},
            _feasible(trial) if trial.state == TrialState.COMPLETE else None,
            attrs.get("reason"),
            trial.datetime_start,
            trial.datetime_complete,
        )


def sweep_names(store: Store) -> list[str]:
    """Names of the sweeps in a store."""
    if store.storage is None:
        storages = [_storage(store, path.stem) for path in store.study_file("").parent.glob("*.journal")]
    else:
        storages = [_storage(store, "")]
    studies = [s for storage in storages for s in optuna.get_all_study_summaries(storage, include_best_trial=False)]
    return sorted(study.study_name for study in studies if _is_sweep(study))


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def _made_study(storage: BaseStorage, spec: SweepSpec) -> optuna.Study:
    """The study of a sweep; made where there is none, and made again where a launch died while making it."""
    if spec.name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=spec.name, storage=storage)
        if _is_sweep(study):
            return study
        if study.get_trials(deepcopy=False):
            raise BadInputError(f"the storage has a study {spec.name!r} that is no sweep; use another name")
        optuna.delete_study(study_name=spec.name, storage=storage)
    directions = [objective.direction for objective in spec.objectives]
    study = optuna.create_study(study_name=spec.name, storage=storage, directions=directions)
    study.set_user_attr("sweep_id", uuid.uuid4().hex[:12])
    for variant in spec.variants:
        study.enqueue_trial({"variant": variant})
    study.set_user_attr("spec", spec.model_dump(mode="json"))
    return study


def _is_sweep(study: optuna.Study | optuna.study.StudySummary) -> bool:
    return "spec" in study.user_attrs  # what is written last when a study is made


def _drop_torn_line(journal: Path) -> None:
    """Cuts off a last line that was not written to its end (a full disk); Optuna would append to it."""
    if journal.exists() and not (written := journal.read_bytes()).endswith(b"\n"):
        with journal.open("rb+") as file:
            file.truncate(written.rfind(b"\n") + 1)


def _storage(store: Store, name: str) -> BaseStorage:
    try:
        if store.storage is None:
            return JournalStorage(JournalFileBackend(str(store.study_file(name))))
        return RDBStorage(store.storage)
    except ImportError as error:
        kind = str(store.storage).split(":", maxsplit=1)[0]
        raise BadInputError(f"a study storage at {kind}:// needs a database driver that is not installed") from error
    except ArgumentError as error:
        raise BadInputError(f"the study storage must be a URL such as sqlite:///study.db: {error}") from error
    except Exception as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        where = f" in {store.study_file(name)}" if store.storage is None else ""
        raise StoreError(f"the study storage does not open{where}: {reason}") from error


def _sampler(spec: SweepSpec, seed: int) -> optuna.samplers.BaseSampler:
    if spec.sampler == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=seed)
    if spec.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def _distributions(spec: SweepSpec) -> dict[str, BaseDistribution]:
    if spec.variants:
        return {"variant": CategoricalDistribution(tuple(spec.variants))}
    return {name: _distribution(name, p) for name, p in spec.search.items() if not isinstance(p, Fixed)}


def _distribution(name: str, parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choices):
        return CategoricalDistribution(parameter.choices)
    assert isinstance(parameter, Range)
    if name in INTEGERS:
        return IntDistribution(
            int(parameter.low), int(parameter.high), log=parameter.log, step=int(parameter.step or 1)
        )
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)


def _feasible(trial: FrozenTrial) -> bool:
    return all(violation <= 0 for violation in trial.constraints.values())


def _check_same_sweep(study: optuna.Study, spec: SweepSpec) -> None:
    before, now = study.user_attrs["spec"], spec.model_dump(mode="json")
    if now["trials"] < before["trials"]:
        raise BadInputError(
            f"sweep {spec.name!r} exists: trials may only rise, from {before['trials']}, got {now['trials']}"
        )
    different = [key for key in now if key != "trials" and now[key] != before.get(key)]
    if different:
        told = [f"{key} was {before.get(key)!r}, is {now[key]!r}" for key in different]
        raise BadInputError(f"sweep {spec.name!r} exists with another spec: {'; '.join(told)}; use another name")
