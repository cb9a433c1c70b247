import dataclasses
import json
import math
import statistics
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import sweeps
from bimt_core import METRICS
from sweeps.spec.sweep import parse_spec
from sweeps.study.study import Attempt, Trial
from sweeps.tracking import records
from sweeps.tracking.run_writer import NOTE_TAG

FIGURES = {name: [float(i), i + 1.0] for i, name in enumerate(METRICS)}
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20)


# Figures


@given(VALUES)
def test_means_and_standard_errors_are_those_of_statistics(values):
    (mean,), (error,) = (figures.values() for figures in records.summarize_replicates({"score": values}))
    scale = max(map(abs, values))
    assert mean == pytest.approx(statistics.fmean(values), abs=1e-12 * scale)
    assert error == pytest.approx(
        statistics.stdev(values) / math.sqrt(len(values)), rel=1e-6, abs=1e-12 * scale + 1e-100
    )


def test_every_metric_is_summarised_by_itself():
    figures = {name: np.random.default_rng(i).normal(i, 1, 7).tolist() for i, name in enumerate(METRICS)}
    means, errors = records.summarize_replicates(figures)
    assert list(means) == list(errors) == list(METRICS)
    for name, values in figures.items():
        assert means[name] == pytest.approx(np.mean(values))
        assert errors[name] == pytest.approx(np.std(values, ddof=1) / 7**0.5)
        assert type(means[name]) is type(errors[name]) is float


def test_a_single_replicate_has_no_standard_error():
    means, errors = records.summarize_replicates({"score": [0.5]})
    assert means == {"score": 0.5}
    assert math.isnan(errors["score"])


@pytest.mark.parametrize(
    "values", [[math.nan, 1.0], [math.inf, 1.0], [math.inf, -math.inf], [1e308, 1e308], [1e200, 0]]
)
def test_figures_that_are_not_finite_or_overflow_give_none_and_no_error(values):
    means, errors = records.summarize_replicates({"score": values})
    assert not (math.isfinite(means["score"]) and math.isfinite(errors["score"]))
    assert all(math.isfinite(value) for _, value, _, _ in records.make_points({"score": values}, 1, 2))


def test_a_point_has_name_value_step_and_time():
    assert records.make_points({"score": [1.0, 2.0]}, 30, 7) == (
        ("mean/score", 1.5, 30, 7),
        ("stderr/score", 0.5, 30, 7),
    )


def test_errors_are_told_at_the_end():
    assert records.make_points({"score": [1.0, 2.0]}, 30, 7, last=False) == (("mean/score", 1.5, 30, 7),)
    assert {name for name, _, _, _ in records.describe_evaluation("id", 7, FIGURES, 20).points} == {
        "mean/" + n for n in METRICS
    }


def test_what_is_not_finite_is_no_point():
    assert records.make_points({"score": [1.0], "test_loss": [math.nan]}, 3, 7) == (("mean/score", 1.0, 3, 7),)
    assert records.make_points({"score": [1.0, math.inf]}, 3, 7) == ()


# Runs


@pytest.fixture
def spec(small_spec):
    return small_spec(description="As *small* as it gets.", constraints=["score >= 0.9"], seed=5)


RESULT = {"step": 40, "host": "a host", "device": "cpu"}


def completed(spec, figures=FIGURES, files=None):
    return records.describe_trial_end(spec, "id", 7, figures, RESULT, files or {"diagrams/best.png": b"picture"})


def test_a_trials_records_are_of_one_run_under_the_sweeps(spec):
    attempt = Attempt(7, {"cost_weight": 0.1, "steps": 40}, 2)
    made = [
        records.describe_trial_start(spec, "id", attempt),
        records.describe_evaluation("id", 7, FIGURES, 20),
        completed(spec),
        records.describe_trial_failure("id", 7, "diverged", {}),
        records.describe_interruption("id", 7, "its driver died"),
        records.describe_front_mark("id", Trial(7, "COMPLETE", {}, feasible=True), on_front=True),
    ]
    assert {(r.key, r.name, r.parent) for r in made} == {("id/7", "trial 007", "id")}
    assert [r.status for r in made] == [None, None, "FINISHED", "FAILED", "KILLED", None]
    assert [r.end_ms is not None for r in made] == [r.status is not None for r in made]
    assert [r.start_ms is not None for r in made] == [True, False, False, False, False, False]


def test_a_trial_starts_with_its_hyperparameters_and_where_it_comes_from(spec):
    record = records.describe_trial_start(spec, "id", Attempt(7, {"cost_weight": 0.1, "steps": 40}, 2))
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


