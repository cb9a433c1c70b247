"""The writer's rounds and loop, run in the test; its process is tested with the tracker."""

import sqlite3
import threading
import time

import pytest

from sweeps.tracking import writer as writer_module
from sweeps.tracking.record import Record
from sweeps.tracking.writer import MAX_BACKOFF_S, PAUSE_S, SpoolWriter, drain, write_until_closed

SWEEP = Record("id", "the sweep")
TRIAL = Record("id/7", "trial 007", parent="id", points=(("m", 1.0, 1, 1),), files={"config.yaml": b"a: 1\n"})
DEAD_URI = "http://127.0.0.1:9"


@pytest.fixture
def create(lab):
    """Creates a writer and puts records into its spool."""

    def create(*records, uri=None):
        spool = lab.spool
        for record in records:
            spool.add(record)
        return SpoolWriter(lab.target(uri), spool.folder)

    return create


def test_a_sweep_continues_without_mlflow_and_the_next_writer_writes_what_waits(lab, create):
    writer = create(SWEEP, TRIAL, uri=DEAD_URI)
    before = time.monotonic()
    pauses = [writer.write_round() for _ in range(7)]
    assert time.monotonic() - before < 30, "MLflow's own client tries for minutes"
    assert pauses == [1, 2, 4, 8, 16, MAX_BACKOFF_S, MAX_BACKOFF_S]
    assert "Connection refused" in writer.problem or "Max retries exceeded" in writer.problem
    assert "\n" not in writer.problem
    assert not writer.refused
    assert len(lab.spool.entries()) == 2

    assert drain(lab.target(), lab.spool.folder) is None
    assert set(lab.runs()) == {"id", "id/7"}
    assert list(lab.spool.folder.iterdir()) == []


def test_a_database_that_comes_back_gets_what_waited(lab, create):
    database = lab.store.folder / "mlflow.db"
    away = database.rename(lab.store.folder / "away.db")
    database.mkdir()
    writer = create(SWEEP)
    assert writer.write_round() == 1
    assert writer.problem
    database.rmdir()
    away.rename(database)
    assert writer.write_round() >= PAUSE_S
    assert writer.problem is None
    assert set(lab.runs()) == {"id"}


def break_database(store):
    (store.folder / "mlflow.db").write_text("no database " * 1000)


def break_revision(store):
    connection = sqlite3.connect(store.folder / "mlflow.db")
    connection.execute("UPDATE alembic_version SET version_num = 'from the future'")
    connection.commit()
    connection.close()


def break_artifacts(store):
    store.artifacts.rmdir()
    store.artifacts.write_text("no folder")


@pytest.mark.parametrize("breakage", [break_database, break_revision, break_artifacts])
def test_every_error_is_a_problem_of_one_line_and_nothing_is_lost(lab, create, breakage):
    breakage(lab.store)
    writer = create(TRIAL)
    writer.write_round()
    assert writer.problem
    assert "\n" not in writer.problem
    assert len(lab.spool.entries()) == 1


@pytest.mark.parametrize("uri", ["moon://here", "postgresql://127.0.0.1:1/x"])
def test_a_uri_without_a_store_is_a_problem(lab, create, uri):
    writer = create(TRIAL, uri=uri)
    writer.write_round()
    assert writer.problem
    assert len(lab.spool.entries()) == 1


def test_a_run_that_is_refused_waits_and_the_others_are_written(lab, create):
    first = create(Record("id/1", "first", params={"a": 1}))
    first.write_round()
    second = create(Record("id/1", "first", params={"a": 2}), Record("id/2", "second", params={"a": 3}))
    second.write_round()
    assert "Changing param values is not allowed" in second.problem
    assert second.refused
    assert len(lab.spool.entries()) == 1
    assert {key: run.data.params for key, run in lab.runs().items()} == {"id/1": {"a": "1"}, "id/2": {"a": "3"}}


def test_an_entry_that_cannot_be_read_is_set_aside(lab, create):
    writer = create(TRIAL, SWEEP)
    lab.spool.entries()[0].path.write_bytes(b"[]")
    writer.write_round()
    assert set(lab.runs()) == {"id"}
    (aside,) = (lab.spool.folder / "unreadable").glob("*/*.json")
    assert writer.problem == f"a record could not be read and is kept in {aside}"
    writer.write_round()
    assert writer.problem, "it is still there"
    assert drain(lab.target(), lab.spool.folder) is None


def test_the_loop_ends_with_the_round_after_closing(lab, create):
    closing, writer = threading.Event(), create(SWEEP)
    problems = write_until_closed(writer, closing)
    assert next(problems) is None
    lab.spool.add(TRIAL)
    closing.set()
    assert list(problems) == [None]
    assert set(lab.runs()) == {"id", "id/7"}


def test_the_loop_writes_again_after_a_pause(lab, create, monkeypatch):
    monkeypatch.setattr(writer_module, "PAUSE_S", 0.01)
    monkeypatch.setattr(writer_module, "MAX_PAUSE_S", 0.01)
    problems = write_until_closed(create(SWEEP), threading.Event())
    next(problems)
    lab.spool.add(TRIAL)
    next(problems)
    assert set(lab.runs()) == {"id", "id/7"}


def test_a_closed_loop_tries_again_unless_mlflow_refuses(create, monkeypatch):
    monkeypatch.setattr(writer_module, "CLOSING_BACKOFF_S", 0.01)
    closing = threading.Event()
    closing.set()
    failing = write_until_closed(create(SWEEP, uri=DEAD_URI), closing)
    assert next(failing)
    assert next(failing)
    create(Record("id/1", "first", params={"a": 1})).write_round()
    refused = write_until_closed(create(Record("id/1", "first", params={"a": 2})), closing)
    assert ["Changing param values is not allowed" in problem for problem in refused] == [True]
