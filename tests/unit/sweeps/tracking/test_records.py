import dataclasses
import json
import math

import pytest
import yaml

from bimt_core import METRICS
from sweeps.spec.sweep import parse_spec
from sweeps.study.pooling import summarize_trial
from sweeps.study.trial import Trial
from sweeps.tracking.notes import describe_result, describe_trial
from sweeps.tracking.provenance import collect_provenance
from sweeps.tracking.record import NOTE_TAG
from sweeps.tracking.records import SweepRecords

NETWORKS = {name: [float(i), i + 1.0] for i, name in enumerate(METRICS)}
RUNNING = Trial(7, "RUNNING", {"cost_weight": 0.1, "steps": 40}, seeds=(5, 6), attempt=2)
RESULT = {"step": 40, "host": "a host", "device": "cpu"}
ADDED = Trial(9, "RUNNING", RUNNING.params, "confirmation", of=7, seeds=(8, 9), data_seed=3)


@pytest.fixture
def spec(small_spec):
    return small_spec(description="As *small* as it gets.", constraints=["val_score >= 0.9"], seed=5)


@pytest.fixture
def sweep_records(spec):
    return SweepRecords(spec, "id")


@pytest.fixture
def trial(spec):
    return summarize_trial(dataclasses.replace(RUNNING, state="COMPLETE"), NETWORKS, {}, spec)


@pytest.fixture
def completed(sweep_records, trial):
    return lambda **files: sweep_records.describe_trial_end(trial, RESULT, files or {"diagrams/best.png": b"picture"})


def test_the_records_of_a_trial_belong_to_one_run_under_that_of_the_sweep(sweep_records, completed):
    described = [
        sweep_records.describe_trial_start(RUNNING),
        sweep_records.describe_evaluation(7, NETWORKS, 20),
        completed(),
        sweep_records.describe_trial_failure(7, "diverged", {}),
        sweep_records.describe_interruption(7, "its driver died"),
        sweep_records.describe_front_mark(Trial(7, "COMPLETE", {}, feasible=True), on_front=True),
    ]
    assert {(r.key, r.name, r.parent) for r in described} == {("id/7", "trial 007", "id")}
    assert [r.status for r in described] == [None, None, "FINISHED", "FAILED", "KILLED", None]
    assert [r.end_ms is not None for r in described] == [r.status is not None for r in described]
    assert [r.start_ms is not None for r in described] == [True, False, False, False, False, False]


def test_the_run_of_added_networks_is_under_that_of_their_trial(sweep_records, trial):
    record = sweep_records.describe_trial_start(ADDED, trial)
    assert (record.key, record.name, record.parent) == ("id/9", "confirmation 007, data seed 3", "id/7")
    assert record.tags.items() >= {
        ("bimt.role", "confirmation"),
        ("bimt.of", "7"),
        ("bimt.seeds", "8, 9"),
        ("bimt.data_seed", "3"),
    }


def test_a_trial_starts_with_its_hyperparameters_and_provenance(sweep_records):
    record = sweep_records.describe_trial_start(RUNNING)
    assert record.params == {"cost_weight": 0.1, "steps": 40}
    assert record.tags.items() >= {
        ("bimt.role", "search"),
        ("bimt.sweep", "small"),
        ("bimt.task", "two_moons"),
        ("bimt.rows", "validation and test rows"),
        ("bimt.trial", "7"),
        ("bimt.of", "itself"),
        ("bimt.attempt", "2"),
        ("bimt.seeds", "5, 6"),
    }
    assert record.tags.items() >= collect_provenance().items()


def test_the_papers_rows_are_marked(small_spec):
    record = SweepRecords(small_spec(published=True), "id").describe_trial_start(RUNNING)
    assert record.tags["bimt.rows"] == "published"


def test_an_evaluation_has_means_only(sweep_records):
    record = sweep_records.describe_evaluation(7, NETWORKS, 20)
    assert {(name, step) for name, _, step, _ in record.points} == {("mean/" + n, 20) for n in METRICS}


def test_a_completed_trial_has_every_metric_and_every_network(sweep_records, completed, trial, spec):
    record = completed()
    assert {(n, s) for n, _, s, _ in record.points} == {(k + n, 40) for n in METRICS for k in ("mean/", "stderr/")}
    table = record.table["replicates.json"]
    assert table["columns"] == ["seed", *METRICS]
    assert table["data"] == [[5, *(NETWORKS[n][0] for n in METRICS)], [6, *(NETWORKS[n][1] for n in METRICS)]]
    assert record.tags == {"bimt.host": "a host", "bimt.device": "cpu", NOTE_TAG: describe_trial(trial, spec)}
    assert record.image == "diagrams/best.png"


