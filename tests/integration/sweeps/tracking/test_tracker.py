import io
import json
import re
import socket
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

from sweeps.tracking import writer
from sweeps.tracking.reading import KEY_TAG, create_client
from sweeps.tracking.run_writer import NOTE_TAG, PARENT_TAG, Target
from sweeps.tracking.spool import Record, Spool
from sweeps.tracking.tracker import Tracker

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


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """A writer that hardly rests."""
    monkeypatch.setattr(writer, "PAUSE_S", 0.2)
    monkeypatch.setattr(writer, "MAX_PAUSE_S", 0.2)


@pytest.fixture
def place(new_store, tmp_path):
    """A folder with an empty MLflow database."""
    return new_store(tmp_path / "a folder with spaces")


@pytest.fixture
def tracker(place):
    """Makes trackers; they are ended with the test."""
    made = []

    def make(uri=place.mlflow_uri, **how):
        target = Target(uri, "small", str(place.artifacts), "What it is.")
        made.append(Tracker(target, spool_of(place), **how))
        return made[-1]

    yield make
    for one in made:
        one.close(0.0)


def spool_of(place):
    return place.work("small") / "spool"


def mlflow_of(place):
    return create_client(place.mlflow_uri)


def runs_of(place):
    """Runs by key."""
    experiment = mlflow_of(place).get_experiment_by_name("small")
    found = mlflow_of(place).search_runs([experiment.experiment_id]) if experiment else []
    assert len({run.data.tags[KEY_TAG] for run in found}) == len(found)
    return {run.data.tags[KEY_TAG]: run for run in found}


def artifacts_of(place, run, folder=None):
    """Paths of all of a run's artifacts."""
    found = []
    for entry in mlflow_of(place).list_artifacts(run.info.run_id, folder):
        found += artifacts_of(place, run, entry.path) if entry.is_dir else [entry.path]
    return found


def content_of(place, run, path):
    return Path(mlflow_of(place).download_artifacts(run.info.run_id, path)).read_bytes()


def until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# What is written


def test_records_become_runs(place, tracker):
    one = tracker()
    one.record(SWEEP)
    one.record(TRIAL)
    assert (one.close(), one.problem, one.waiting) == (0, None, 0)

    runs = runs_of(place)
    sweep, trial = runs["id"], runs["id/7"]
    assert (sweep.info.run_name, trial.info.run_name) == ("the sweep", "trial 007")
    assert trial.data.tags[PARENT_TAG] == sweep.info.run_id
    assert PARENT_TAG not in sweep.data.tags
    assert (sweep.info.status, trial.info.status) == ("RUNNING", "FINISHED")
    assert (trial.info.start_time, trial.info.end_time) == (2_000, 3_000)
    assert trial.data.params == {"cost_weight": "0.001", "relocation": "none", "cost_phases": "[[0, 1]]"}
    assert trial.data.tags.items() >= TRIAL.tags.items()
    assert trial.data.metrics == {"mean/score": 0.75, "mean/test_loss": 1e-9}
    history = mlflow_of(place).get_metric_history(trial.info.run_id, "mean/score")
    assert [(m.value, m.step, m.timestamp) for m in history] == [(0.5, 10, 2_100), (0.75, 20, 2_200)]


def test_artifacts_tables_and_the_picture_are_shown(place, tracker):
    one = tracker()
    one.record(TRIAL)
    assert one.close() == 0
    run = runs_of(place)["id/7"]
    own, pictures = [], []
    for path in artifacts_of(place, run):
        (pictures if path.startswith("images/") else own).append(path)
    assert sorted(own) == sorted([*TRIAL.files, "replicates.json"])
    for path, content in TRIAL.files.items():
        assert content_of(place, run, path) == content
    assert json.loads(content_of(place, run, "replicates.json")) == TRIAL.table["replicates.json"]
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": "replicates.json", "type": "table"}]
    assert [path.split("+")[:3] for path in pictures] == [["images/diagrams~best", "step", "20"]] * 2
    assert run.data.tags["mlflow.loggedImages"].lower() == "true"


def test_the_picture_is_named_as_mlflow_names_one(place, tracker):
    one = tracker()
    one.record(TRIAL)
    assert one.close() == 0
    run, client = runs_of(place)["id/7"], mlflow_of(place)
    other = client.create_run(experiment_of(place))
    image = Image.open(io.BytesIO(TRIAL.files["diagrams/best.png"]))
    client.log_image(other.info.run_id, image, key="diagrams/best", step=20, timestamp=3_000)
    ours, theirs = (
        sorted(re.sub(r"[0-9a-f-]{36}", "UUID", path) for path in artifacts_of(place, of) if path.startswith("images/"))
        for of in (run, client.get_run(other.info.run_id))
    )
    assert ours == theirs
    assert run.data.tags["mlflow.loggedImages"] == client.get_run(other.info.run_id).data.tags["mlflow.loggedImages"]


