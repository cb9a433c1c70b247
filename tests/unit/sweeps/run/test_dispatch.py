"""The dispatcher with a real study, without Ray."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.tracker import MemoryTracker

from bimt_core import METRICS
from sweeps import Store, parse_spec
from sweeps.run.agenda import ConfirmRequest
from sweeps.run.dispatch import ROUNDS, Dispatcher
from sweeps.spec.cohort import Cohort, SavedCheckpoint
from sweeps.study.study import SweepStudy
from sweeps.tracking.record import Record
from sweeps.worker.artifacts import HISTORY, SKETCH

SAVED = SavedCheckpoint("/checkpoints/1", 60, (2, 0, 1))
PUBLISHED = {"relocation": "greedy", "move_moments": False}  # so that the baseline trains with the others


class Bench:
    """A dispatcher with its study and records."""

    def __init__(self, folder: Path, checkpoints: Sequence[SavedCheckpoint] = (), **changes: Any) -> None:
        data: dict[str, Any] = {
            "name": "s",
            "task": "two_moons",
            "search": {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 100} | PUBLISHED,
            "objectives": [{"metric": "connection_cost", "direction": "minimize"}],
            "trials": 4 * ROUNDS,
            "replicates": 2,
            "cohort_size": 4,
            "sampler": "random",
        }
        self.spec = parse_spec(data | changes)
        store = Store(folder)
        store.prepare("s")
        self.study, self.tracker = SweepStudy.launch(store, self.spec), MemoryTracker()
        self.dispatcher = self.dispatch(checkpoints)

    def dispatch(self, checkpoints: Sequence[SavedCheckpoint] = (), **how: Any) -> Dispatcher:
        return Dispatcher(
            self.study,
            self.tracker,  # type: ignore[arg-type]
            cohort_size=lambda: self.spec.cohort_size,  # type: ignore[arg-type,return-value]
            share=lambda: 99,
            checkpoints=checkpoints,
            **how,
        )

    def start(self, cohort_id: str) -> Cohort:
        cohort = self.dispatcher.start(cohort_id)
        assert cohort is not None
        return cohort

    def end(self, cohort_id: str, cohort: Cohort, **changes: Any) -> None:
        self.dispatcher.tell_end(cohort_id, result(cohort, **changes))

    def finish(self) -> list[Cohort]:
        """Trains cohort after cohort until there are no more."""
        cohorts = []
        while (cohort := self.dispatcher.start("next")) is not None:
            cohorts.append(cohort)
            self.end("next", cohort)
        return cohorts

    def states(self) -> list[str]:
        return [trial.state for trial in self.study.trials()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def result(cohort: Cohort, step: int = 100, failures: dict[int, str] | None = None) -> dict[str, Any]:
    """The networks of trial n have the values 1 + n, 3 + n, ..."""
    networks = {number: [1.0 + number + 2 * i for i, _ in enumerate(m.seeds)] for number, m in cohort.members.items()}
    return {
        "step": step,
        "metrics": [dict.fromkeys(METRICS, values) for values in networks.values()],
        "row_stderr": [{"test_score": 0.01 * number} for number in cohort.members] if step == 100 else [],
        "failures": list((failures or {}).items()),
        "files": [(number, {}) for number in cohort.members],
        "seconds": [("training", 2.0), ("measuring", 1.0), ("drawing", 0.5)],
        "host": "here",
        "device": "cpu",
        "done": step == 100,
    }


def test_cohorts_are_full_until_the_trials_run_out(bench: Bench) -> None:
    """The published setting and 32 trials."""
    cohorts = [bench.start(str(i)) for i in range(9)]
    assert [list(cohort.members) for cohort in cohorts[:8]] == [list(range(4 * i, 4 * i + 4)) for i in range(8)]
    assert list(cohorts[8].members) == [32]
    assert bench.dispatcher.start("c") is None
    assert bench.dispatcher.n_training == 9
    for i, cohort in enumerate(cohorts):
        bench.end(str(i), cohort)
    assert bench.dispatcher.start("c") is None
    assert bench.dispatcher.n_training == 0
    assert bench.states() == ["COMPLETE"] * 33
    trial = bench.study.trials()[2]
    assert (trial.values["val_score"], trial.stderr["val_score"]) == (4.0, 1.0)
    assert (trial.networks["val_score"], trial.row_stderr) == ([3.0, 5.0], {"test_score": 0.02})
    assert bench.dispatcher.clock.seconds == {"training": 18.0, "measuring": 9.0, "drawing": 4.5, "suggesting": 0.0}


@pytest.mark.parametrize(
    ("trials", "sizes"), [(2, [1] * 3), (ROUNDS, [1] * 9), (ROUNDS + 1, [2] * 5), (25, [4] * 6 + [2])]
)
def test_a_search_has_enough_rounds(tmp_path: Path, trials: int, sizes: list[int]) -> None:
    """Cohorts are smaller than they may be where the search would learn from fewer than eight rounds of results."""
    bench = Bench(tmp_path, trials=trials, cohort_size=4)
    assert [len(cohort.members) for cohort in bench.finish()] == sizes


def test_a_failed_trial_is_replaced(bench: Bench) -> None:
    first = bench.start("a")
    bench.end("a", first, failures={1: "diverged"})
    assert bench.states()[1] == "FAIL"
    assert bench.study.trials()[1].reason == "diverged"
    assert [list(cohort.members) for cohort in bench.finish()][-1] == [32, 33]
    assert bench.dispatcher.status().complete == 32
    assert bench.dispatcher.status().failed == 1
    assert bench.tracker.statuses()["trial 001"] == "FAILED"


def test_a_mean_that_overflows_fails_only_its_trial(bench: Bench) -> None:
    told = result(bench.start("a"))
    told["metrics"][2]["connection_cost"] = [1.7e308, 1.7e308]  # finite, so the worker does not fail it
    bench.dispatcher.tell_end("a", told)
    assert bench.states() == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert bench.study.trials()[2].reason == "the mean of its connection_cost is inf"
    assert bench.tracker.statuses()["trial 002"] == "FAILED"


def test_the_weights_of_a_trial_are_recorded_before_it_is_complete(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that dies in between trains it again; one that died the other way round would lose the weights."""
    seen: dict[str, list[str]] = {}

    def record(described: Record) -> None:
        if described.status == "FINISHED":
            seen[described.name] = bench.states()

    cohort = bench.start("a")
    monkeypatch.setattr(bench.tracker, "record", record)
    bench.end("a", cohort)
    assert seen["trial 001"] == ["COMPLETE", "RUNNING", "RUNNING", "RUNNING"]
    assert seen["trial 003"] == ["COMPLETE", "COMPLETE", "COMPLETE", "RUNNING"]


