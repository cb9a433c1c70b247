"""The ledger of a sweep: an Optuna study that knows which trials were asked, by which attempt, and how they ended."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from sweeps.errors import BadInputError, StoreError
from sweeps.spec.sweep import SweepSpec
from sweeps.store import Store
from sweeps.study.analysis import compute_hypervolumes, compute_importances
from sweeps.study.creation import check_same_sweep, load_or_create_study
from sweeps.study.front import Costs, extend_front
from sweeps.study.samplers import copy_to_memory, make_distributions
from sweeps.study.storage import drop_torn_line, is_sweep, list_sweep_names, open_storage

FIGURES = "figures"  # a completed trial's means and standard errors
MAX_ATTEMPTS = 3  # of one trial, when drivers or workers die under it

Figures = dict[str, float]

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Attempt:
    """One asking of a trial: what to train, fixed hyperparameters included; a retry names the trial it repeats."""

    number: int
    params: dict[str, Any]
    attempt: int
    retry_of: int | None = None


@dataclass(frozen=True)
class Trial:
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


class SweepStudy:
    """The study of one sweep. Only the sweep's driver writes to it.

    A driver samples from a copy in memory (see `sweeps.study.samplers`) and writes every event through to the storage.
    """

    def __init__(self, study: optuna.Study, storage: BaseStorage) -> None:
        self._study, self._storage = study, storage
        self.spec = SweepSpec.model_validate(study.user_attrs["spec"])
        self.sweep_id: str = study.user_attrs["sweep_id"]
        self._trials: dict[int, optuna.Trial] = {}  # that run and are known to this process

    @staticmethod
    def open(store: Store, name: str) -> "SweepStudy":
        """The ledger of a sweep that was launched before, to read.

        Raises:
            BadInputError: If there is none of that name.
            StoreError: If the storage cannot be read.
        """
        if store.storage is None and not store.study_file(name).exists():
            raise BadInputError(f"no sweep {name!r} in {store.folder}; there are: {_listed(list_sweep_names(store))}")
        storage = open_storage(store, name)
        if name in optuna.get_all_study_names(storage):
            study = optuna.load_study(study_name=name, storage=storage)
            if is_sweep(study):
                return SweepStudy(study, storage)
        raise BadInputError(f"no sweep {name!r} in the storage; there are: {_listed(list_sweep_names(store))}")

    @staticmethod
    def launch(store: Store, spec: SweepSpec) -> "SweepStudy":
        """The ledger of a sweep that is about to run: a new one, or the one of an earlier launch.

        Raises:
            BadInputError: If the sweep was launched with another spec; only `trials` may rise.
            StoreError: If the storage cannot be written.
        """
        if store.storage is None:
            drop_torn_line(store.study_file(spec.name))
        storage = open_storage(store, spec.name)
        study = load_or_create_study(storage, spec)
        check_same_sweep(study, spec)
        if study.user_attrs["spec"]["trials"] != spec.trials:
            study.set_user_attr("spec", spec.model_dump(mode="json"))
        return SweepStudy(study, storage)

    def ask(self) -> Attempt | None:
        """The next trial: one that waits, else one the sampler suggests; None where all variants have been tried.

        Raises:
            StoreError: If another process has asked for trials of this sweep meanwhile.
        """
        if self.spec.variants and not self._working.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            return None
        known = len(self._working.get_trials(deepcopy=False))
        trial = self._working.ask(self._distributions)
        asked = self._frozen(trial.number)
        if trial.number < known:
            self._storage.set_trial_state_values(self._id(trial.number), TrialState.RUNNING)
            for name, distribution in asked.distributions.items():
                value = distribution.to_internal_repr(asked.params[name])
                self._storage.set_trial_param(self._id(trial.number), name, value, distribution)
        elif self._storage.create_new_trial(self._study_id, asked) != self._id(trial.number):
            raise StoreError(f"another driver runs sweep {self.spec.name!r} from the same study storage")
        self._trials[trial.number] = trial
        attrs = asked.user_attrs
        return Attempt(trial.number, self._params(asked.params), attrs.get("attempt", 1), attrs.get("retry_of"))

    def complete(self, number: int, mean: Mapping[str, float], stderr: Mapping[str, float]) -> Trial:
        """Ends a trial with its figures, means over the replicates; returns what is known of it now.

        Raises:
            ValueError: If the trial is not running, or if an objective or a constrained metric is not finite; nothing
                is written then.
        """
        if (name := self.unusable(mean)) is not None:
            raise ValueError(f"{name} of a complete trial must be finite, got {mean[name]}")
        trial, trial_id = self._running(number), self._id(number)
        values = [mean[objective.metric] for objective in self.spec.objectives]
        self._storage.set_trial_user_attr(trial_id, FIGURES, {"mean": dict(mean), "stderr": dict(stderr)})
        before = set(self._frozen(number).system_attrs)
        for constraint in self.spec.constraints:
            trial.set_constraint(str(constraint), constraint.violation(mean[constraint.metric]))
        for key, value in self._frozen(number).system_attrs.items():
            if key not in before:
                self._storage.set_trial_system_attr(trial_id, key, value)
        self._storage.set_trial_state_values(trial_id, TrialState.COMPLETE, values)
        known = self._standing  # read before the trial is told of, where this is the first
        told = replace(self._record(self._working.tell(trial, values)), mean=dict(mean), stderr=dict(stderr))
        del self._trials[number]
        if told.feasible:
            known = known | {number: told}
            front = extend_front({n: self._costs(known[n].mean) for n in self._standing}, number, self._costs(mean))
            self._standing = {n: known[n] for n in front}
        return told

    def unusable(self, mean: Mapping[str, float]) -> str | None:
        """The objective or constrained metric that keeps a trial from being complete: its mean is not finite."""
        needed = [o.metric for o in self.spec.objectives] + [c.metric for c in self.spec.constraints]
        return next((name for name in needed if not math.isfinite(mean[name])), None)

    def fail(self, number: int, reason: str) -> None:
        """Ends a trial that gave no figures; a ValueError if it is not running."""
        trial, trial_id = self._running(number), self._id(number)
        self._storage.set_trial_user_attr(trial_id, "reason", reason)
        self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        self._working.tell(trial, state=TrialState.FAIL)
        del self._trials[number]

    def interrupt(self, number: int, reason: str) -> None:
        """Ends a trial that was cut off, and puts it up for another attempt while it has any left.

        Raises:
            ValueError: If the trial is not running.
        """
        trial = self._running(number)
        attempt = trial.user_attrs.get("attempt", 1)
        repeated = any(t.user_attrs.get("retry_of") == number for t in self._working.get_trials(deepcopy=False))
        if attempt < MAX_ATTEMPTS and not repeated:
            for study in (self._study, self._working):
                study.enqueue_trial(trial.params, user_attrs={"attempt": attempt + 1, "retry_of": number})
        self.fail(number, reason)

    def count(self, state: str) -> int:
        """How many trials are in a state."""
        return len(self._study.get_trials(deepcopy=False, states=(TrialState[state],)))

    def trials(self) -> list[Trial]:
        """Every trial, in order of number."""
        return [self._record(trial) for trial in self._study.get_trials(deepcopy=False)]

    def front(self) -> list[int]:
        """Numbers of the feasible completed trials that no other beats in all objectives."""
        front: dict[int, Costs] = {}
        for record in self.trials():
            if record.feasible:
                front = extend_front(front, record.number, self._costs(record.mean))
        return sorted(front)

    def front_so_far(self) -> tuple[Trial, ...]:
        """The front as its driver knows it, without reading the storage."""
        return tuple(self._standing[number] for number in sorted(self._standing))

    def importances(self) -> dict[str, dict[str, float]]:
        """How much each searched hyperparameter decides on each objective; see `study_analysis.importances`."""
        return compute_importances(self._study, self.spec)

    def hypervolumes(self) -> dict[int, float]:
        """How much the front dominates after each completed trial; see `study_analysis.hypervolumes`."""
        return compute_hypervolumes(self._study, self.spec)

    def _params(self, searched: Mapping[str, Any]) -> dict[str, Any]:
        """All hyperparameters, in the order of the spec: searched ones, fixed ones, and the settings of a variant."""
        settings = self.spec.variants.get(searched.get("variant", ""), {})
        known = {**self.spec.fixed, **searched, **settings}
        return {name: known[name] for name in self.spec.hyperparameters if name in known}

    def _costs(self, mean: Mapping[str, float]) -> Costs:
        return tuple(mean[o.metric] if o.direction == "minimize" else -mean[o.metric] for o in self.spec.objectives)

    @cached_property
    def _standing(self) -> dict[int, Trial]:
        """Those on the front, kept up to date by `complete`."""
        records = self.trials()
        return {number: records[number] for number in self.front()}

    @cached_property
    def _working(self) -> optuna.Study:
        """What trials are suggested from and ended in before, in memory."""
        return copy_to_memory(self._study, self.spec)

    @cached_property
    def _study_id(self) -> int:
        return self._storage.get_study_id_from_name(self.spec.name)

    @cached_property
    def _distributions(self) -> dict[str, BaseDistribution]:
        return make_distributions(self.spec)

    def _frozen(self, number: int) -> FrozenTrial:
        return self._working.get_trials(deepcopy=False)[number]

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _running(self, number: int) -> optuna.Trial:
        state = self._frozen(number).state
        if state != TrialState.RUNNING:
            raise ValueError(f"trial {number} must be running to be ended, it is {state.name}")
        if number not in self._trials:  # an earlier launch asked for it
            self._trials[number] = optuna.Trial(self._working, self._frozen(number)._trial_id)
        return self._trials[number]

    def _record(self, trial: FrozenTrial) -> Trial:
        attrs = trial.user_attrs
        searched = trial.params or trial.system_attrs.get("fixed_params", {})
        figures = _figures(trial)
        return Trial(
            trial.number,
            trial.state.name,
            self._params(searched),
            attrs.get("attempt", 1),
            attrs.get("retry_of"),
            figures["mean"],
            figures["stderr"],
            _feasible(trial) if trial.state == TrialState.COMPLETE else None,
            attrs.get("reason"),
            trial.datetime_start,
            trial.datetime_complete,
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def _figures(trial: FrozenTrial) -> dict[str, Figures]:
    """Means and standard errors; nothing before a trial's end."""
    if trial.state != TrialState.COMPLETE:
        return {"mean": {}, "stderr": {}}
    if FIGURES in trial.user_attrs:
        both: dict[str, Figures] = trial.user_attrs[FIGURES]
        return both
    return {name: trial.user_attrs.get(name, {}) for name in ("mean", "stderr")}  # as earlier versions wrote them


def _feasible(trial: FrozenTrial) -> bool:
    return all(violation <= 0 for violation in trial.constraints.values())
