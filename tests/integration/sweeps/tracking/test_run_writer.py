"""Records become runs in a real MLflow database."""

import io
import json
import re

import pytest
from PIL import Image

from sweeps.tracking.record import NOTE_TAG, PARENT_TAG, Record
from sweeps.tracking.writer import drain

SWEEP = Record("id", "the sweep", start_ms=1_000, tags={"bimt.role": "sweep"})


def png(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(buffer, "PNG")
    return buffer.getvalue()


TRIAL = Record(
    "id/7",
    "trial 007",
    parent="id",
    start_ms=2_000,
    params={"cost_weight": 0.001, "relocation": "none", "cost_phases": [[0, 1]]},
    tags={"bimt.role": "trial", NOTE_TAG: "A *note*."},
    points=(("mean/score", 0.5, 10, 2_100), ("mean/score", 0.75, 20, 2_200), ("mean/test_loss", 1e-9, 20, 2_200)),
    table={"replicates.json": {"columns": ["seed", "score"], "data": [[0, 0.5], [1, 1.0]]}},
    status="FINISHED",
    end_ms=3_000,
    image="diagrams/best.png",
    files={"config.yaml": b"a: 1\n", "diagrams/best.png": png("red"), "deep/er/weights.bin": b"\x00\xff" * 50},
)


def write(lab, *records):
    spool = lab.spool
    for record in records:
        spool.add(record)
    assert drain(lab.target(), spool.folder) is None
    assert list(spool.folder.iterdir()) == []


def test_records_become_runs(lab):
    write(lab, SWEEP, TRIAL)
    runs = lab.runs()
    sweep, trial = runs["id"], runs["id/7"]
    assert (sweep.info.run_name, trial.info.run_name) == ("the sweep", "trial 007")
    assert trial.data.tags[PARENT_TAG] == sweep.info.run_id
    assert PARENT_TAG not in sweep.data.tags
    assert (sweep.info.status, trial.info.status) == ("RUNNING", "FINISHED")
    assert (trial.info.start_time, trial.info.end_time) == (2_000, 3_000)
    assert trial.data.params == {"cost_weight": "0.001", "relocation": "none", "cost_phases": "[[0, 1]]"}
    assert trial.data.tags.items() >= TRIAL.tags.items()
    assert trial.data.metrics == {"mean/score": 0.75, "mean/test_loss": 1e-9}
    history = lab.metric_history("id/7", "mean/score")
    assert [(m.value, m.step, m.timestamp) for m in history] == [(0.5, 10, 2_100), (0.75, 20, 2_200)]
    assert lab.mlflow.get_experiment_by_name("small").tags[NOTE_TAG] == "The note."


def test_artifacts_tables_and_the_image_are_shown(lab):
    write(lab, TRIAL)
    run = lab.runs()["id/7"]
    paths = lab.artifacts(run)
    images = [path for path in paths if path.startswith("images/")]
    assert sorted(set(paths) - set(images)) == sorted([*TRIAL.files, "replicates.json"])
    for path, content in TRIAL.files.items():
        assert lab.content(run, path) == content
    assert json.loads(lab.content(run, "replicates.json")) == TRIAL.table["replicates.json"]
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": "replicates.json", "type": "table"}]
    assert any(path.name == "config.yaml" for path in lab.store.artifacts.rglob("*"))

    other = lab.mlflow.create_run(run.info.experiment_id)
    image = Image.open(io.BytesIO(TRIAL.files["diagrams/best.png"]))
    lab.mlflow.log_image(other.info.run_id, image, key="diagrams/best", step=20, timestamp=3_000)
    other = lab.mlflow.get_run(other.info.run_id)
    expected = [path for path in lab.artifacts(other) if path.startswith("images/")]
    assert [sorted(re.sub(r"[0-9a-f-]{36}", "UUID", path) for path in p) for p in (images,)] == [
        sorted(re.sub(r"[0-9a-f-]{36}", "UUID", path) for path in expected)
    ]
    assert run.data.tags["mlflow.loggedImages"] == other.data.tags["mlflow.loggedImages"]


def test_writing_a_record_again_changes_nothing(lab):
    states = []
    for _ in range(2):
        write(lab, SWEEP, TRIAL)
        runs = lab.runs()
        run = runs["id/7"]
        history = [m.to_dictionary() for m in lab.metric_history("id/7", "mean/score")]
        artifacts = {path: lab.content(run, path) for path in lab.artifacts(run)}
        states.append((run.to_dictionary(), history, artifacts, len(runs)))
    assert states[0] == states[1]


def test_later_records_add_to_the_run(lab):
    write(lab, SWEEP, Record("id/1", "trial 001", parent="id", params={"a": 1}, points=(("m", 1.0, 1, 1),)))
    write(lab, Record("id/1", "trial 001", parent="id", points=(("m", 2.0, 2, 2),), tags={"t": "x"}, status="KILLED"))
    run = lab.runs()["id/1"]
    assert (run.data.params, run.data.tags["t"], run.info.status) == ({"a": "1"}, "x", "KILLED")
    assert [m.value for m in lab.metric_history("id/1", "m")] == [1.0, 2.0]
    write(lab, Record("id/1", "trial 001", status="RUNNING"))
    assert lab.runs()["id/1"].info.status == "RUNNING"


@pytest.mark.parametrize("n", [1000, 1001, 2500])  # MLflow takes 1000 values at a time
def test_any_number_of_values_is_written(lab, n):
    params, tags = {f"p{i}": i for i in range(20)}, {f"t{i}": "" for i in range(20)}
    write(lab, Record("id", "many", params=params, tags=tags, points=tuple(("m", float(i), i, i) for i in range(n))))
    assert sorted(m.value for m in lab.metric_history("id", "m")) == list(range(n))