def test_the_members_of_a_lost_cohort_are_tried_separately(bench: Bench) -> None:
    first = bench.start("a")
    bench.dispatcher.tell_loss("a", "its worker process died")
    alone = [bench.start(f"alone{i}") for i in range(4)]
    assert [list(cohort.members) for cohort in alone] == [[number] for number in first.members]
    bench.dispatcher.tell_loss("alone1", "OSError: no", "long")
    for i in (0, 2, 3):
        bench.end(f"alone{i}", alone[i])
    assert bench.states() == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert bench.study.trials()[1].reason == "OSError: no"
    ended = next(record for record in bench.tracker.records if record.name == "trial 001" and record.status)
    assert ended.files == {"error.txt": b"long"}


def test_an_evaluation_told_twice_is_recorded_once(bench: Bench) -> None:
    cohort = bench.start("a")
    for step in (20, 40, 20, 40, 60):
        bench.dispatcher.tell_evaluation("a", result(cohort, step))
    steps = [record.points[0][2] for record in bench.tracker.records if record.points and record.name == "trial 001"]
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
    bench = Bench(tmp_path, trials=16, cohort_size=2, max_failed=3)
    for cohort_id in ("a", "b"):
        cohort = bench.start(cohort_id)
        bench.end(cohort_id, cohort, failures=dict.fromkeys(cohort.members, "bad"))
    assert bench.dispatcher.gave_up
    assert bench.dispatcher.start("c") is None


def test_the_status_estimates_the_remaining_steps(bench: Bench) -> None:
    assert bench.dispatcher.status().network_steps_left == 32 * 2 * 100, "before the first cohort"
    bench.dispatcher.tell_evaluation("a", result(bench.start("a"), 50))
    status = bench.dispatcher.status()
    assert status.network_steps_left == 33 * 2 * 100 - 4 * 2 * 50
    assert status.running == 4


def tell_costs(bench: Bench, cohort_id: str, cohort: Cohort, costs: Sequence[float]) -> None:
    told = result(cohort)
    for metrics, cost in zip(told["metrics"], costs, strict=True):
        metrics["connection_cost"] = [cost + 0.1 * (-1) ** i for i, _ in enumerate(metrics["connection_cost"])]
    bench.dispatcher.tell_end(cohort_id, told)


def marks_of(bench: Bench) -> list[tuple[str, str]]:
    return [(r.name, r.tags["bimt.front"]) for r in bench.tracker.records if "bimt.front" in r.tags]


