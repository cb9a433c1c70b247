"""The dispatcher: asks the study for trials, hands them out in cohorts, and tells their results. Knows no Ray."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweeps.run.cohorts import form_cohorts, split_cohort
from sweeps.run.state import Status, WorkerClock
from sweeps.spec.sweep import Cohort, SavedCheckpoint
from sweeps.study.statistics import summarize_replicates
from sweeps.study.study import SweepStudy
from sweeps.study.trial import Trial
from sweeps.tracking.records import SweepRecords
from sweeps.tracking.tracker import Tracker
from sweeps.worker.artifacts import HISTORY, SKETCH


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

    Attributes:
        share: See above.
        clock: Time of the workers.
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
    ) -> None:
        self._study, self._tracker, self._spec = study, tracker, study.spec
        self._records = SweepRecords(study.spec, study.sweep_id)
        self._cohort_size, self.share, self._compiled = cohort_size, share, compiled
        self._checkpoints = {number: checkpoint for checkpoint in checkpoints for number in checkpoint.members}
        self._retry_of = {trial.number: trial.retry_of for trial in study.trials()} if checkpoints else {}
        self.clock = WorkerClock()
        self.sketches: dict[int, bytes] = {}
        self.histories: dict[int, bytes] = {}
        self.marks: dict[int, bool] = {}
        self.checkpoint_problem: str | None = None
        self._ready: list[Cohort] = []
        self._training: dict[str, _Training] = {}
        self._complete, self._failed, self._network_steps = study.count("COMPLETE"), 0, 0
        self._front = study.known_front()
        self._default_steps = self._spec.load_task().shared.steps
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
            for number, metrics in zip(training.cohort.members, result["metrics"], strict=True):
                self._tracker.record(self._records.describe_evaluation(number, metrics, result["step"]))

    def tell_end(self, cohort_id: str, result: dict[str, Any]) -> None:
        """Completes or fails the trials of a cohort that was trained to its end.

        Args:
            cohort_id: The cohort.
            result: Plain data of the last evaluation; its files and metrics are cleared, because Ray Tune keeps it.
        """
        training = self._training.pop(cohort_id)
        self._advance(training, result)
        failures, files = dict(result["failures"]), dict(result["files"])
        completed: list[Trial] = []
        before = self._front
        for number, metrics in zip(training.cohort.members, result["metrics"], strict=True):
            mean, stderr = summarize_replicates(metrics)
            reason = failures.get(number)
            if reason is None and (name := self._study.find_unusable(mean)) is not None:  # a sum of finite values
                reason = f"the mean of its {name} is {mean[name]}"
            if reason is not None:
                self._fail(number, reason, files[number])
                continue
            self._tracker.record(self._records.describe_trial_end(number, metrics, result, files[number]))
            completed.append(self._study.complete(number, mean, stderr))
            self._complete += 1
            if SKETCH in files[number]:
                self.sketches[number], self.histories[number] = files[number][SKETCH], files[number][HISTORY]
        for kept in ("files", "metrics"):
            result[kept].clear()
        self._front = self._study.known_front()
        on_front = {trial.number for trial in self._front}
        self.histories = {number: history for number, history in self.histories.items() if number in on_front}
        for trial in (*completed, *(trial for trial in before if trial.number not in on_front)):
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
        steps = max((t.steps for t in training), default=self._default_steps)
        left = max(self._spec.trials - self._complete, 0) * self._spec.replicates * steps
        done = sum(t.step * t.cohort.n_networks for t in training)
        return Status(
            complete=self._complete,
            wanted=self._spec.trials,
            failed=self._failed,
            running=sum(len(t.cohort.members) for t in training),
            network_steps=self._network_steps,
            network_steps_left=max(left - done, 0),
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
        """Asks for as many trials as a cohort has, or as are missing, and forms cohorts of them."""
        running = sum(len(training.cohort.members) for training in self._training.values())
        missing = self._spec.trials - self._complete - running
        if missing <= 0 or self.gave_up:
            return
        trials: list[Trial] = []
        for _ in range(min(self._cohort_size(), missing)):
            if (trial := self._study.ask()) is None:
                break
            self._tracker.record(self._records.describe_trial_start(trial))
            trials.append(trial)
        self._ready += form_cohorts(
            self._spec, trials, compiled=self._compiled, checkpoints=self._checkpoints, retry_of=self._retry_of
        )

    def _advance(self, training: _Training, result: Mapping[str, Any]) -> bool:
        """Counts the steps since the last evaluation; returns whether there are any."""
        self.clock.add(result["seconds"])
        self.checkpoint_problem = result.get("checkpoint_problem") or self.checkpoint_problem
        if result["step"] <= training.step:
            return False
        self._network_steps += (result["step"] - training.step) * training.cohort.n_networks
        training.step = result["step"]
        return True

    def _fail(self, number: int, reason: str, files: Mapping[str, bytes]) -> None:
        self._tracker.record(self._records.describe_trial_failure(number, reason, files))
        self._study.fail(number, reason)
        self._failed += 1
