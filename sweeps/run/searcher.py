"""The Ray Tune searcher: asks the ledger for trials, hands them out in cohorts, and tells how they ended."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ray.tune.search import Searcher

from bimt_core import load_task
from sweeps.cli.progress import Status
from sweeps.spec.recipe import recipe
from sweeps.study.study import Attempt, SweepStudy, Trial
from sweeps.tracking import records
from sweeps.tracking.tracker import Tracker
from sweeps.worker.artifacts import HISTORY, SKETCH
from sweeps.worker.checkpoint import SavedCheckpoint
from sweeps.worker.cohort import CohortSpec, Member


@dataclass
class _Cohort:
    """A cohort that Ray Tune has: what it trains and how far it is."""

    spec: CohortSpec
    steps: int
    step: int = 0

    @property
    def networks(self) -> int:
        return len(self.spec.members) * len(self.spec.seeds)


@dataclass
class _Clock:
    """Seconds of worker time by what it was spent on."""

    seconds: dict[str, float] = field(default_factory=lambda: {"training": 0.0, "measuring": 0.0, "drawing": 0.0})

    def add(self, spent: list[tuple[str, float]]) -> None:
        for name, seconds in spent:
            self.seconds[name] += seconds


class CohortSearcher(Searcher):
    """Ray Tune's searcher over a ledger. A Tune trial is a cohort of the ledger's trials.

    Args:
        ledger: The sweep's study.
        tracker: Where runs are recorded.
        compiled: Whether cohorts compile their training.
        left: Checkpoints of cohorts that earlier launches left behind; their trials go on from there.

    Attributes:
        cohort_size: Trials of a cohort; 1 until it is set where the sweep says "auto".
        share: How many cohorts the sweep may have out; asked before each.
        forget: Called with the name of a cohort whose trials have all ended.
        sketches: Small diagrams of the trials that this launch has completed, by number, as SVG.
        histories: How the best replicates of those on the front were trained, by number; see `sweeps.worker.history`.
        unsaved: Why a cohort's checkpoint could not be kept, if that has happened.
        marked: Whether the trials that this launch has completed are marked as on the front, by number.
    """

    def __init__(
        self,
        study: SweepStudy,
        tracker: Tracker,
        *,
        compiled: bool = False,
        left: Sequence[SavedCheckpoint] = (),
    ) -> None:
        super().__init__()
        self.cohort_size = 1 if study.spec.cohort_size == "auto" else study.spec.cohort_size
        self.sketches: dict[int, bytes] = {}
        self.histories: dict[int, bytes] = {}
        self.marked: dict[int, bool] = {}
        self.unsaved: str | None = None
        self._compiled = compiled
        self.forget: Callable[[str], object] = lambda _: None
        self.share: Callable[[], int] = lambda: sys.maxsize
        self._left = {number: checkpoint for checkpoint in left for number in checkpoint.members}
        self._retry_of = {record.number: record.retry_of for record in study.trials()} if left else {}
        self._most_out, self._yields = 0, False
        self.clock = _Clock()
        self._study, self._tracker, self._spec = study, tracker, study.spec
        self._task = load_task(study.spec.task, study.spec.data_seed)
        self._ready: list[_Cohort] = []
        self._out: dict[str, _Cohort] = {}
        self._complete, self._failed = study.count("COMPLETE"), 0
        self._network_steps = 0
        self._front: tuple[Trial, ...] = self._study.front_so_far()
        self._started = time.monotonic()

    # What Ray Tune calls

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED is text
        """The next cohort; None while there is none yet, FINISHED when there will be none in this run of Ray Tune.

        Tune keeps the workers that it has for later cohorts. So where the sweep's share has shrunk below their number,
        this run ends, which frees them, and the driver starts another.
        """
        share = self.share()
        if share < self._most_out:
            self._yields = True
            return Searcher.FINISHED
        if len(self._out) >= share:
            return None
        if not self._ready:
            self._ask()
        if self._ready:
            self._out[trial_id] = cohort = self._ready.pop(0)
            self._most_out = max(self._most_out, len(self._out))
            return {"cohort": cohort.spec.as_dict()}
        return None if self._out else Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A cohort's report along the way. A report that was there before (after a restart) is not recorded again."""
        cohort = self._out[trial_id]
        if self._advance(cohort, result):
            for member, figures in zip(cohort.spec.members, result["figures"], strict=True):
                self._tracker.record(
                    records.describe_evaluation(self._study.sweep_id, member.number, figures, result["step"])
                )

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A cohort's end: trained, raised, lost with its worker, or stopped before its time."""
        cohort = self._out.pop(trial_id)
        if error or result is None:
            self._lost(cohort, "its worker process died", "")
        elif "error" in result:
            self._lost(cohort, result["error"], result["traceback"])
            self.forget(trial_id)
        elif result.get("done"):
            self._advance(cohort, result)
            self._ended(cohort, result)
            self.forget(trial_id)
        # else: stopped; the driver interrupts what still runs

    def save(self, checkpoint_path: str) -> None:
        """Nothing is saved: the ledger is the state, and a sweep resumes by being launched again."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is restored; see `save`."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher into the experiment's folder; nothing of ours goes there."""
        return {}

    # What the driver asks

    def status(self) -> Status:
        """Safe to call from another thread."""
        out = list(self._out.values())
        left = max(self._spec.trials - self._complete, 0) * self._spec.replicates * self._typical_steps()
        done_of_running = sum(c.step * c.networks for c in out)
        return Status(
            complete=self._complete,
            wanted=self._spec.trials,
            failed=self._failed,
            running=sum(len(c.spec.members) for c in out),
            network_steps=self._network_steps,
            network_steps_left=max(left - done_of_running, 0),
            elapsed_s=time.monotonic() - self._started,
            front=self._front,
            tracking_problem=self._tracker.problem,
        )

    @property
    def gave_up(self) -> bool:
        """Whether too many trials failed."""
        return self._failed >= (self._spec.max_failed or self._spec.trials)

    def goes_on(self) -> bool:
        """Whether Ray Tune's run ended only to give workers to other sweeps; then another may start."""
        yields, self._yields, self._most_out = self._yields, False, 0
        return yields and not self._out

    # Asking

    def _ask(self) -> None:
        """Asks for a cohort's worth of trials and sorts them: shape of networks, schedule, and what is left of them."""
        outstanding = sum(len(c.spec.members) for c in self._out.values())
        wanted = min(self.cohort_size, self._spec.trials - self._complete - outstanding)
        groups: dict[Any, list[tuple[Attempt, int | None]]] = {}
        while wanted > 0 and not self.gave_up and (attempt := self._study.ask()):
            self._tracker.record(records.describe_trial_start(self._spec, self._study.sweep_id, attempt))
            before = self._trained_as(attempt)
            key = recipe(self._task, attempt.params).shape, None if before is None else self._left[before].uri
            groups.setdefault(key, []).append((attempt, before))
            wanted -= 1
        for ((_, shared), _), attempts in groups.items():
            members = tuple(Member(a.number, a.params) for a, _ in attempts)
            held = tuple(number for _, number in attempts if number is not None)
            left = replace(self._left[held[0]], members=held) if held else None
            self._ready.append(self._cohort(members, shared.steps, left))

    def _trained_as(self, attempt: Attempt) -> int | None:
        """The number of the trial, of those that an attempt repeats, of which there is a checkpoint."""
        number = attempt.retry_of
        while number is not None and number not in self._left:
            number = self._retry_of.get(number)
        return number

    def _cohort(self, members: tuple[Member, ...], steps: int, left: SavedCheckpoint | None = None) -> _Cohort:
        spec = self._spec
        cohort = CohortSpec(
            spec.task,
            spec.data_seed,
            members,
            tuple(spec.seeds),
            spec.evaluations,
            gpu=spec.resources.gpus > 0,
            dtype=spec.dtype,
            compiled=self._compiled,
            left=left,
        )
        return _Cohort(cohort, steps, left.step if left else 0)

    # Telling

    def _advance(self, cohort: _Cohort, result: Mapping[str, Any]) -> bool:
        self.clock.add(result["seconds"])
        self.unsaved = result.get("unsaved") or self.unsaved
        if result["step"] <= cohort.step:
            return False
        self._network_steps += (result["step"] - cohort.step) * cohort.networks
        cohort.step = result["step"]
        return True

    def _ended(self, cohort: _Cohort, result: dict[str, Any]) -> None:
        failures, files = dict(result["failures"]), dict(result["files"])
        ended, stood = [], self._front
        for member, figures in zip(cohort.spec.members, result["figures"], strict=True):
            number = member.number
            if number in failures:
                self._fail(number, failures[number], files[number])
                continue
            mean, stderr = records.summarize_replicates(figures)
            if (metric := self._study.unusable(mean)) is not None:  # finite values may add up to more than 1e308
                self._fail(number, f"the mean of its {metric} is {mean[metric]}", files[number])
                continue
            self._tracker.record(
                records.describe_trial_end(self._spec, self._study.sweep_id, number, figures, result, files[number])
            )
            ended.append(self._study.complete(number, mean, stderr))
            self._complete += 1
            if SKETCH in files[number]:
                self.sketches[number] = files[number][SKETCH]
                self.histories[number] = files[number][HISTORY]
        for kept in ("files", "figures"):
            result[kept].clear()  # Tune keeps the last result of every trial
        self._front = self._study.front_so_far()
        on_front = {record.number for record in self._front}
        self.histories = {number: history for number, history in self.histories.items() if number in on_front}
        for record in (*ended, *(record for record in stood if record.number not in on_front)):
            self.marked[record.number] = record.number in on_front
            self._tracker.record(
                records.describe_front_mark(self._study.sweep_id, record, on_front=record.number in on_front)
            )

    def _lost(self, cohort: _Cohort, reason: str, trace: str) -> None:
        """A member that was alone from its beginning has failed; otherwise each is tried so, and the culprit fails."""
        members = cohort.spec.members
        if len(members) == 1 and cohort.spec.left is None:
            self._fail(members[0].number, reason, {"error.txt": (trace or reason).encode()})
            return
        self._ready += [self._cohort((member,), cohort.steps) for member in members]

    def _fail(self, number: int, reason: str, files: Mapping[str, bytes]) -> None:
        self._tracker.record(records.describe_trial_failure(self._study.sweep_id, number, reason, files))
        self._study.fail(number, reason)
        self._failed += 1

    def _typical_steps(self) -> int:
        return max((c.steps for c in self._out.values()), default=self._task.shared.steps)
