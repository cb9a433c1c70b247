import json
import re

import pytest
from support.example_sweeps import BASELINE, DIAGRAM, DOMINATED, FRONT, create_sweep, example_spec
from support.tracker import MemoryTracker

from sweeps.run import finish
from sweeps.run.finish import (
    delete_checkpoints,
    draw_front,
    interrupt_running,
    make_report,
    mark_confirmed,
    mark_front,
)
from sweeps.store import Store
from sweeps.study.study import SweepStudy


@pytest.fixture
def tracker():
    return MemoryTracker()


@pytest.fixture
def study(tmp_path, small_spec):
    """Ten dominated trials, four on the front with the numbers 10 to 13, and the baseline."""
    create_sweep(tmp_path / "store", example_spec(small_spec), [*DOMINATED, *FRONT], baseline=BASELINE)
    return SweepStudy.open(Store(tmp_path / "store"), "small")


def test_running_trials_are_interrupted_and_wait_again(tmp_path, small_spec, tracker):
    store = Store(tmp_path)
    store.prepare("small")
    study = SweepStudy.launch(store, small_spec())
    failed = study.start_search({"cost_weight": 1e-3}, "random")
    study.start_networks("baseline", study.spec.seeds)
    study.fail(failed.number, "diverged")
    interrupt_running(study, tracker, "its driver died")
    assert [(t.state, t.reason) for t in study.trials()] == [
        ("FAIL", "diverged"),
        ("FAIL", "its driver died"),
        ("WAITING", None),
    ]
    assert tracker.statuses() == {"trial 001": "KILLED"}
    assert study.trials()[2].role == "baseline"


def test_marks_are_recorded_only_where_they_are_unknown_or_wrong(study, tracker):
    front = {trial.number for trial in study.front()}
    assert front == {10, 11, 12, 13}
    mark_front(study, tracker, {number: number in front for number in range(12)} | {0: True})
    assert [(r.name, r.tags["bimt.front"]) for r in tracker.records] == [
        ("trial 000", "no"),
        ("trial 012", "yes"),
        ("trial 013", "yes"),
    ]


def test_confirmed_trials_are_marked_by_their_verdict(tmp_path, small_spec, tracker):
    results = {None: (0.9, 38.0), 0: (0.6, 31.0), 1: (0.93, 19.0)}
    create_sweep(tmp_path, example_spec(small_spec), FRONT, baseline=BASELINE, confirmed=results)
    study = SweepStudy.open(Store(tmp_path), "small")
    judged = mark_confirmed(study, tracker)
    assert {seed: [one.trial.number for one in trials] for seed, trials in judged.items()} == {None: [4, 0, 1]}
    marks = {record.key.split("/")[1]: record.tags["bimt.still_on_front"] for record in tracker.records}
    assert marks == {"4": "baseline", "0": "no", "1": "yes"}


def test_a_confirmation_on_other_data_marks_no_trial(study, tracker):
    trial = study.start_networks("confirmation", [8, 9], 13, data_seed=5)
    study.complete(trial.number, study.known_trials()[13].networks, {})
    judged = mark_confirmed(study, tracker)
    assert {seed: [one.trial.number for one in trials] for seed, trials in judged.items()} == {5: [13]}
    assert tracker.records == []


def test_the_front_is_drawn_in_order_and_some_trials_are_animated(study, tracker, monkeypatch):
    monkeypatch.setattr(finish, "MAX_ANIMATED", 2)
    drawn = []

    def draw(task, params, history, *, animated):
        drawn.append((history, animated))
        if history == b"11":
            raise ValueError("no ink")
        return {"figures/connectivity.png": history}

    monkeypatch.setattr(finish, "draw_front_trial", draw)
    histories = {trial.number: str(trial.number).encode() for trial in study.front()}
    assert draw_front(study, tracker, histories) >= 0
    scores = {trial.number: trial.values["val_score"] for trial in study.front()}
    order = sorted(scores, key=scores.get)
    assert [history for history, _ in drawn] == [str(number).encode() for number in order]
    assert [animated for _, animated in drawn] == [True, False, False, True]
    files = {record.name: record.files for record in tracker.records}
    assert files["trial 010"] == {"figures/connectivity.png": b"10"}
    assert b"no ink" in files["trial 011"]["figures/error.txt"]


def test_the_report_shows_the_sketches_of_this_launch(study, tmp_path, tracker):
    sketches = {trial.number: DIAGRAM.encode() for trial in study.trials()}
    size_mb, problem = make_report(study, Store(tmp_path / "store"), tracker, sketches)
    assert problem is None
    (record,) = tracker.records
    page = record.files["report.html"].decode()
    assert size_mb == pytest.approx(len(page) / 1e6)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert len(json.loads(data)["diagrams"]) == 15


def test_a_report_that_cannot_be_made_is_a_problem_in_one_line(study, tmp_path, tracker, monkeypatch):
    def fail(*_):
        raise RuntimeError("no\nink")

    monkeypatch.setattr(finish, "render_report", fail)
    assert make_report(study, Store(tmp_path / "store"), tracker, {}) == (0.0, "RuntimeError: no ink")
    assert tracker.records == []


def test_checkpoints_are_deleted_or_the_reason_is_returned(tmp_path, monkeypatch):
    (tmp_path / "checkpoints" / "cohort_a").mkdir(parents=True)
    assert delete_checkpoints(str(tmp_path / "checkpoints")) is None
    assert not (tmp_path / "checkpoints").exists()

    def refuse(uri):
        raise OSError("no such\nright")

    monkeypatch.setattr(finish, "delete_folder", refuse)
    assert delete_checkpoints("s3://b/c?region=x") == "those in s3://b/c could not be deleted: no such right"
