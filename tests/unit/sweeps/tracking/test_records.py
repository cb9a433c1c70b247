import dataclasses
import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bimt_core import METRICS
from sweeps.spec.sweep import parse_spec
from sweeps.study.trial import Trial
from sweeps.tracking import records
from sweeps.tracking.records import NOTE_TAG, SweepRecords

VALUES = {name: [float(i), i + 1.0] for i, name in enumerate(METRICS)}
RUNNING = Trial(7, "RUNNING", {"cost_weight": 0.1, "steps": 40}, attempt=2)


@pytest.mark.parametrize(
    "values", [[math.nan, 1.0], [math.inf, 1.0], [math.inf, -math.inf], [1e308, 1e308], [1e200, 0]]
)
def test_values_that_are_not_finite_or_overflow_are_no_points(values):
    assert all(math.isfinite(value) for _, value, _, _ in records.make_points({"score": values}, 1, 2))


def test_a_point_has_name_value_step_and_time():
    assert records.make_points({"score": [1.0, 2.0]}, 30, 7) == (
        ("mean/score", 1.5, 30, 7),
        ("stderr/score", 0.5, 30, 7),
    )


def test_standard_errors_are_recorded_at_the_end_only(sweep_records):
    assert records.make_points({"score": [1.0, 2.0]}, 30, 7, last=False) == (("mean/score", 1.5, 30, 7),)
    record = sweep_records.describe_evaluation(7, VALUES, 20)
    assert {name for name, _, _, _ in record.points} == {"mean/" + n for n in METRICS}


def test_one_value_that_is_not_finite_leaves_no_mean():
    assert records.make_points({"score": [1.0], "test_loss": [math.nan]}, 3, 7) == (("mean/score", 1.0, 3, 7),)
    assert records.make_points({"score": [1.0, math.inf]}, 3, 7) == ()


# Runs


@pytest.fixture
def spec(small_spec):
    return small_spec(description="As *small* as it gets.", constraints=["score >= 0.9"], seed=5)


RESULT = {"step": 40, "host": "a host", "device": "cpu"}


@pytest.fixture
def sweep_records(spec):
    return SweepRecords(spec, "id")


def completed(sweep_records, files=None):
    return sweep_records.describe_trial_end(7, VALUES, RESULT, files or {"diagrams/best.png": b"picture"})


def test_the_records_of_a_trial_belong_to_one_run_under_that_of_the_sweep(sweep_records):
    described = [
        sweep_records.describe_trial_start(RUNNING),
        sweep_records.describe_evaluation(7, VALUES, 20),
        completed(sweep_records),
        sweep_records.describe_trial_failure(7, "diverged", {}),
        sweep_records.describe_interruption(7, "its driver died"),
        sweep_records.describe_front_mark(Trial(7, "COMPLETE", {}, feasible=True), on_front=True),
    ]
    assert {(r.key, r.name, r.parent) for r in described} == {("id/7", "trial 007", "id")}
    assert [r.status for r in described] == [None, None, "FINISHED", "FAILED", "KILLED", None]
    assert [r.end_ms is not None for r in described] == [r.status is not None for r in described]
    assert [r.start_ms is not None for r in described] == [True, False, False, False, False, False]


def test_a_trial_starts_with_its_hyperparameters_and_provenance(sweep_records):
    record = sweep_records.describe_trial_start(RUNNING)
    assert record.params == {"cost_weight": 0.1, "steps": 40}
    assert record.tags.items() >= {
        ("bimt.role", "trial"),
        ("bimt.sweep", "small"),
        ("bimt.task", "two_moons"),
        ("bimt.trial", "7"),
        ("bimt.attempt", "2"),
        ("bimt.seeds", "5, 6"),
    }
    assert record.tags.items() >= records.collect_provenance().items()


def test_a_completed_trial_has_every_metric_and_every_replicate(sweep_records):
    record = completed(sweep_records)
    assert {(n, s) for n, _, s, _ in record.points} == {(k + n, 40) for n in METRICS for k in ("mean/", "stderr/")}
    table = record.table["replicates.json"]
    assert table["columns"] == ["seed", *METRICS]
    assert table["data"] == [[5, *(VALUES[n][0] for n in METRICS)], [6, *(VALUES[n][1] for n in METRICS)]]
    assert record.tags.items() >= {("bimt.host", "a host"), ("bimt.device", "cpu")}
    assert record.image == "diagrams/best.png"
    assert record.tags[NOTE_TAG].startswith("score 2.5; connection_cost 3.5; modularity 7.500 in 8.5 communities.")


def test_a_trial_without_pictures_has_no_image(sweep_records):
    assert completed(sweep_records, files={"config.yaml": b""}).image is None