def experiment_of(place):
    return mlflow_of(place).get_experiment_by_name("small").experiment_id


def test_the_experiment_has_its_note_and_its_artifacts_in_the_store(place, tracker):
    one = tracker()
    one.record(TRIAL)
    one.close()
    experiment = mlflow_of(place).get_experiment_by_name("small")
    assert experiment.tags[NOTE_TAG] == "What it is."
    assert any(path.name == "config.yaml" for path in place.artifacts.rglob("*"))


def test_writing_a_record_again_changes_nothing(place, tracker):
    states = []
    for _ in range(2):
        one = tracker()
        one.record(SWEEP)
        one.record(TRIAL)
        assert one.close() == 0
        run = runs_of(place)["id/7"]
        history = mlflow_of(place).get_metric_history(run.info.run_id, "mean/score")
        artifacts = {path: content_of(place, run, path) for path in artifacts_of(place, run)}
        states.append((run.to_dictionary(), [m.to_dictionary() for m in history], artifacts, len(runs_of(place))))
    assert states[0] == states[1]


def test_later_records_add_to_the_run(place, tracker):
    one = tracker()
    one.record(SWEEP)
    one.record(Record("id/1", "trial 001", parent="id", params={"a": 1}, points=(("m", 1.0, 1, 1),)))
    until(lambda: one.waiting == 0)
    one.record(Record("id/1", "trial 001", parent="id", points=(("m", 2.0, 2, 2),), tags={"t": "x"}, status="KILLED"))
    assert one.close() == 0
    run = runs_of(place)["id/1"]
    assert (run.data.params, run.data.tags["t"], run.info.status) == ({"a": "1"}, "x", "KILLED")
    assert [m.value for m in mlflow_of(place).get_metric_history(run.info.run_id, "m")] == [1.0, 2.0]


@pytest.mark.parametrize("n", [999, 1000, 1001, 2500])
def test_any_number_of_metrics_is_written(place, tracker, n):
    one = tracker()
    params, tags = {f"p{i}": i for i in range(20)}, {f"t{i}": "" for i in range(20)}
    one.record(Record("id", "many", params=params, tags=tags, points=tuple(("m", float(i), i, i) for i in range(n))))
    assert (one.close(), one.problem) == (0, None)
    history = mlflow_of(place).get_metric_history(runs_of(place)["id"].info.run_id, "m")
    assert sorted(m.value for m in history) == list(range(n))


# An MLflow that does not answer


@pytest.fixture
def dead_uri():
    """Nobody listens there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def mute_uri():
    """Somebody listens there and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_sweep_goes_on_without_mlflow_and_the_next_one_writes_what_waits(place, tracker, dead_uri):
    one = tracker(dead_uri)
    before = time.monotonic()
    for record in (SWEEP, TRIAL):
        one.record(record)
    assert time.monotonic() - before < 10, "MLflow's client tries for minutes"
    until(lambda: one.problem)
    assert "Connection refused" in one.problem or "Max retries exceeded" in one.problem
    assert "\n" not in one.problem
    before = time.monotonic()
    assert one.close(1.5) == 2
    assert time.monotonic() - before < 15
    assert one.problem

    two = tracker()
    assert (two.close(), two.problem) == (0, None)
    assert set(runs_of(place)) == {"id", "id/7"}
    assert content_of(place, runs_of(place)["id/7"], "deep/er/weights.bin") == TRIAL.files["deep/er/weights.bin"]
    assert list(spool_of(place).iterdir()) == []


def test_closing_does_not_wait_for_a_server_that_never_answers(tracker, mute_uri):
    one = tracker(mute_uri)
    one.record(SWEEP)
    time.sleep(0.3)
    before = time.monotonic()
    assert one.close(1.0) == 1
    assert time.monotonic() - before < 20, "MLflow's client waits for two minutes"
    assert one.problem == "MLflow has not answered for 1 s"
    assert one.close(60.0) == 1
    assert time.monotonic() - before < 30


