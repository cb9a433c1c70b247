"""The dispatcher with a real study, without Ray."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.tracker import MemoryTracker

from bimt_core import METRICS
from sweeps import Store, parse_spec
from sweeps.run.dispatch import Dispatcher
from sweeps.spec.sweep import Cohort, SavedCheckpoint
from sweeps.study.study import SweepStudy

SAVED = SavedCheckpoint("/checkpoints/1", 60, (2, 0, 1))


class Bench:
    """A dispatcher with its study and records."""

    def __init__(self, folder: Path, checkpoints: Sequence[SavedCheckpoint] = (), **changes: Any) -> None:
        data: dict[str, Any] = {
            "name": "s",
            "task": "two_moons",
            "search": {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 100},
            "objectives": [{"metric": "connection_cost", "direction": "minimize"}],
            "trials": 6,
            "replicates": 2,
            "cohort_size": 4,
        }
        self.spec = parse_spec(data | changes)
        store = Store(folder)
        store.prepare("s")
        self.study, self.tracker = SweepStudy.launch(store, self.spec), MemoryTracker()
        self.dispatcher = self.dispatch(checkpoints)

    def dispatch(self, checkpoints: Sequence[SavedCheckpoint] = ()) -> Dispatcher:
        return Dispatcher(
            self.study,
            self.tracker,  # type: ignore[arg-type]
            cohort_size=lambda: self.spec.cohort_size,  # type: ignore[arg-type,return-value]
            share=lambda: 99,
            checkpoints=checkpoints,
        )

    def start(self, cohort_id: str) -> Cohort:
        cohort = self.dispatcher.start(cohort_id)
        assert cohort is not None
        return cohort

    def end(self, cohort_id: str, cohort: Cohort, **changes: Any) -> None:
        self.dispatcher.tell_end(cohort_id, result(cohort, **changes))

    def states(self) -> list[str]:
        return [trial.state for trial in self.study.trials()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def result(cohort: Cohort, step: int = 100, failures: dict[int, str] | None = None) -> dict[str, Any]:
    return {
        "step": step,
        "metrics": [{name: [1.0 + number, 3.0 + number] for name in METRICS} for number in cohort.members],
        "failures": list((failures or {}).items()),
        "files": [(number, {}) for number in cohort.members],
        "seconds": [("training", 2.0), ("measuring", 1.0), ("drawing", 0.5)],
        "host": "here",
        "device": "cpu",
        "done": step == 100,
    }


def test_cohorts_are_full_until_the_trials_run_out(bench: Bench) -> None:
    first, second = bench.start("a"), bench.start("b")
    assert (list(first.members), list(second.members)) == ([0, 1, 2, 3], [4, 5])
    assert bench.dispatcher.start("c") is None
    assert bench.dispatcher.n_training == 2
    bench.end("a", first)
    bench.end("b", second)
    assert bench.dispatcher.start("c") is None
    assert bench.dispatcher.n_training == 0
    assert bench.states() == ["COMPLETE"] * 6
    assert bench.study.trials()[2].mean["score"] == 4.0
    assert bench.study.trials()[2].stderr["score"] == 1.0
    assert bench.dispatcher.clock.seconds == {"training": 4.0, "measuring": 2.0, "drawing": 1.0}


def test_a_failed_trial_is_replaced(bench: Bench) -> None:
    first, second = bench.start("a"), bench.start("b")
    bench.end("a", first, failures={1: "diverged"})
    assert bench.states()[1] == "FAIL"
    assert bench.study.trials()[1].reason == "diverged"
    third = bench.start("c")
    assert list(third.members) == [6]
    bench.end("b", second)
    bench.end("c", third)
    assert bench.dispatcher.start("d") is None
    assert bench.dispatcher.status().complete == 6
    assert bench.tracker.statuses()["trial 001"] == "FAILED"


def test_a_mean_that_overflows_fails_only_its_trial(bench: Bench) -> None:
    told = result(bench.start("a"))
    told["metrics"][2]["connection_cost"] = [1.7e308, 1.7e308]  # finite, so the worker does not fail it
    bench.dispatcher.tell_end("a", told)
    assert bench.states() == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert bench.study.trials()[2].reason == "the mean of its connection_cost is inf"
    assert bench.tracker.statuses()["trial 002"] == "FAILED"


def test_the_members_of_a_lost_cohort_are_tried_separately(bench: Bench) -> None:
    first = bench.start("a")
    bench.dispatcher.tell_loss("a", "its worker process died")
    alone = [bench.start(f"alone{i}") for i in range(4)]
    assert [list(cohort.members) for cohort in alone] == [[number] for number in first.members]
    bench.dispatcher.tell_loss("alone0", "OSError: no", "long")
    for i in (1, 2, 3):
        bench.end(f"alone{i}", alone[i])
    assert bench.states() == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert bench.study.trials()[0].reason == "OSError: no"
    ended = next(record for record in bench.tracker.records if record.name == "trial 000" and record.status)
    assert ended.files == {"error.txt": b"long"}


def test_an_evaluation_told_twice_is_recorded_once(bench: Bench) -> None:
    cohort = bench.start("a")
    for step in (20, 40, 20, 40, 60):
        bench.dispatcher.tell_evaluation("a", result(cohort, step))
    steps = [record.points[0][2] for record in bench.tracker.records if record.points and record.name == "trial 000"]
    assert steps == [20, 40, 60]
    assert bench.dispatcher.status().network_steps == 60 * 8
    assert bench.dispatcher.clock.seconds["training"] == 10.0, "time spent twice is counted twice"


def test_a_stopped_cohort_is_neither_complete_nor_failed(bench: Bench) -> None:
    bench.start("a")
    bench.dispatcher.tell_stop("a")
    assert bench.states() == ["RUNNING"] * 4, "the driver interrupts them"
    assert bench.dispatcher.n_training == 0


@pytest.fixture
def interrupted(bench: Bench) -> Bench:
    """Four trials were interrupted and wait as 4 to 7; there is a checkpoint of 0 to 2."""
    bench.start("a")
    for number in range(4):
        bench.study.interrupt(number, "stopped")
    bench.dispatcher = bench.dispatch([SAVED])
    return bench


def test_trials_continue_from_the_checkpoint_of_an_earlier_launch(interrupted: Bench) -> None:
    first, second = interrupted.start("a"), interrupted.start("b")
    assert list(first.members) == [4, 5, 6]
    assert first.saved == SavedCheckpoint(SAVED.uri, 60, (0, 1, 2))
    assert (list(second.members), second.saved) == ([7], None)
    interrupted.end("a", first)
    assert interrupted.dispatcher.status().network_steps == 40 * 3 * 2, "earlier steps are not counted again"


def test_trials_that_were_interrupted_twice_continue_from_the_first_checkpoint(interrupted: Bench) -> None:
    interrupted.start("a")
    for number in (4, 5, 6):
        interrupted.study.interrupt(number, "stopped")
    again = interrupted.dispatch([SAVED])
    cohorts = [again.start("a"), again.start("b")]
    assert [(list(c.members), c.saved and c.saved.members) for c in cohorts if c] == [
        ([8, 9, 10], (0, 1, 2)),
        ([11], None),
    ]


def test_trials_whose_checkpoint_cannot_be_read_start_again(interrupted: Bench) -> None:
    interrupted.start("a")
    interrupted.dispatcher.tell_loss("a", "OSError: torn", "long")
    _, *alone = [interrupted.start(f"next{i}") for i in range(4)]
    assert [(list(cohort.members), cohort.saved) for cohort in alone] == [([4], None), ([5], None), ([6], None)]


def test_too_many_failures_end_the_search(tmp_path: Path) -> None:
    bench = Bench(tmp_path, trials=4, cohort_size=2, max_failed=3)
    for cohort_id in ("a", "b"):
        cohort = bench.start(cohort_id)
        bench.end(cohort_id, cohort, failures=dict.fromkeys(cohort.members, "bad"))
    assert bench.dispatcher.gave_up
    assert bench.dispatcher.start("c") is None


def test_the_status_estimates_the_remaining_steps(bench: Bench) -> None:
    assert bench.dispatcher.status().network_steps_left == 6 * 2 * 10_001, "published steps, before the first cohort"
    bench.dispatcher.tell_evaluation("a", result(bench.start("a"), 50))
    status = bench.dispatcher.status()
    assert status.network_steps_left == 6 * 2 * 100 - 4 * 2 * 50
    assert status.running == 4


def test_marks_follow_the_front(bench: Bench) -> None:
    cohort = bench.start("a")
    told = result(cohort)
    for metrics, cost in zip(told["metrics"], (4.0, 3.0, 5.0, 3.5), strict=True):
        metrics["connection_cost"] = [cost, cost]
    bench.dispatcher.tell_end("a", told)
    assert bench.dispatcher.marks == {0: False, 1: True, 2: False, 3: False}
    told = result(bench.start("b"))
    for metrics, cost in zip(told["metrics"], (2.0, 6.0), strict=True):
        metrics["connection_cost"] = [cost, cost]
    bench.dispatcher.tell_end("b", told)
    assert bench.dispatcher.marks[1] is False, "no longer on the front"
    assert bench.dispatcher.marks[4] is True
    marks = [(r.name, r.tags["bimt.front"]) for r in bench.tracker.records if "bimt.front" in r.tags]
    assert marks[-3:] == [("trial 004", "yes"), ("trial 005", "no"), ("trial 001", "no")]


VARIANTS = {"vanilla": {"cost_weight": 0.0}, "L1": {"weight_factor": 0.0}, "long": {"steps": 200}}


def test_every_variant_is_a_trial(tmp_path: Path) -> None:
    bench = Bench(tmp_path, variants=VARIANTS, trials=3, search={"steps": 100})
    first, second = bench.start("a"), bench.start("b")
    assert (list(first.members), list(second.members)) == ([0, 1], [2]), "other shared hyperparameters, other cohorts"
    assert first.members[1] == {"variant": "L1", "steps": 100, "weight_factor": 0.0}
    bench.end("a", first, failures={1: "diverged"})
    assert bench.dispatcher.start("c") is None, "a variant that failed would only fail again"
    bench.end("b", second)
    assert bench.states() == ["COMPLETE", "FAIL", "COMPLETE"]


def test_the_cohort_size_is_asked_for_before_each_cohort(tmp_path: Path) -> None:
    bench, sizes = Bench(tmp_path), iter([1, 3])
    size: Callable[[], int] = lambda: next(sizes)  # noqa: E731
    bench.dispatcher = Dispatcher(bench.study, bench.tracker, cohort_size=size, share=lambda: 9)  # type: ignore[arg-type]
    assert [len(bench.start(cohort_id).members) for cohort_id in "ab"] == [1, 3]
