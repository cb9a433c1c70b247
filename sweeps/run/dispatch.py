"""The dispatcher: asks the study for trials, hands them out in cohorts, and tells their results. Knows no Ray."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bimt_core.train import COMPILE_ABOVE, estimate_work
from sweeps.run.agenda import Agenda, ConfirmRequest
from sweeps.run.cohorts import form_cohorts, split_cohort
from sweeps.run.state import Status, WorkerClock
from sweeps.run.suggestions import READY_AT, Suggester
from sweeps.spec.cohort import Cohort, SavedCheckpoint
from sweeps.study.pooling import summarize_trial
from sweeps.study.study import SweepStudy
from sweeps.study.trial import Trial
from sweeps.tracking.records import SweepRecords
from sweeps.tracking.tracker import Tracker
from sweeps.worker.artifacts import HISTORY, SKETCH

ROUNDS = 8  # of a search at least, in which it learns from results; benchmarks/search.py


@dataclass
class _Training:
    """A cohort in training and its finished steps."""

    cohort: Cohort
    step: int

    @cached_property
    def steps(self) -> int:
        return self.cohort.recipes[0].shared.steps


class Dispatcher:
    """Hands out the trials of one launch and collects their results.

    Args:
        study: Study of the sweep.
        tracker: Destination of MLflow records.
        cohort_size: Returns the number of trials per cohort; called before each cohort.
        share: Returns the number of cohorts that the sweep may train at the same time.
        compiled: Whether cohorts compile their training.
        checkpoints: Checkpoints of earlier launches, from which their trials continue.
        request: Confirmation to do instead of the search; None for the whole sweep.

    Attributes:
        share: See above.
        clock: Time of the workers.
        suggester: Source of the search's trials.
        sketches: Sketch (SVG) of each trial that this launch completed, by number.
        histories: History of the best replicate of those that are on the front; see `sweeps.worker.history`.
        marks: Whether each trial that this launch completed was last recorded as on the front.
        checkpoint_problem: Why a checkpoint could not be kept, if that happened.
    """

    def __init__(
        self,
        study: SweepStudy,
        tracker: Tracker,
        *,
        cohort_size: Callable[[], int],
        share: Callable[[], int],
        compiled: bool = False,
        checkpoints: Sequence[SavedCheckpoint] = (),
        request: ConfirmRequest | None = None,
    ) -> None:
        self._study, self._tracker, self._spec = study, tracker, study.spec
        self._records = SweepRecords(study.spec, study.sweep_id)
        self._cohort_size, self.share, self._compiled = cohort_size, share, compiled
        self._checkpoints = {number: checkpoint for checkpoint in checkpoints for number in checkpoint.members}
        self._retry_of = {trial.number: trial.retry_of for trial in study.known_entries()} if checkpoints else {}
        self.clock, self.suggester = WorkerClock(), Suggester(study.spec)
        self.agenda = Agenda(study, self.suggester, request)
        self.sketches: dict[int, bytes] = {}
        self.histories: dict[int, bytes] = {}
        self.marks: dict[int, bool] = {}
        self.checkpoint_problem: str | None = None
        self._ready: list[Cohort] = []
        self._training: dict[str, _Training] = {}
        self._failed, self._network_steps = 0, 0
        self._front = study.known_front()
        self._steps = study.spec.recipe(study.spec.largest_params).shared.steps
        self._started = time.monotonic()

    def start(self, cohort_id: str) -> Cohort | None:
        """Returns the next cohort, which trains from now on; None while there is none.

        Args:
            cohort_id: Name by which its results will be told.
        """
        if not self._ready:
            self._ask()
        if not self._ready:
            return None
        cohort = self._ready.pop(0)
        self._training[cohort_id] = _Training(cohort, cohort.saved.step if cohort.saved else 0)
        return cohort

    def tell_evaluation(self, cohort_id: str, result: Mapping[str, Any]) -> None:
        """Records an evaluation during training; one that was told before (after a restart) is not recorded again.

        Args:
            cohort_id: The cohort.
            result: Plain data of the evaluation.
        """
        training = self._training[cohort_id]
        if self._advance(training, result):
            numbered = dict(zip(training.cohort.members, result["metrics"], strict=True))
            for number, metrics in numbered.items():
                self._tracker.record(self._records.describe_evaluation(number, metrics, result["step"]))
            if result["step"] >= READY_AT * training.steps:
                n = min(-(-self._most_networks // self._spec.replicates), self.agenda.missing_search)
                self.suggester.prepare(self._study.known_trials(), n, numbered, self._trial_s)

    def tell_end(self, cohort_id: str, result: dict[str, Any]) -> None:
        """Completes or fails the trials of a cohort that was trained to its end.

        Args:
            cohort_id: The cohort.
            result: Plain data of the last evaluation; its files and metrics are cleared, because Ray Tune keeps it.
        """
        training = self._training.pop(cohort_id)
        self._advance(training, result)
        failures, files = dict(result["failures"]), dict(result["files"])
        completed, before = set(), {trial.number for trial in self._front}
        measured = zip(training.cohort.members, result["metrics"], result["row_stderr"], strict=True)
        for number, networks, row_stderr in measured:
            reason = failures.get(number) or self._study.find_unusable(networks)  # a sum of finite values may overflow
            if reason is not None:
                self._fail(number, reason, files[number])
                continue
            ended = summarize_trial(self._entry(number), networks, row_stderr, self._spec)
            self._tracker.record(self._records.describe_trial_end(ended, result, files[number]))
            trial = self._study.complete(number, networks, row_stderr)
            if trial.number != number:
                self._tracker.record(self._records.describe_added_networks(trial))
            completed.add(trial.number)
            if SKETCH in files[number] and trial.number == number:
                self.sketches[number], self.histories[number] = files[number][SKETCH], files[number][HISTORY]
        for kept in ("files", "metrics"):
            result[kept].clear()
        self._front = self._study.known_front()
        on_front = {trial.number for trial in self._front}
        self.histories = {number: history for number, history in self.histories.items() if number in on_front}
        for trial in self._study.known_trials():
            if trial.role == "search" and trial.number in completed | (before ^ on_front):
                self.marks[trial.number] = trial.number in on_front
                self._tracker.record(self._records.describe_front_mark(trial, on_front=trial.number in on_front))

    def tell_loss(self, cohort_id: str, reason: str, traceback: str = "") -> None:
        """Tries the members of a cohort separately after it raised or lost its worker; a member alone has failed.

        Args:
            cohort_id: The cohort.
            reason: What happened, in one line.
            traceback: Traceback of the worker, if any.
        """
        cohort = self._training.pop(cohort_id).cohort
        members = split_cohort(cohort)
        self._ready += members
        if not members:
            (number,) = cohort.members
            self._fail(number, reason, {"error.txt": (traceback or reason).encode()})

    def tell_stop(self, cohort_id: str) -> None:
        """Forgets a cohort that was stopped before its end; its trials still run in the study.

        Args:
            cohort_id: The cohort.
        """
        del self._training[cohort_id]

    def status(self) -> Status:
        """Returns the status of the sweep; safe to call from another thread."""
        training = list(self._training.values())
        confirmed, lacking = self.agenda.count_confirmations()
        left = (self.agenda.missing_search * self._spec.replicates + lacking) * self._steps
        left += sum((t.steps - t.step) * len(t.cohort.seeds) for t in training)
        return Status(
            complete=self._study.count("COMPLETE"),
            wanted=self._spec.trials,
            failed=self._failed,
            running=sum(len(t.cohort.members) for t in training),
            searching=self.agenda.is_searching,
            confirmed=confirmed,
            network_steps=self._network_steps,
            network_steps_left=max(left, 0),
            elapsed_s=time.monotonic() - self._started,
            front=self._front,
            tracking_problem=self._tracker.problem,
        )

    @property
    def n_training(self) -> int:
        """Number of cohorts in training."""
        return len(self._training)

    @property
    def gave_up(self) -> bool:
        """True if too many trials failed."""
        return self._failed >= (self._spec.max_failed or self._spec.trials)

    def _ask(self) -> None:
        """Starts as many trials as a cohort has, and forms cohorts of them."""
        if self.gave_up:
            return
        trials = self.agenda.start_trials(self._most_networks, self._trial_s)
        for trial in trials:
            of = None if trial.of is None else self._entry(trial.of)
            self._tracker.record(self._records.describe_trial_start(trial, of))
        cohorts = form_cohorts(
            self._spec, trials, compiled=self._compiled, checkpoints=self._checkpoints, retry_of=self._retry_of
        )
        self._ready += map(self._compile_if_worth, cohorts)

    @property
    def _most_networks(self) -> int:
        """Networks of a cohort, fewer than its size allows if the search had too few rounds otherwise."""
        most_trials = self._spec.trials if self._spec.variants else -(-self._spec.trials // ROUNDS)
        return max(1, min(self._cohort_size(), most_trials)) * self._spec.replicates

    @property
    def _trial_s(self) -> float | None:
        """Seconds that one trial takes one worker, as far as measured."""
        trained = self._network_steps / (self._steps * self._spec.replicates)
        return sum(self.clock.seconds.values()) / trained if trained else None

    def _compile_if_worth(self, cohort: Cohort) -> Cohort:
        """A small cohort, which has a size of its own, is compiled only if that pays for itself."""
        if not cohort.compiled or 2 * len(cohort.seeds) >= self._most_networks:
            return cohort
        first = cohort.recipes[0]
        work = estimate_work(first.network, cohort.load_task(), first.shared, len(cohort.seeds))
        return replace(cohort, compiled=work > COMPILE_ABOVE)

    def _entry(self, number: int) -> Trial:
        return next(trial for trial in self._study.known_entries() if trial.number == number)

    def _advance(self, training: _Training, result: Mapping[str, Any]) -> bool:
        """Counts the steps since the last evaluation; returns whether there are any."""
        self.clock.add(result["seconds"])
        self.checkpoint_problem = result.get("checkpoint_problem") or self.checkpoint_problem
        if result["step"] <= training.step:
            return False
        self._network_steps += (result["step"] - training.step) * len(training.cohort.seeds)
        training.step = result["step"]
        return True

    def _fail(self, number: int, reason: str, files: Mapping[str, bytes]) -> None:
        self._tracker.record(self._records.describe_trial_failure(number, reason, files))
        self._study.fail(number, reason)
        self._failed += 1