def test_marks_follow_the_front(bench: Bench) -> None:
    tell_costs(bench, "a", bench.start("a"), (1.0, 3.0, 5.0, 3.5))
    assert bench.dispatcher.marks == {1: True, 2: False, 3: False}, "the baseline has none"
    tell_costs(bench, "b", bench.start("b"), (2.0, 6.0, 7.0, 8.0))
    assert bench.dispatcher.marks[1] is False, "no longer on the front"
    assert bench.dispatcher.marks[4] is True
    assert marks_of(bench)[-5:] == [
        ("trial 001", "no"),
        ("trial 004", "yes"),
        ("trial 005", "no"),
        ("trial 006", "no"),
        ("trial 007", "no"),
    ]


def test_marks_follow_the_front_also_back(tmp_path: Path) -> None:
    """Further networks of trial 1 are so bad that trial 2 returns to the front."""
    bench = Bench(tmp_path, max_replicates=4)
    tell_costs(bench, "a", bench.start("a"), (1.0, 3.0, 4.0, 9.0))
    cohort = bench.start("b")
    (added,) = [trial for trial in bench.study.known_entries() if trial.role == "replicates"]
    assert (added.of, added.seeds) == (1, (2, 3))
    tell_costs(bench, "b", cohort, [99.0 if number == added.number else 50.0 for number in cohort.members])
    assert {number for number, on_front in bench.dispatcher.marks.items() if on_front} == {2}
    assert {("trial 001", "no"), ("trial 002", "yes")} <= set(marks_of(bench)[-6:])
    assert [trial.number for trial in bench.dispatcher.status().front] == [2]


VARIANTS = {"vanilla": {"cost_weight": 0.0}, "L1": {"weight_factor": 0.0}, "long": {"steps": 200}}


def test_every_variant_is_a_trial(tmp_path: Path) -> None:
    bench = Bench(tmp_path, variants=VARIANTS, trials=3, search={"steps": 100})
    first, second = bench.start("a"), bench.start("b")
    assert (list(first.members), list(second.members)) == ([0, 1], [2]), "other shared hyperparameters, other cohorts"
    assert first.members[1].params == {"variant": "L1", "steps": 100, "weight_factor": 0.0}
    assert first.members[1].seeds == (0, 1)
    bench.end("a", first, failures={1: "diverged"})
    assert bench.dispatcher.start("c") is None, "a variant that failed would only fail again"
    bench.end("b", second)
    assert bench.states() == ["COMPLETE", "FAIL", "COMPLETE"]


def test_the_cohort_size_is_asked_for_before_each_cohort(tmp_path: Path) -> None:
    bench, sizes = Bench(tmp_path), iter([1, 3])
    size: Callable[[], int] = lambda: next(sizes)  # noqa: E731
    bench.dispatcher = Dispatcher(bench.study, bench.tracker, cohort_size=size, share=lambda: 9)  # type: ignore[arg-type]
    assert [len(bench.start(cohort_id).members) for cohort_id in "ab"] == [1, 3]


# Confirmation and racing


def test_a_sweep_is_confirmed_to_its_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, confirm={"replicates": 3}, trials=3)
    cohorts = bench.finish()
    assert bench.dispatcher.agenda.is_done()
    seeds = [cohort.seeds for cohort in cohorts]
    assert seeds == [[0, 1], [2, 3, 4], [0, 1], [0, 1], [0, 1], [2, 3, 4]]
    baseline, first, *_ = bench.study.trials()
    assert (baseline.role, first.number) == ("baseline", 2)
    assert first.confirmed is not None
    assert first.confirmed.row_stderr == {"test_score": 0.05}
    status = bench.dispatcher.status()
    assert (status.complete, status.wanted, status.confirmed, status.network_steps_left) == (3, 3, 2, 0)
    assert not status.searching
    assert status.network_steps == (4 * 2 + 2 * 3) * 100


def test_the_status_counts_the_networks_of_the_confirmation(tmp_path: Path) -> None:
    bench = Bench(tmp_path, confirm={"replicates": 3}, trials=16)
    expected = [16 * 2 + 3]  # the baseline's confirmation; the front is not known yet
    assert bench.dispatcher.status().network_steps_left == 100 * expected[0]
    first = bench.start("a")
    assert bench.dispatcher.status().network_steps_left == 100 * (17 * 2 + 3)
    bench.end("a", first)
    assert bench.dispatcher.status().network_steps_left == 100 * (15 * 2 + 2 * 3), "and one trial is on the front"
    assert bench.dispatcher.status().searching


