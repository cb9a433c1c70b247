"""SweepStudy: the Optuna study that holds a sweep's trials, what was asked for and how it ended."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.errors import BadInputError, StoreError
from sweeps.spec.sweep import SweepSpec
from sweeps.store import Store
from sweeps.study.analysis import compute_hypervolumes, compute_importances
from sweeps.study.creation import check_is_current, check_same_sweep, load_or_create_study
from sweeps.study.front import select_front
from sweeps.study.pooling import pool_trial, pool_trials, summarize_networks, summarize_trial
from sweeps.study.samplers import make_distributions
from sweeps.study.storage import drop_torn_line, is_sweep, list_sweep_names, open_storage
from sweeps.study.trial import Networks, Role, Trial, Values

MAX_ATTEMPTS = 3  # of one trial, when drivers or workers die
NETWORKS = "networks"  # user attribute of a complete trial: one value per network, by metric
ROW_STDERR = "row_stderr"  # user attribute of a complete trial

optuna.logging.set_verbosity(optuna.logging.WARNING)


class SweepStudy:
    """The study of one sweep, to which only the sweep's driver writes.

    The driver keeps all trials in memory and writes every event to the storage.

    Args:
        study: Optuna study in the storage.
        storage: Optuna storage.
    """

    def __init__(self, study: optuna.Study, storage: BaseStorage) -> None:
        self._study, self._storage = study, storage
        self.spec = SweepSpec.model_validate(study.user_attrs["spec"])
        self.sweep_id: str = study.user_attrs["sweep_id"]

    @staticmethod
    def open(store: Store, name: str) -> "SweepStudy":
        """Opens the study of a launched sweep to read it.

        Args:
            store: Store of the sweep.
            name: The sweep.

        Raises:
            BadInputError: If there is no such sweep, or an older version of this package made it.
            StoreError: If the storage cannot be read.
        """
        if store.storage is not None or store.study_file(name).exists():
            storage = open_storage(store, name)
            if name in optuna.get_all_study_names(storage):
                study = optuna.load_study(study_name=name, storage=storage, sampler=RandomSampler())
                check_is_current(study)
                if is_sweep(study):
                    return SweepStudy(study, storage)
        searched = store.folder if store.storage is None else "the storage"
        names = ", ".join(list_sweep_names(store)) or "none"
        raise BadInputError(f"no sweep {name!r} in {searched}; there are: {names}")

    @staticmethod
    def launch(store: Store, spec: SweepSpec, known_starts: Sequence[Mapping[str, Any]] = ()) -> "SweepStudy":
        """Opens the study of a sweep to run it: a new study, or that of an earlier launch.

        Args:
            store: Store of the sweep.
            spec: The sweep.
            known_starts: Searched hyperparameters of the configurations that a new study tries first.

        Raises:
            BadInputError: If the sweep was launched with another spec; only `trials` and `confirm` can change.
            StoreError: If the storage cannot be written.
        """
        if store.storage is None:
            drop_torn_line(store.study_file(spec.name))
        storage = open_storage(store, spec.name)
        study = load_or_create_study(storage, spec, known_starts)
        check_same_sweep(study, spec)
        dumped = spec.model_dump(mode="json")
        if study.user_attrs["spec"] != dumped:
            study.set_user_attr("spec", dumped)
        return SweepStudy(study, storage)

    def start_waiting(self, most_networks: float = math.inf, roles: Sequence[Role] | None = None) -> list[Trial]:
        """Starts trials that wait: retries, variants and known starts, in order of number.

        Args:
            most_networks: Number of networks after which no more trials are started.
            roles: Roles to start; None for all.

        Raises:
            StoreError: If another process has started one of them in the meantime.
        """
        started: list[Trial] = []
        for trial in list(self._known.values()):
            if sum(len(t.seeds) for t in started) >= most_networks:
                break
            if trial.state == "WAITING" and (roles is None or trial.role in roles):
                if not self._storage.set_trial_state_values(self._id(trial.number), TrialState.RUNNING):
                    raise self._second_driver()
                started.append(self._remember(replace(trial, state="RUNNING", started=datetime.now())))
        return started

    def start_search(self, params: Mapping[str, Any], sampler: str) -> Trial:
        """Starts a trial of the search.

        Args:
            params: Its searched hyperparameters.
            sampler: Name of the sampler that suggested them.

        Raises:
            StoreError: If another process has started trials of this sweep in the meantime.
        """
        attrs = {"role": "search", "seeds": list(self.spec.seeds), "sampler": sampler}
        return self._create(TrialState.RUNNING, dict(params), attrs)

    def start_networks(
        self, role: Role, seeds: Sequence[int], of: int | None = None, data_seed: int | None = None
    ) -> Trial:
        """Starts a trial that is not suggested: the baseline, or further networks of a trial.

        Args:
            role: "baseline", "replicates" or "confirmation".
            seeds: Seed of each network.
            of: The trial that gets the networks; None for the baseline.
            data_seed: Seed of other data for a confirmation; None for the sweep's own.

        Raises:
            StoreError: If another process has started trials of this sweep in the meantime.
        """
        return self._create(
            TrialState.RUNNING, {}, {"role": role, "seeds": list(seeds), "of": of, "data_seed": data_seed}
        )

    def complete(self, number: int, networks: Networks, row_stderr: Values) -> Trial:
        """Completes a trial; returns it, or the trial that it adds networks to, with all of its networks.

        Args:
            number: The trial, which runs.
            networks: One value per network, by metric.
            row_stderr: Standard error of values on rows that the finite number of rows causes.

        Raises:
            ValueError: If the trial does not run, or if the value of an objective or constraint is not finite; nothing
                is written then.
        """
        if (problem := self.find_unusable(networks)) is not None:
            raise ValueError(f"a complete trial must be finite: {problem}")
        running, trial_id = self._get_running(number), self._id(number)
        ended = replace(running, state="COMPLETE", ended=datetime.now())
        trial = summarize_trial(ended, networks, row_stderr, self.spec)
        self._storage.set_trial_user_attr(trial_id, NETWORKS, {k: list(v) for k, v in networks.items()})
        self._storage.set_trial_user_attr(trial_id, ROW_STDERR, dict(row_stderr))
        if self.spec.constraints:
            optuna_trial = optuna.Trial(self._study, trial_id)
            for constraint in self.spec.constraints:
                optuna_trial.set_constraint(str(constraint), constraint.violation(trial.values[constraint.metric]))
        values = [trial.values[objective.metric] for objective in self.spec.objectives]
        self._storage.set_trial_state_values(trial_id, TrialState.COMPLETE, values)
        return self._remember(trial)

    def find_unusable(self, networks: Networks) -> str | None:
        """Returns why networks cannot complete a trial: the value of an objective or a constraint is not finite.

        Args:
            networks: One value per network, by metric.
        """
        values, _ = summarize_networks(networks, self.spec)
        needed = [o.metric for o in self.spec.objectives] + [c.metric for c in self.spec.constraints]
        bad = next((name for name in needed if not math.isfinite(values[name])), None)
        return None if bad is None else f"the {self.spec.aggregate_of(bad)[0]} of its {bad} is {values[bad]}"

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
        self._remember(replace(running, state="FAIL", reason=reason, ended=datetime.now()))

    def interrupt(self, number: int, reason: str) -> None:
        """Ends a trial that was cut off, and lets another attempt wait unless it had its last.

        Args:
            number: The trial, which runs.
            reason: Why it ended.

        Raises:
            ValueError: If the trial does not run.
        """
        running = self._get_running(number)
        has_retry = any(trial.retry_of == number for trial in self._known.values())
        if running.attempt < MAX_ATTEMPTS and not has_retry:
            frozen = self._storage.get_trial(self._id(number))
            attrs = frozen.user_attrs | {"attempt": running.attempt + 1, "retry_of": number}
            self._create(TrialState.WAITING, frozen.params, attrs)
        self.fail(number, reason)

    @cached_property
    def checks(self) -> list[list[int]]:
        """Numbers of the confirmed trials at each check of `stop_when`, as this process knows them."""
        checks: list[list[int]] = self._study.user_attrs.get("checks", [])
        return checks

    def record_check(self, confirmed: Sequence[int]) -> None:
        """Records a check of `stop_when`.

        Args:
            confirmed: Numbers of the trials of the search that are confirmed.
        """
        self.checks = [*self.checks, list(confirmed)]
        self._study.set_user_attr("checks", self.checks)

    def count(self, state: str, role: Role = "search") -> int:
        """Counts the trials in a state, as this process knows them.

        Args:
            state: "COMPLETE", "FAIL", "RUNNING" or "WAITING".
            role: Purpose of their networks.
        """
        return sum(trial.state == state and trial.role == role for trial in self.known_entries())

    def entries(self) -> list[Trial]:
        """Reads everything that the study holds, in order of number: also trials that add networks to others."""
        entries: dict[int, Trial] = {}
        for frozen in self._study.get_trials(deepcopy=False):
            entries[frozen.number] = self._trial(frozen, entries)
        return list(entries.values())

    def trials(self) -> list[Trial]:
        """Reads the trials of the search and the baseline, with all their networks, in order of number."""
        return pool_trials(self.entries(), self.spec)

    def front(self) -> list[Trial]:
        """Reads the Pareto front of the search, in order of number."""
        return select_front(self.trials(), self.spec.objectives)

    def known_entries(self) -> list[Trial]:
        """Returns what this process knows that the study holds, without reading the storage again; see `entries`."""
        return list(self._known.values())

    def known_trials(self) -> list[Trial]:
        """Returns the trials as this process knows them, without reading the storage again; see `trials`."""
        return [self._pooled[number] for number in sorted(self._pooled)]

    def known_front(self) -> list[Trial]:
        """Returns the front as this process knows it, without reading the storage again."""
        return select_front(self.known_trials(), self.spec.objectives)

    def importances(self) -> dict[str, dict[str, float]]:
        """Computes the importance of each hyperparameter; see `compute_importances`."""
        return compute_importances(self.trials(), self.spec)

    def hypervolumes(self) -> dict[int, float]:
        """Computes the growth of the front; see `compute_hypervolumes`."""
        return compute_hypervolumes(self.trials(), self.spec)

    @cached_property
    def _known(self) -> dict[int, Trial]:
        """All trials by number, which every event keeps up to date."""
        return {trial.number: trial for trial in self.entries()}

    @cached_property
    def _pooled(self) -> dict[int, Trial]:
        """Trials of the search and the baseline with all their networks, which every event keeps up to date."""
        return {trial.number: trial for trial in pool_trials(self._known.values(), self.spec)}

    @cached_property
    def _study_id(self) -> int:
        return self._storage.get_study_id_from_name(self.spec.name)

    @cached_property
    def _distributions(self) -> dict[str, BaseDistribution]:
        return make_distributions(self.spec)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _get_running(self, number: int) -> Trial:
        trial = self._known[number]
        if trial.state != "RUNNING":
            raise ValueError(f"trial {number} must be running to be ended, it is {trial.state}")
        return trial

    def _create(self, state: TrialState, params: dict[str, Any], attrs: dict[str, Any]) -> Trial:
        """Creates a trial in the storage, whose numbers must go on from those known here."""
        expected = len(self._known)
        template = create_trial(
            state=state,
            params=params,
            distributions={name: self._distributions[name] for name in params},
            user_attrs={key: value for key, value in attrs.items() if value is not None},
        )
        trial_id = self._storage.create_new_trial(self._study_id, template)
        template.number = self._storage.get_trial_number_from_id(trial_id)
        if template.number != expected:
            raise self._second_driver()
        return self._remember(self._trial(template, self._known))

    def _second_driver(self) -> StoreError:
        return StoreError(f"another driver runs sweep {self.spec.name!r} from the same study storage")

    def _remember(self, trial: Trial) -> Trial:
        """Keeps up to date what is known; returns the trial that has the networks, with all of them."""
        self._known[trial.number] = trial
        own = trial if trial.of is None else self._known[trial.of]
        added = [other for other in self._known.values() if other.of == own.number]
        self._pooled[own.number] = pool_trial(own, added, self.spec)
        return trial if trial.state == "RUNNING" else self._pooled[own.number]

    def _trial(self, frozen: FrozenTrial, earlier: Mapping[int, Trial]) -> Trial:
        attrs, of = frozen.user_attrs, frozen.user_attrs.get("of")
        role: Role = attrs["role"]
        if of is not None:
            params = earlier[of].params
        else:
            params = self.spec.baseline_params if role == "baseline" else self._order_params(frozen.params)
        trial = Trial(
            frozen.number,
            frozen.state.name,
            params,
            role,
            of,
            tuple(attrs["seeds"]),
            attrs.get("data_seed"),
            attrs.get("attempt", 1),
            attrs.get("retry_of"),
            reason=attrs.get("reason"),
            started=frozen.datetime_start,
            ended=frozen.datetime_complete,
        )
        if frozen.state != TrialState.COMPLETE:
            return trial
        return summarize_trial(trial, attrs[NETWORKS], attrs[ROW_STDERR], self.spec)

    def _order_params(self, searched: Mapping[str, Any]) -> dict[str, Any]:
        """All hyperparameters in the order of the spec: searched, fixed, and the settings of a variant."""
        settings = self.spec.variants.get(searched.get("variant", ""), {})
        known = {**self.spec.fixed, **searched, **settings}
        return {name: known[name] for name in self.spec.hyperparameters if name in known}