def test_a_server_that_comes_back_gets_what_waited(place, tracker):
    database = place.folder / "mlflow.db"
    away = database.rename(place.folder / "away.db")
    database.mkdir()
    one = tracker()
    one.record(SWEEP)
    until(lambda: one.problem)
    database.rmdir()
    away.rename(database)
    until(lambda: one.waiting == 0)
    assert (one.close(), one.problem) == (0, None)
    assert set(runs_of(place)) == {"id"}


def break_database(place):
    (place.folder / "mlflow.db").write_text("no database " * 1000)


def break_revision(place):
    import sqlite3

    connection = sqlite3.connect(place.folder / "mlflow.db")
    connection.execute("UPDATE alembic_version SET version_num = 'from the future'")
    connection.commit()
    connection.close()


def break_artifacts(place):
    place.artifacts.rmdir()
    place.artifacts.write_text("no folder")


@pytest.mark.parametrize("breakage", [break_database, break_revision, break_artifacts])
def test_whatever_is_wrong_is_told_and_nothing_is_lost(place, tracker, breakage):
    breakage(place)
    one = tracker()
    one.record(TRIAL)
    until(lambda: one.problem)
    assert "\n" not in one.problem
    assert one.close(0.5) == 1
    assert one.problem


@pytest.mark.parametrize("uri", ["moon://here", "postgresql://127.0.0.1:1/x"])
def test_a_uri_that_leads_nowhere_is_told(tracker, uri):
    one = tracker(uri)
    one.record(TRIAL)
    until(lambda: one.problem)
    assert one.close(0.5) == 1
    assert one.problem


def test_a_run_that_is_refused_waits_and_the_others_are_written(place, tracker):
    one = tracker()
    one.record(Record("id/1", "first", params={"a": 1}))
    until(lambda: one.waiting == 0)
    one.record(Record("id/1", "first", params={"a": 2}))
    one.record(Record("id/2", "second", params={"a": 3}))
    until(lambda: one.problem)
    assert "Changing param values is not allowed" in one.problem
    assert one.close(1.0) == 1
    assert {key: run.data.params for key, run in runs_of(place).items()} == {"id/1": {"a": "1"}, "id/2": {"a": "3"}}


# The spool


def test_an_entry_that_was_not_written_to_its_end_is_no_entry(place, tracker):
    spool = spool_of(place)
    for name in ("000000001.files/diagrams/best.png", "000000001.files/of another.txt"):
        (spool / name).parent.mkdir(parents=True, exist_ok=True)
        (spool / name).write_bytes(b"half a file")
    (spool / ".000000001.json.4711").write_text('{"key": "half')
    one = tracker()
    one.record(TRIAL)
    assert one.close() == 0
    assert set(runs_of(place)) == {"id/7"}
    paths = artifacts_of(place, runs_of(place)["id/7"])
    assert "of another.txt" not in paths
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b'{"key": "id/7", "na', b"\xff\xfe", b"[]", b"{}", b'{"key": "k", "points": [], "x": 1}']
)
def test_an_entry_that_cannot_be_read_is_set_aside_and_told(place, tracker, content):
    spool = Spool(spool_of(place))
    spool.add(TRIAL)
    (entry,) = spool.pending()
    entry.write_bytes(content)
    one = tracker()
    one.record(SWEEP)
    assert one.close() == 0
    assert set(runs_of(place)) == {"id"}
    (aside,) = (spool.folder / "unreadable").iterdir()
    assert one.problem == f"a record could not be read and is kept in {aside / entry.name}"
    assert (aside / entry.name).read_bytes() == content
    assert (aside / "files" / "config.yaml").read_bytes() == TRIAL.files["config.yaml"]
    again = tracker()
    assert (again.close(), again.problem) == (0, None)
    assert aside.is_dir()


def test_a_spool_that_cannot_be_written_stops_no_sweep(place, tracker):
    one = tracker()
    spool_of(place).rmdir()
    spool_of(place).write_text("no folder")
    one.record(SWEEP)
    one.record(TRIAL)
    told = "a record of trial 007 cannot be written to "
    deadline = time.monotonic() + 20  # the writer may have looked between the two lines above; it looks again
    while not one.problem.startswith(told) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert one.problem.startswith(told)
    spool_of(place).unlink()


def test_other_files_in_the_spool_are_left_alone(place, tracker):
    spool = spool_of(place)
    spool.mkdir(parents=True)
    for name in ("notes.txt", "1.json", "000000001.json.bak"):
        (spool / name).write_text(yaml.safe_dump({}))
    assert tracker().close() == 0
    assert len(list(spool.iterdir())) == 3