def test_a_trial_without_pictures_has_no_image(completed):
    assert completed(**{"config.yaml": b""}).image is None


def test_aggregates_other_than_the_mean_are_metrics_of_their_own(small_spec):
    spec = small_spec(objectives=[{"metric": "val_score", "direction": "maximize", "aggregate": "median"}])
    trial = summarize_trial(dataclasses.replace(RUNNING, state="COMPLETE"), NETWORKS, {}, spec)
    record = SweepRecords(spec, "id").describe_trial_end(trial, RESULT, {})
    values = {name: value for name, value, _, _ in record.points}
    assert values["median/val_score"] == trial.values["val_score"]
    assert [name for name in values if not name.startswith(("mean/", "stderr/"))] == ["median/val_score"]


def test_added_networks_count_in_the_values_of_their_trial(sweep):
    found = sweep()
    lucky = found.trials[0]
    record = SweepRecords(found.spec, "id").describe_added_networks(lucky)
    values = {name: value for name, value, _, _ in record.points}
    assert record.key == "id/0"
    assert values["mean/val_score"] == pytest.approx(0.99)
    assert (values["confirmed/test_score"], values["confirmed/networks"]) == (pytest.approx(0.6), 4)
    assert record.tags.items() >= {("bimt.networks", "2"), ("bimt.confirmed", "4 networks")}


def test_a_verdict_has_its_probability_and_intervals(sweep):
    found = sweep()
    baseline, lucky = found.confirmed[None][:2]
    records = SweepRecords(found.spec, "id")
    record = records.describe_verdict(lucky, baseline)
    values = {name: value for name, value, _, _ in record.points}
    assert record.key == "id/0"
    assert values["confirmed/front_probability"] == 0.0
    assert values["confirmed/test_score_low"] < 0.6 < values["confirmed/test_score_high"]
    assert record.tags["bimt.still_on_front"] == "no"
    assert record.tags[NOTE_TAG] == describe_trial(lucky.trial, found.spec, [baseline, lucky])
    itself = records.describe_verdict(baseline, baseline)
    assert itself.tags[NOTE_TAG] == describe_trial(baseline.trial, found.spec, [baseline])
    assert "confirmed/front_probability" not in [name for name, *_ in itself.points]


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
    assert record.params["objectives"] == "maximize val_score, minimize connection_cost"
    assert record.params["constraints"] == "val_score >= 0.9"


def test_what_a_later_launch_may_change_is_no_parameter(small_spec):
    """MLflow refuses another value of a parameter."""
    one, other = (
        SweepRecords(small_spec(trials=trials, confirm=confirm), "id").describe_sweep_start()
        for trials, confirm in ((3, None), (5, {"replicates": 8}))
    )
    assert one.params == other.params
    assert (one.tags["bimt.confirm"], other.tags["bimt.confirm"]) == ("no", "8 networks")


def test_the_sweep_ends_with_its_front_and_what_was_confirmed_as_tables(sweep):
    found = sweep()
    record = SweepRecords(found.spec, "id").describe_sweep_end(
        found.front,
        {"training": 0.75, "drawing": math.nan},
        complete=True,
        baseline=found.baseline,
        confirmed=found.confirmed,
    )
    assert record.status == "FINISHED"
    names = [[row[0] for row in record.table[table]["data"]] for table in ("front.json", "confirmed.json")]
    trials = ["trial 000", "trial 001", "trial 002", "trial 003"]
    assert names == [[*trials, "published setting"], ["published setting", *trials]]
    assert [(name, value) for name, value, _, _ in record.points] == [("worker_time/training", 0.75)]
    assert record.tags == {NOTE_TAG: describe_result(found.front, found.baseline, found.confirmed, found.spec)}


def test_a_sweep_that_stops_early_is_killed_and_may_have_no_front(sweep_records):
    record = sweep_records.describe_sweep_end([], {}, complete=False)
    assert record.status == "KILLED"
    assert record.table["front.json"]["data"] == []
    assert "confirmed.json" not in record.table


def test_the_report_is_an_artifact_of_the_sweep(sweep_records):
    record = sweep_records.describe_report("<p>")
    assert (record.key, record.files) == ("id", {"report.html": b"<p>"})


def test_records_are_plain_data(sweep, sweep_records, completed):
    found = sweep()
    records = SweepRecords(found.spec, "id")
    for record in (
        sweep_records.describe_sweep_start(),
        completed(),
        records.describe_verdict(found.confirmed[None][0], None),
        records.describe_added_networks(found.baseline),
        records.describe_sweep_end(found.front, {}, complete=True, confirmed=found.confirmed),
    ):
        fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != "files"}
        json.dumps(fields, allow_nan=False)
