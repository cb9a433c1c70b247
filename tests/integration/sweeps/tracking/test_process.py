"""The writer in a process of its own, over a real database; what it writes is tested with the tracker's thread."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from sweeps.tracking.reading import KEY_TAG, create_client
from sweeps.tracking.run_writer import Target
from sweeps.tracking.spool import Record, Spool
from sweeps.tracking.tracker import Tracker

RECORDS = [Record("id", "the sweep"), Record("id/1", "trial 001", parent="id", points=(("mean/score", 0.5, 1, 1),))]


@pytest.fixture
def place(new_store, tmp_path):
    return new_store(tmp_path / "a folder with spaces")


def target_of(place, uri=None):
    return Target(uri or place.mlflow_uri, "small", str(place.artifacts), "What it is.")


def spool_of(place):
    return place.work("small") / "spool"


def keys_in(place):
    found = create_client(place.mlflow_uri).get_experiment_by_name("small")
    runs = create_client(place.mlflow_uri).search_runs([found.experiment_id]) if found else []
    return sorted(run.data.tags[KEY_TAG] for run in runs)


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_records_become_runs_and_the_process_ends(place):
    tracker = Tracker(target_of(place), spool_of(place), own_process=True)
    writer = [p for p in psutil.Process().children() if "sweeps.tracking.process" in p.cmdline()]
    assert len(writer) == 1
    behind = min(psutil.Process().nice() + 10, 19)
    until(lambda: writer[0].nice() == behind)  # training has the cores first
    for record in RECORDS:
        tracker.record(record)
    assert (tracker.close(), tracker.problem) == (0, None)
    assert keys_in(place) == ["id", "id/1"]
    assert not writer[0].is_running()
    assert tracker.close() == 0


def test_what_is_wrong_is_told_and_the_rest_waits(place):
    dead = f"http://127.0.0.1:{9}"
    tracker = Tracker(target_of(place, dead), spool_of(place), own_process=True)
    tracker.record(RECORDS[0])
    until(lambda: tracker.problem)
    assert "Connection refused" in tracker.problem or "Max retries exceeded" in tracker.problem
    assert tracker.close(0.5) == 1


def test_a_writer_that_is_killed_stops_no_sweep(place):
    tracker = Tracker(target_of(place), spool_of(place), own_process=True)
    (writer,) = (p for p in psutil.Process().children() if "sweeps.tracking.process" in p.cmdline())
    writer.kill()
    until(lambda: tracker.problem)
    assert tracker.problem == "the process that writes to MLflow ended with -9"
    tracker.record(RECORDS[0])
    assert tracker.close() == 1


DRIVER = """
import sys, time
from pathlib import Path
from sweeps.tracking.run_writer import Target
from sweeps.tracking.spool import Record
from sweeps.tracking.tracker import Tracker
uri, artifacts, spool = sys.argv[1:]
tracker = Tracker(Target(uri, "small", artifacts, "What it is."), Path(spool), own_process=True)
tracker.record(Record("id", "the sweep"))
print("running", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_writer_ends_with_its_driver_and_the_next_one_goes_on(place, end):
    command = [sys.executable, "-c", DRIVER, place.mlflow_uri, str(place.artifacts), str(spool_of(place))]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert driver.stdout.readline() == "running\n"
    (writer,) = psutil.Process(driver.pid).children()
    os.kill(driver.pid, end)
    driver.communicate()
    until(lambda: not writer.is_running() or writer.status() == psutil.STATUS_ZOMBIE)

    tracker = Tracker(target_of(place), spool_of(place), own_process=True)
    tracker.record(RECORDS[1])
    assert tracker.close() == 0
    assert keys_in(place) == ["id", "id/1"]
    assert Spool(spool_of(place)).pending() == []


def test_ctrl_c_is_for_the_driver(place):
    tracker = Tracker(target_of(place), spool_of(place), own_process=True)
    (writer,) = (p for p in psutil.Process().children() if "sweeps.tracking.process" in p.cmdline())
    tracker.record(RECORDS[0])
    until(lambda: keys_in(place) == ["id"])
    writer.send_signal(signal.SIGINT)
    tracker.record(RECORDS[1])
    assert (tracker.close(), tracker.problem) == (0, None)
