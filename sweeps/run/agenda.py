"""The agenda: the next trials of a sweep, from the baseline through the search to the confirmation of its front."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.errors import BadInputError
from sweeps.run.suggestions import Suggester
from sweeps.study.analysis import compute_confirmed_hypervolumes
from sweeps.study.front_probability import touches_front
from sweeps.study.study import SweepStudy
from sweeps.study.trial import Role, Trial

UNFINISHED = ("RUNNING", "WAITING")


@dataclass(frozen=True)
class ConfirmRequest:
    """A confirmation of the front as it is, without going on with the search.

    Args:
        replicates: Networks per configuration.
        data_seed: Seed of other data; None for the sweep's own.

    Raises:
        BadInputError: If it is of a single network, which has no interval.
    """

    replicates: int
    data_seed: int | None = None

    def __post_init__(self) -> None:
        if self.replicates < 2:
            raise BadInputError(
                f"replicates of a confirmation must be at least 2, for an interval, got {self.replicates}"
            )


class Agenda:
    """Decides which trials come next; what has been done is in the study, so a new launch continues.

    Args:
        study: Study of the sweep.
        suggester: Source of new configurations.
        request: Confirmation to do instead of the search; None for the whole sweep.
    """

    def __init__(self, study: SweepStudy, suggester: Suggester, request: ConfirmRequest | None = None) -> None:
        self._study, self._suggester, self._request, self._spec = study, suggester, request, study.spec
        confirm = study.spec.confirm
        self._confirm = request or (None if confirm is None else ConfirmRequest(confirm.replicates))
        self._roles: tuple[Role, ...] | None = ("baseline", "confirmation") if request else None
        self._stopped: dict[int, bool] = {}  # by number of checks

    def start_trials(self, most_networks: int, trial_s: float | None = None) -> list[Trial]:
        """Starts trials that can be trained now; none if those that run must end first, or nothing is left to do.

        Args:
            most_networks: Networks of one cohort; the last trial may exceed it.
            trial_s: Seconds that one trial takes one worker; None if not known.
        """
        self._record_check()
        started = self._study.start_waiting(most_networks, self._roles)

        def room() -> int:
            return most_networks - sum(len(trial.seeds) for trial in started)

        for start in (self._start_baseline, self._start_replicates, self._start_confirmations):
            while room() > 0 and (trial := start()) is not None:
                started.append(trial)
        if (n := min(-(-room() // self._spec.replicates), self.missing_search)) > 0:
            found = self._suggester.take(self._study.known_trials(), n, trial_s)
            started += [self._study.start_search(params, found.sampler) for params in found.params]
        return started

    def is_done(self) -> bool:
        """Returns whether nothing is left to do, and nothing runs."""
        if self._spec.variants:
            return not self._count(*UNFINISHED)
        if self._count(*UNFINISHED, roles=self._roles):
            return False
        left = self.missing_search or self._wants_baseline() or self._find_racing() or self.find_unconfirmed()
        return not left and not self._check_is_due()

    @property
    def missing_search(self) -> int:
        """Number of trials of the search that can be started now, besides those that run or wait."""
        if self._request or self._spec.variants:
            return 0
        count = self._count("COMPLETE", *UNFINISHED, roles=("search",))
        return max(0, self._wanted - count)

    @property
    def is_searching(self) -> bool:
        """True while trials of the search run, wait or are missing, or are to get more networks."""
        unfinished = self._count(*UNFINISHED, roles=("search", "replicates"))
        return bool(unfinished or self.missing_search or self._find_racing())

    def find_unconfirmed(self) -> list[tuple[Trial, tuple[int, ...]]]:
        """Finds the trials to confirm now and the seeds that they lack: the baseline, and the front once it stands."""
        if self._confirm is None or self._spec.variants:
            return []
        targets = [t for t in self._study.known_trials() if t.role == "baseline" and t.state == "COMPLETE"]
        if self._request or not self.is_searching:
            targets += self._study.known_front()
        seeds, lacking = self._spec.confirmation_seeds(self._confirm.replicates), []
        for trial in targets:
            tried = self._seeds_of(trial, "confirmation", self._confirm.data_seed)
            if missing := tuple(seed for seed in seeds if seed not in tried):
                lacking.append((trial, missing))
        return lacking

    def count_confirmations(self) -> tuple[int, int]:
        """Counts the trials that have been confirmed, and the networks for it that neither have been trained nor train.

        While the search goes on, the front as it is stands for the one to come.
        """
        if self._confirm is None or self._spec.variants:
            return 0, 0
        baseline = [t for t in self._study.known_trials() if t.role == "baseline" and t.state != "FAIL"]
        targets, wanted = baseline + self._study.known_front(), self._confirm.replicates
        confirmed, lacking = 0, wanted if self._wants_baseline() else 0
        for trial in targets:
            confirmation = trial.confirmations.get(self._confirm.data_seed)
            confirmed += confirmation is not None and len(confirmation.seeds) >= wanted
            lacking += max(wanted - len(self._seeds_of(trial, "confirmation", self._confirm.data_seed)), 0)
        return confirmed, lacking

    @property
    def _wanted(self) -> int:
        """Complete trials of the search to reach now: all of them, or those up to the next check of `stop_when`."""
        if self._spec.stop_when is None:
            return self._spec.trials
        if self.has_stopped:
            return self._study.count("COMPLETE")
        return min(self._spec.trials, (len(self._study.checks) + 1) * self._spec.stop_when.trials)

    @property
    def has_stopped(self) -> bool:
        """True once the confirmed front has stopped growing, which ends the search."""
        stop = self._spec.stop_when
        if stop is None or len(checks := self._study.checks) < 2:
            return False
        if len(checks) not in self._stopped:
            before, now = compute_confirmed_hypervolumes(self._study.known_trials(), self._spec, checks[-2:])
            self._stopped[len(checks)] = now < (1 + stop.gain) * before
        return self._stopped[len(checks)]

    def _record_check(self) -> None:
        """Records the confirmed trials once the front at a check of `stop_when` is confirmed."""
        if self._check_is_due():
            confirmed = [t.number for t in self._study.known_trials() if t.confirmed and t.role == "search"]
            self._study.record_check(confirmed)

    def _check_is_due(self) -> bool:
        if self._spec.stop_when is None or self._request or self.is_searching or self.has_stopped:
            return False
        waits = self.find_unconfirmed() or self._count(*UNFINISHED)
        return not waits and self._study.count("COMPLETE") < self._spec.trials

    def _start_baseline(self) -> Trial | None:
        return self._study.start_networks("baseline", self._spec.seeds) if self._wants_baseline() else None

    def _start_replicates(self) -> Trial | None:
        trial = self._find_racing()
        if trial is None:
            return None
        first = self._spec.seed + len(self._seeds_of(trial, "replicates")) + self._spec.replicates
        end = self._spec.seed + self._spec.most_replicates
        return self._study.start_networks(
            "replicates", range(first, min(first + self._spec.replicates, end)), trial.number
        )

    def _start_confirmations(self) -> Trial | None:
        lacking = self.find_unconfirmed()
        if not lacking or self._confirm is None:
            return None
        trial, seeds = lacking[0]
        return self._study.start_networks("confirmation", seeds, trial.number, self._confirm.data_seed)

    def _wants_baseline(self) -> bool:
        return not self._spec.variants and not any(t.role == "baseline" for t in self._study.known_trials())

    def _find_racing(self) -> Trial | None:
        """A trial whose interval touches the front, and that may have more networks."""
        most = self._spec.most_replicates
        if self._request or most == self._spec.replicates:
            return None
        trials = [t for t in self._study.known_trials() if t.role == "search" and t.feasible]
        if not trials:
            return None
        metrics = [objective.metric for objective in self._spec.objectives]
        values, stderr = (
            np.array([[by_metric[metric] for metric in metrics] for by_metric in columns])
            for columns in ([t.values for t in trials], [t.stderr for t in trials])
        )
        touches = touches_front(values, stderr, [objective.direction for objective in self._spec.objectives])
        open_trials = (
            trial
            for trial, is_near in zip(trials, touches, strict=True)
            if is_near and self._spec.replicates + len(self._seeds_of(trial, "replicates")) < most
        )
        return next((t for t in open_trials if not self._is_growing(t)), None)

    def _is_growing(self, trial: Trial) -> bool:
        """True if networks are being added to a trial, or could not be."""
        added = [t for t in self._study.known_entries() if t.of == trial.number and t.role == "replicates"]
        retried = {t.retry_of for t in added}
        return any(t.state != "COMPLETE" and t.number not in retried for t in added)

    def _seeds_of(self, trial: Trial, role: Role, data_seed: int | None = None) -> set[int]:
        """Seeds of the networks that have been added to a trial, are being added, or failed."""
        added = (t for t in self._study.known_entries() if t.of == trial.number and t.role == role)
        return {seed for t in added if t.data_seed == data_seed for seed in t.seeds}

    def _count(self, *states: str, roles: Sequence[Role] | None = None) -> int:
        entries = self._study.known_entries()
        return sum(t.state in states and (roles is None or t.role in roles) for t in entries)
