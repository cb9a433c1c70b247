"""SweepStudy: the Optuna study that holds a sweep's trials, what was asked for and how it ended."""

import math
from collections.abc import Mapping
from dataclasses import replace
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
from sweeps.study.front import select_front
from sweeps.study.samplers import copy_to_memory, make_distributions
from sweeps.study.storage import drop_torn_line, is_sweep, list_sweep_names, open_storage
from sweeps.study.trial import Trial

METRICS = "metrics"  # user attribute of a complete trial: means and standard errors
MAX_ATTEMPTS = 3  # of one trial, when drivers or workers die

optuna.logging.set_verbosity(optuna.logging.WARNING)


class SweepStudy:
    """The study of one sweep, to which only the sweep's driver writes.

    The driver samples from a copy in memory (see `sweeps.study.samplers`) and writes every event to the storage.

    Args:
        study: Optuna study in the storage.
        storage: Optuna storage.
    """

    def __init__(self, study: optuna.Study, storage: BaseStorage) -> None:
        self._study, self._storage = study, storage
        self.spec = SweepSpec.model_validate(study.user_attrs["spec"])
        self.sweep_id: str = study.user_attrs["sweep_id"]
        self._running: dict[int, optuna.Trial] = {}

    @staticmethod
    def open(store: Store, name: str) -> "SweepStudy":
        """Opens the study of a launched sweep to read it.

        Args:
            store: Store of the sweep.
            name: The sweep.

        Raises:
            BadInputError: If there is no such sweep.
            StoreError: If the storage cannot be read.
        """
        if store.storage is not None or store.study_file(name).exists():
            storage = open_storage(store, name)
            if name in optuna.get_all_study_names(storage):
                study = optuna.load_study(study_name=name, storage=storage)
                if is_sweep(study):
                    return SweepStudy(study, storage)
        searched = store.folder if store.storage is None else "the storage"
        names = ", ".join(list_sweep_names(store)) or "none"
        raise BadInputError(f"no sweep {name!r} in {searched}; there are: {names}")

    @staticmethod
    def launch(store: Store, spec: SweepSpec) -> "SweepStudy":
        """Opens the study of a sweep to run it: a new study, or that of an earlier launch.

        Args:
            store: Store of the sweep.
            spec: The sweep.

        Raises:
            BadInputError: If the sweep was launched with another spec; only `trials` can be raised.
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

    def ask(self) -> Trial | None:
        """Asks for the next trial to run: one that waits, else a suggested one; None if all variants have been tried.

        Raises:
            StoreError: If another process has asked for trials of this sweep in the meantime.
        """
        if self.spec.variants and not self._copy.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            return None
        known = len(self._copy.get_trials(deepcopy=False))
        trial = self._copy.ask(self._distributions)
        asked = self._frozen(trial.number)
        if trial.number < known:
            self._storage.set_trial_state_values(self._id(trial.number), TrialState.RUNNING)
            for name, distribution in asked.distributions.items():
                value = distribution.to_internal_repr(asked.params[name])
                self._storage.set_trial_param(self._id(trial.number), name, value, distribution)
        elif self._storage.create_new_trial(self._study_id, asked) != self._id(trial.number):
            raise StoreError(f"another driver runs sweep {self.spec.name!r} from the same study storage")
        self._running[trial.number] = trial
        return self._trial(asked)

    def complete(self, number: int, mean: Mapping[str, float], stderr: Mapping[str, float]) -> Trial:
        """Completes a trial and returns it.

        Args:
            number: The trial, which runs.
            mean: Mean of each metric over the replicates.
            stderr: Standard error of each mean.

        Raises:
            ValueError: If the trial does not run, or if an objective or constrained metric is not finite; nothing is
                written then.
        """
        if (name := self.find_unusable(mean)) is not None:
            raise ValueError(f"{name} of a complete trial must be finite, got {mean[name]}")
        running, trial_id = self._get_running(number), self._id(number)
        values = [mean[objective.metric] for objective in self.spec.objectives]
        self._storage.set_trial_user_attr(trial_id, METRICS, {"mean": dict(mean), "stderr": dict(stderr)})
        before = set(self._frozen(number).system_attrs)
        for constraint in self.spec.constraints:
            running.set_constraint(str(constraint), constraint.violation(mean[constraint.metric]))
        for key, value in self._frozen(number).system_attrs.items():
            if key not in before:
                self._storage.set_trial_system_attr(trial_id, key, value)
        front = self._front  # before the storage knows the trial, in case this reads the front for the first time
        self._storage.set_trial_state_values(trial_id, TrialState.COMPLETE, values)
        trial = replace(self._trial(self._copy.tell(running, values)), mean=dict(mean), stderr=dict(stderr))
        del self._running[number]
        self._front = select_front([*front, trial], self.spec.objectives)
        return trial

    def find_unusable(self, mean: Mapping[str, float]) -> str | None:
        """Returns an objective or constrained metric whose mean is not finite, which no complete trial may have.

        Args:
            mean: Mean of each metric.
        """
        needed = [o.metric for o in self.spec.objectives] + [c.metric for c in self.spec.constraints]
        return next((name for name in needed if not math.isfinite(mean[name])), None)

    def fail(self, number: int, reason: str) -> None:
        """Ends a trial that has no results.

        Args:
            number: The trial, which runs.
            reason: Why it failed.

        Raises:
            ValueError: If the trial does not run.
        """
        running, trial_id = self._get_running(number), self._id(number)
        self._storage.set_trial_user_attr(trial_id, "reason", reason)
        self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        self._copy.tell(running, state=TrialState.FAIL)
        del self._running[number]

    def interrupt(self, number: int, reason: str) -> None:
        """Ends a trial that was cut off, and enqueues another attempt unless it had its last.

        Args:
            number: The trial, which runs.
            reason: Why it ended.

        Raises:
            ValueError: If the trial does not run.
        """
        running = self._get_running(number)
        attempt = running.user_attrs.get("attempt", 1)
        has_retry = any(t.user_attrs.get("retry_of") == number for t in self._copy.get_trials(deepcopy=False))
        if attempt < MAX_ATTEMPTS and not has_retry:
            for study in (self._study, self._copy):
                study.enqueue_trial(running.params, user_attrs={"attempt": attempt + 1, "retry_of": number})
        self.fail(number, reason)

    def count(self, state: str) -> int:
        """Counts the trials in a state.

        Args:
            state: "COMPLETE", "FAIL", "RUNNING" or "WAITING".
        """
        return len(self._study.get_trials(deepcopy=False, states=(TrialState[state],)))

    def trials(self) -> list[Trial]:
        """Reads all trials, in order of number."""
        return [self._trial(trial) for trial in self._study.get_trials(deepcopy=False)]

    def front(self) -> list[Trial]:
        """Reads the Pareto front, in order of number."""
        return select_front(self.trials(), self.spec.objectives)

    def known_front(self) -> list[Trial]:
        """Returns the front as this process knows it, without reading the storage again."""
        return self._front

    def importances(self) -> dict[str, dict[str, float]]:
        """Computes the importance of each hyperparameter; see `compute_importances`."""
        return compute_importances(self._study, self.spec)

    def hypervolumes(self) -> dict[int, float]:
        """Computes the growth of the front; see `compute_hypervolumes`."""
        return compute_hypervolumes(self._study, self.spec)

    @cached_property
    def _front(self) -> list[Trial]:
        """The front, which `complete` keeps up to date."""
        return self.front()

    @cached_property
    def _copy(self) -> optuna.Study:
        return copy_to_memory(self._study, self.spec)

    @cached_property
    def _study_id(self) -> int:
        return self._storage.get_study_id_from_name(self.spec.name)

    @cached_property
    def _distributions(self) -> dict[str, BaseDistribution]:
        return make_distributions(self.spec)

    def _frozen(self, number: int) -> FrozenTrial:
        return self._copy.get_trials(deepcopy=False)[number]

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _get_running(self, number: int) -> optuna.Trial:
        state = self._frozen(number).state
        if state != TrialState.RUNNING:
            raise ValueError(f"trial {number} must be running to be ended, it is {state.name}")
        if number not in self._running:  # an earlier launch asked for it
            self._running[number] = optuna.Trial(self._copy, self._frozen(number)._trial_id)
        return self._running[number]

    def _trial(self, frozen: FrozenTrial) -> Trial:
        attrs, complete = frozen.user_attrs, frozen.state == TrialState.COMPLETE
        metrics = attrs.get(METRICS, {}) if complete else {}
        return Trial(
            frozen.number,
            frozen.state.name,
            self._params(frozen.params or frozen.system_attrs.get("fixed_params", {})),
            attrs.get("attempt", 1),
            attrs.get("retry_of"),
            metrics.get("mean", {}),
            metrics.get("stderr", {}),
            all(violation <= 0 for violation in frozen.constraints.values()) if complete else None,
            attrs.get("reason"),
            frozen.datetime_start,
            frozen.datetime_complete,
        )

    def _params(self, searched: Mapping[str, Any]) -> dict[str, Any]:
        """All hyperparameters in the order of the spec: searched, fixed, and the settings of a variant."""
        settings = self.spec.variants.get(searched.get("variant", ""), {})
        known = {**self.spec.fixed, **searched, **settings}
        return {name: known[name] for name in self.spec.hyperparameters if name in known}