def test_a_completed_trial_tells_every_metric_and_every_replicate(spec):
    record = completed(spec)
    assert {(n, s) for n, _, s, _ in record.points} == {(k + n, 40) for n in METRICS for k in ("mean/", "stderr/")}
    table = record.table["replicates.json"]
    assert table["columns"] == ["seed", *METRICS]
    assert table["data"] == [[5, *(FIGURES[n][0] for n in METRICS)], [6, *(FIGURES[n][1] for n in METRICS)]]
    assert record.tags.items() >= {("bimt.host", "a host"), ("bimt.device", "cpu")}
    assert record.image == "diagrams/best.png"
    assert record.tags[NOTE_TAG].startswith("score 2.5; connection_cost 3.5; modularity 7.500 in 8.5 communities.")


def test_a_trial_without_pictures_has_no_image(spec):
    assert completed(spec, files={"config.yaml": b""}).image is None


def test_a_failed_trial_says_why(spec):
    record = records.describe_trial_failure("id", 7, "x" * 9000, {"error.txt": b"trace"})
    assert record.tags["bimt.reason"] == "x" * 500
    assert record.tags[NOTE_TAG].startswith("Failed: xxx")
    assert record.files == {"error.txt": b"trace"}


@pytest.mark.parametrize(("on_front", "feasible"), [(True, True), (False, True), (False, False)])
def test_the_front_is_marked(on_front, feasible):
    record = records.describe_front_mark("id", Trial(7, "COMPLETE", {}, feasible=feasible), on_front=on_front)
    yes_or_no = {True: "yes", False: "no"}
    assert record.tags == {"bimt.front": yes_or_no[on_front], "bimt.feasible": yes_or_no[feasible]}


def test_the_sweeps_run_holds_its_spec(spec):
    record = records.describe_sweep_start(spec, "id")
    assert (record.key, record.parent) == ("id", None)
    assert parse_spec(yaml.safe_load(record.files["sweep.yaml"])) == spec
    assert record.params["objectives"] == "maximize score, minimize connection_cost"
    assert record.params["constraints"] == "score >= 0.9"


def test_the_sweeps_note_says_what_is_searched_and_how_to_find_the_best(spec):
    note = records.describe_sweep(spec)
    assert note.startswith("As *small* as it gets.")
    assert "maximize **score**, minimize **connection_cost**" in note
    assert 'sweeps.open_sweep("small").pareto()' in note
    assert all(f"`{name}`: {METRICS[name].description}" in note for name in METRICS)


@pytest.fixture
def front(spec):
    means = dict.fromkeys(METRICS, 0.123456789)
    return [Trial(3, "COMPLETE", {"cost_weight": 0.00123456, "steps": 40}, mean=means, feasible=True)]


def test_the_sweep_ends_with_its_front_as_a_table(spec, front):
    record = records.describe_sweep_end(spec, "id", front, {"training": 0.75, "drawing": math.nan}, complete=True)
    assert record.status == "FINISHED"
    assert record.table["front.json"] == {
        "columns": ["trial", "score", "connection_cost", "modularity", "cost_weight", "steps"],
        "data": [["trial 003", 0.123456789, 0.123456789, 0.123456789, 0.00123456, 40]],
    }
    assert [(name, value) for name, value, _, _ in record.points] == [("worker_time/training", 0.75)]
    assert "| trial 003 | 0.1235 | 0.1235 | 0.1235 | 0.001235 | 40 |" in record.tags[NOTE_TAG].splitlines()


def test_a_sweep_that_stops_early_is_killed_and_may_have_no_front(spec):
    record = records.describe_sweep_end(spec, "id", [], {}, complete=False)
    assert record.status == "KILLED"
    assert record.table["front.json"]["data"] == []


def test_records_are_plain_data(spec, front):
    for record in (
        records.describe_sweep_start(spec, "id"),
        completed(spec),
        records.describe_sweep_end(spec, "id", front, {}, complete=True),
    ):
        fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != "files"}
        json.dumps(fields, allow_nan=False)


def test_the_commit_and_versions_are_known():
    tags = records.collect_provenance()
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(sweeps.__file__).parent, capture_output=True, text=True, check=False
    )
    assert tags.get("mlflow.source.git.commit") == (head.stdout.strip() or None)
    assert all(name in tags["bimt.versions"] for name in (*records.PACKAGES, "python 3."))
