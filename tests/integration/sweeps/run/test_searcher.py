"""The searcher by itself: what Ray Tune would call, called by the test; the ledger and the spool are real."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle
from ray.tune.search import Searcher

from bimt_core import METRICS
from sweeps import Store, SweepSpec, parse_spec
from sweeps.run.searcher import CohortSearcher
from sweeps.study.study import SweepStudy
from sweeps.tracking.spool import Record
from sweeps.worker.checkpoint import SavedCheckpoint


class Notebook:
    """Keeps records instead of writing them: all of a tracker that the searcher uses."""

    problem: str | None = None

    def __init__(self) -> None:
        self.records: list[Record] = []

    def record(self, record: Record) -> None:
        self.records.append(record)

    def statuses(self) -> dict[str, str]:
        return {r.name: r.status for r in self.records if r.status is not None}


def spec_of(**changes: Any) -> SweepSpec:
    data: dict[str, Any] = {
        "name": "s",
        "task": "two_moons",
        "search": {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 100},
        "objectives": [{"metric": "connection_cost", "direction": "minimize"}],
        "trials": 6,
        "replicates": 2,
        "cohort_size": 4,
    }
    return parse_spec(data | changes)


class Bench:
    """A searcher with its ledger and notebook."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        store = Store(folder)
        store.prepare("s")
        self.study = SweepStudy.launch(store, spec_of(**changes))
        self.notes = Notebook()
        self.search = CohortSearcher(self.study, self.notes)  # type: ignore[arg-type]

    def states(self) -> list[str]:
        return [record.state for record in self.study.trials()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    yield Bench(tmp_path)


def result(config: dict[str, Any], step: int = 100, failures: dict[int, str] | None = None) -> dict[str, Any]:
    members = config["cohort"]["members"]
    figures = [{name: [1.0 + m["number"], 3.0 + m["number"]] for name in METRICS} for m in members]
    return {
        "step": step,
        "figures": figures,
        "failures": list((failures or {}).items()),
        "files": [(m["number"], {}) for m in members],
        "seconds": [("training", 2.0), ("measuring", 1.0), ("drawing", 0.5)],
        "host": "here",
        "device": "cpu",
        "done": step == 100,
    }


def numbers(config: dict[str, Any]) -> list[int]:
    return [member["number"] for member in config["cohort"]["members"]]


def test_cohorts_are_full_until_the_trials_run_out(bench: Bench) -> None:
    first, second = bench.search.suggest("a"), bench.search.suggest("b")
    assert numbers(first) == [0, 1, 2, 3]
    assert numbers(second) == [4, 5]
    assert bench.search.suggest("c") is None, "nothing to do, but cohorts are out"
    bench.search.on_trial_complete("a", result(first))
    bench.search.on_trial_complete("b", result(second))
    assert bench.search.suggest("c") == Searcher.FINISHED
    assert bench.states() == ["COMPLETE"] * 6
    assert bench.study.trials()[2].mean["score"] == 4.0
    assert bench.study.trials()[2].stderr["score"] == 1.0
    assert bench.search.clock.seconds == {"training": 4.0, "measuring": 2.0, "drawing": 1.0}


def test_trials_of_different_shapes_go_to_different_cohorts(tmp_path: Path) -> None:
    search = {"hidden_width": {"choices": [5, 9]}, "relocation": {"choices": ["greedy", "assignment"]}, "steps": 100}
    bench = Bench(tmp_path, search=search, trials=12, cohort_size=12)
    seen: list[int] = []
    shapes = []
    while isinstance(config := bench.search.suggest(f"t{len(shapes)}"), dict):
        members = config["cohort"]["members"]
        assert len({(m["params"]["hidden_width"], m["params"]["relocation"]) for m in members}) == 1
        shapes.append((members[0]["params"]["hidden_width"], members[0]["params"]["relocation"]))
        seen += numbers(config)
    assert sorted(seen) == list(range(12))
    assert len(set(shapes)) == len(shapes) == 4


def test_a_failed_trial_is_replaced(bench: Bench) -> None:
    first, second = bench.search.suggest("a"), bench.search.suggest("b")
    bench.search.on_trial_complete("a", result(first, failures={1: "diverged"}))
    assert bench.states()[1] == "FAIL"
    assert bench.study.trials()[1].reason == "diverged"
    third = bench.search.suggest("c")
    assert numbers(third) == [6]
    bench.search.on_trial_complete("b", result(second))
    bench.search.on_trial_complete("c", result(third))
    assert bench.search.suggest("d") == Searcher.FINISHED
    assert bench.search.status().complete == 6
    assert bench.notes.statuses()["trial 001"] == "FAILED"


def test_a_mean_beyond_all_numbers_fails_its_trial_only(bench: Bench) -> None:
    config = bench.search.suggest("a")
    told = result(config)
    told["figures"][2]["connection_cost"] = [1.7e308, 1.7e308]  # finite, as a cohort lets them through
    bench.search.on_trial_complete("a", told)
    assert bench.states() == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert bench.study.trials()[2].reason == "the mean of its connection_cost is inf"
    assert bench.notes.statuses()["trial 002"] == "FAILED"


def test_a_lost_cohort_is_tried_member_by_member(bench: Bench) -> None:
    first = bench.search.suggest("a")
    bench.search.on_trial_complete("a", error=True)
    alone = [bench.search.suggest(f"alone{i}") for i in range(4)]
    assert [numbers(config) for config in alone] == [[n] for n in numbers(first)]
    bench.search.on_trial_complete("alone0", {"error": "OSError: no", "traceback": "long", "done": True})
    for i in (1, 2, 3):
        bench.search.on_trial_complete(f"alone{i}", result(alone[i]))
    assert bench.states() == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert bench.study.trials()[0].reason == "OSError: no"
    ended = next(record for record in bench.notes.records if record.name == "trial 000" and record.status)
    assert ended.files == {"error.txt": b"long"}


def test_reports_seen_before_are_not_recorded_again(bench: Bench) -> None:
    config = bench.search.suggest("a")
    for step in (20, 40, 20, 40, 60):
        bench.search.on_trial_result("a", result(config, step))
    steps = [record.points[0][2] for record in bench.notes.records if record.points and record.name == "trial 000"]
    assert steps == [20, 40, 60]
    assert bench.search.status().network_steps == 60 * 8
    assert bench.search.clock.seconds["training"] == 10.0, "time spent twice is time spent"


def test_a_stopped_cohort_is_neither_complete_nor_failed(bench: Bench) -> None:
    config = bench.search.suggest("a")
    bench.search.on_trial_complete("a", result(config, 40))
    assert bench.states() == ["RUNNING"] * 4, "the driver interrupts them"


@pytest.fixture
def cut_off(bench: Bench) -> Bench:
    """Four trials were cut off and wait as 4 to 7; of 0 to 2 there is a checkpoint."""
    bench.search.suggest("a")
    for number in range(4):
        bench.study.interrupt(number, "stopped")
    bench.search = CohortSearcher(bench.study, bench.notes, left=[SavedCheckpoint("/there", 60, (2, 0, 1))])  # type: ignore[arg-type]
    return bench


def test_trials_go_on_from_what_an_earlier_launch_left(cut_off: Bench) -> None:
    first, second = cut_off.search.suggest("a"), cut_off.search.suggest("b")
    assert numbers(first) == [4, 5, 6]
    assert first["cohort"]["left"] == {"uri": "/there", "step": 60, "members": (0, 1, 2)}
    assert (numbers(second), second["cohort"]["left"]) == ([7], None)
    cut_off.search.on_trial_complete("a", result(first))
    assert cut_off.search.status().network_steps == 40 * 3 * 2, "what was trained before is not counted again"


def test_trials_cut_off_twice_go_on_from_the_first_time(cut_off: Bench) -> None:
    cut_off.search.suggest("a")
    for number in (4, 5, 6):
        cut_off.study.interrupt(number, "stopped")
    again = CohortSearcher(cut_off.study, cut_off.notes, left=[SavedCheckpoint("/there", 60, (2, 0, 1))])  # type: ignore[arg-type]
    configs = [again.suggest("a"), again.suggest("b")]
    assert [(numbers(c), c["cohort"]["left"] and c["cohort"]["left"]["members"]) for c in configs] == [
        ([8, 9, 10], (0, 1, 2)),
        ([11], None),
    ]


def test_checkpoints_are_kept_until_their_trials_have_ended(bench: Bench) -> None:
    forgotten: list[str] = []
    bench.search.forget = forgotten.append
    first, second = bench.search.suggest("a"), bench.search.suggest("b")
    bench.search.on_trial_complete("b", result(second, 40))
    assert forgotten == [], "stopped: it may go on"
    bench.search.on_trial_complete("a", result(first))
    assert forgotten == ["a"]


def test_what_cannot_go_on_begins_anew(cut_off: Bench) -> None:
    cut_off.search.suggest("a")
    cut_off.search.on_trial_complete("a", {"error": "OSError: torn", "traceback": "long", "done": True})
    _, *alone = [cut_off.search.suggest(f"next{i}") for i in range(4)]
    assert [numbers(config) for config in alone] == [[4], [5], [6]]
    assert [config["cohort"]["left"] for config in alone] == [None] * 3


def test_a_sweep_keeps_to_its_share(tmp_path: Path) -> None:
    search = Bench(tmp_path, trials=12, cohort_size=2).search
    search.share = lambda: 2
    configs = {trial_id: search.suggest(trial_id) for trial_id in "ab"}
    assert search.suggest("c") is None
    search.share = lambda: 1
    assert search.suggest("c") == Searcher.FINISHED, "Ray Tune would keep the second worker"
    for trial_id, config in configs.items():
        search.on_trial_complete(trial_id, result(config))
    assert search.goes_on()
    assert numbers(search.suggest("c")) == [4, 5]
    assert search.suggest("d") is None
    search.share = lambda: 3
    assert numbers(search.suggest("d")) == [6, 7]
    assert not search.goes_on()


def test_a_stopped_search_does_not_go_on(tmp_path: Path) -> None:
    search = Bench(tmp_path, trials=12, cohort_size=2).search
    search.share = lambda: 2
    search.suggest("a"), search.suggest("b")
    search.share = lambda: 1
    assert search.suggest("c") == Searcher.FINISHED
    assert not search.goes_on(), "cohorts are out: somebody stopped it"


def test_too_many_failures_end_the_search(tmp_path: Path) -> None:
    bench = Bench(tmp_path, trials=4, cohort_size=2, max_failed=3)
    for trial_id in ("a", "b"):
        config = bench.search.suggest(trial_id)
        bench.search.on_trial_complete(trial_id, result(config, failures=dict.fromkeys(numbers(config), "bad")))
    assert bench.search.gave_up
    assert bench.search.suggest("c") == Searcher.FINISHED


def test_pickling_carries_nothing(bench: Bench) -> None:
    assert b"journal" not in cloudpickle.dumps(bench.search)


def test_status_estimates_what_is_left(bench: Bench) -> None:
    assert bench.search.status().network_steps_left == 6 * 2 * 10_001, "the published steps, before a cohort is out"
    config = bench.search.suggest("a")
    bench.search.on_trial_result("a", result(config, 50))
    status = bench.search.status()
    assert status.network_steps_left == 6 * 2 * 100 - 4 * 2 * 50
    assert status.running == 4


VARIANTS = {"vanilla": {"cost_weight": 0.0}, "L1": {"weight_factor": 0.0}, "long": {"steps": 200}}


def test_every_variant_is_a_trial_of_its_own(tmp_path: Path) -> None:
    bench = Bench(tmp_path, variants=VARIANTS, trials=3, search={"steps": 100})
    first, second = bench.search.suggest("a"), bench.search.suggest("b")
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert (numbers(first), numbers(second)) == ([0, 1], [2])  # other schedules, other cohorts
    assert first["cohort"]["members"][1]["params"] == {"variant": "L1", "steps": 100, "weight_factor": 0.0}
    bench.search.on_trial_complete("a", result(first, failures={1: "diverged"}))
    assert bench.search.suggest("c") is None  # a variant that failed would only fail again
    bench.search.on_trial_complete("b", result(second))
    assert bench.search.suggest("d") == Searcher.FINISHED
    assert bench.states() == ["COMPLETE", "FAIL", "COMPLETE"]