def test_a_failed_trial_says_why(sweep_records):
    record = sweep_records.describe_trial_failure(7, "x" * 9000, {"error.txt": b"trace"})
    assert record.tags["bimt.reason"] == "x" * 500
    assert record.tags[NOTE_TAG].startswith("Failed: xxx")
    assert record.files == {"error.txt": b"trace"}


@pytest.mark.parametrize(("on_front", "feasible"), [(True, True), (False, True), (False, False)])
def test_the_front_is_marked(on_front, feasible, sweep_records):
    record = sweep_records.describe_front_mark(Trial(7, "COMPLETE", {}, feasible=feasible), on_front=on_front)
    yes_or_no = {True: "yes", False: "no"}
    assert record.tags == {"bimt.front": yes_or_no[on_front], "bimt.feasible": yes_or_no[feasible]}


def test_the_run_of_the_sweep_holds_its_spec(spec, sweep_records):
    record = sweep_records.describe_sweep_start()
    assert (record.key, record.parent) == ("id", None)
    assert parse_spec(yaml.safe_load(record.files["sweep.yaml"])) == spec
    assert record.params["objectives"] == "maximize score, minimize connection_cost"
    assert record.params["constraints"] == "score >= 0.9"


def test_the_note_describes_the_search_and_how_to_find_the_best(spec):
    note = records.describe_sweep(spec)
    assert note.startswith("As *small* as it gets.")
    assert "maximize **score**, minimize **connection_cost**" in note
    assert 'sweeps.open_sweep("small").pareto()' in note
    assert all(f"`{name}`: {METRICS[name].description}" in note for name in METRICS)


@pytest.fixture
def front(spec):
    means = dict.fromkeys(METRICS, 0.123456789)
    return [Trial(3, "COMPLETE", {"cost_weight": 0.00123456, "steps": 40}, mean=means, feasible=True)]


def test_the_sweep_ends_with_its_front_as_a_table(front, sweep_records):
    record = sweep_records.describe_sweep_end(front, {"training": 0.75, "drawing": math.nan}, complete=True)
    assert record.status == "FINISHED"
    assert record.table["front.json"] == {
        "columns": ["trial", "score", "connection_cost", "modularity", "cost_weight", "steps"],
        "data": [["trial 003", 0.123456789, 0.123456789, 0.123456789, 0.00123456, 40]],
    }
    assert [(name, value) for name, value, _, _ in record.points] == [("worker_time/training", 0.75)]
    assert "| trial 003 | 0.1235 | 0.1235 | 0.1235 | 0.001235 | 40 |" in record.tags[NOTE_TAG].splitlines()


def test_a_sweep_that_stops_early_is_killed_and_may_have_no_front(sweep_records):
    record = sweep_records.describe_sweep_end([], {}, complete=False)
    assert record.status == "KILLED"
    assert record.table["front.json"]["data"] == []


def test_records_are_plain_data(front, sweep_records):
    for record in (
        sweep_records.describe_sweep_start(),
        completed(sweep_records),
        sweep_records.describe_sweep_end(front, {}, complete=True),
    ):
        fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != "files"}
        json.dumps(fields, allow_nan=False)


def test_the_note_names_the_data_seed(small_spec):
    assert "Task `two_moons`: " in records.describe_sweep(small_spec())
    assert "Task `two_moons` (data seed 7): " in records.describe_sweep(small_spec(data_seed=7))


# Provenance


@pytest.fixture
def collect_provenance(monkeypatch):
    """Collects provenance as if records.py were another file, without the cache."""

    def collect(file=Path(records.__file__)):
        monkeypatch.setattr(records, "__file__", str(file))
        return records.collect_provenance.__wrapped__()

    return collect


def test_versions_are_known(collect_provenance):
    assert all(name in collect_provenance()["bimt.versions"] for name in (*records.PACKAGES, "python 3."))


def test_the_commit_is_that_of_the_repository_that_tracks_the_package(collect_provenance, tmp_path):
    def git(*arguments):
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    copy = tmp_path / ".venv" / "sweeps" / "records.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(records.__file__, copy)
    assert "mlflow.source.git.commit" not in collect_provenance(copy)
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "a repository around an installed package")
    assert "mlflow.source.git.commit" not in collect_provenance(copy)
    git("add", str(copy))
    git("commit", "-q", "-m", "the package")
    assert collect_provenance(copy)["mlflow.source.git.commit"] == git("rev-parse", "HEAD")


def test_without_git_there_is_no_commit(collect_provenance, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "mlflow.source.git.commit" not in collect_provenance()