def test_added_networks_are_recorded_in_the_run_of_their_trial(tmp_path: Path) -> None:
    bench = Bench(tmp_path, confirm={"replicates": 3}, trials=1)
    bench.finish()
    added = [record for record in bench.tracker.records if "bimt.confirmed" in record.tags]
    assert [(record.name, record.tags["bimt.confirmed"]) for record in added] == [
        ("trial 000", "3 networks"),
        ("trial 002", "3 networks"),
    ]
    values = {name: value for name, value, *_ in added[1].points}
    assert values["confirmed/connection_cost"] == 6.0, "of the networks of trial 3: 4, 6 and 8"
    assert values["mean/connection_cost"] == 4.0


def test_pictures_of_a_trial_are_those_of_its_first_networks(tmp_path: Path) -> None:
    bench = Bench(tmp_path, confirm={"replicates": 3}, trials=1)
    while (cohort := bench.dispatcher.start("next")) is not None:
        told = result(cohort)
        told["files"] = [(number, {SKETCH: b"%d" % number, HISTORY: b"%d" % number}) for number in cohort.members]
        bench.dispatcher.tell_end("next", told)
    assert [(trial.number, trial.of) for trial in bench.study.known_entries()] == [(0, None), (1, 0), (2, None), (3, 2)]
    assert bench.dispatcher.sketches == {0: b"0", 2: b"2"}
    assert bench.dispatcher.histories == {2: b"2"}


def test_a_request_confirms_and_trains_nothing_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path, trials=ROUNDS)
    bench.end("a", bench.start("a"))
    bench.end("b", bench.start("b"))
    bench.dispatcher = bench.dispatch(request=ConfirmRequest(4, data_seed=9))
    cohorts = bench.finish()
    assert [(cohort.seeds, cohort.data_seed) for cohort in cohorts] == [([2, 3, 4, 5], 9)] * 2
    assert bench.dispatcher.agenda.is_done()
    assert len(bench.study.trials()) == 2


def test_failed_networks_of_any_purpose_count_as_failures(tmp_path: Path) -> None:
    bench = Bench(tmp_path, confirm={"replicates": 3}, trials=1, max_failed=2)
    bench.end("a", bench.start("a"))
    for cohort_id in ("b", "c"):
        cohort = bench.start(cohort_id)
        assert not bench.dispatcher.gave_up
        bench.end(cohort_id, cohort, failures=dict.fromkeys(cohort.members, "bad"))
    assert bench.dispatcher.gave_up
    assert bench.dispatcher.start("d") is None


# Suggestions ahead


def test_suggestions_are_prepared_when_a_cohort_is_about_to_end(tmp_path: Path) -> None:
    """They know the metrics so far, so the first cohort need not end before the next one is suggested."""
    bench = Bench(tmp_path, sampler="tpe")
    first = bench.start("a")
    prepared: list[Any] = []
    bench.dispatcher.suggester.prepare = lambda *how: prepared.append(how)
    bench.dispatcher.tell_evaluation("a", result(first, 80))
    assert prepared == []
    told = result(first, 90)
    bench.dispatcher.tell_evaluation("a", told)
    ((trials, n, interim, trial_s),) = prepared
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert (n, list(interim)) == (4, [0, 1, 2, 3])
    assert list(interim.values()) == told["metrics"]
    assert trial_s == pytest.approx(2 * 3.5 / (8 * 90 / 200)), "two evaluations took 3.5 s each"


def test_prepared_suggestions_are_trained_next(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first = bench.start("a")
    bench.dispatcher.tell_evaluation("a", result(first, 90))
    bench.dispatcher.suggester.prepare = None
    prepared = bench.dispatcher.suggester._prepared
    assert prepared is not None
    params = [found["cost_weight"] for found in prepared.result.result().params]
    second = bench.start("b")
    assert [member.params["cost_weight"] for member in second.members.values()] == params


# Compiling


@pytest.mark.parametrize(
    ("steps", "compiled"),
    [(100, [False, True]), (1_000_000, [True, True])],
)
def test_a_small_odd_cohort_is_compiled_only_if_that_pays(tmp_path: Path, steps: int, compiled: list[bool]) -> None:
    """Networks that join late, of another shape, would wait longer for the compiler than they train."""
    bench = Bench(tmp_path, search={"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": steps})
    bench.dispatcher = bench.dispatch(compiled=True)
    cohorts = [bench.start("a"), bench.start("b")]
    assert [len(cohort.seeds) for cohort in cohorts] == [2, 6], "the baseline has another relocation"
    assert [cohort.compiled for cohort in cohorts] == compiled
