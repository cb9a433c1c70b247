"""The tracker with its real process, over a real database."""

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from sweeps.tracking.record import Record
from sweeps.tracking.spool import Spool
from sweeps.tracking.tracker import Tracker
from sweeps.tracking.writer import drain

RECORDS = [Record("id", "the sweep"), Record("id/1", "trial 001", parent="id", points=(("mean/score", 0.5, 1, 1),))]


@pytest.fixture
def start(lab):
    """Starts trackers and returns each with its process; they end with the test."""
    trackers = []

    def start(uri=None):
        trackers.append(Tracker(lab.target(uri), lab.spool.folder))
        (process,) = (p for p in psutil.Process().children() if "sweeps.tracking.writer" in p.cmdline())
        return trackers[-1], process

    yield start
    for tracker in trackers:
        tracker.close(0.0)


def wait_until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_records_become_runs_and_the_process_ends(lab, start, monkeypatch):
    tracker, process = start()
    for record in RECORDS:
        tracker.record(record)
    priority = min(psutil.Process().nice() + 10, 19)
    wait_until(lambda: process.nice() == priority)  # training has the cores first
    wait_until(lambda: tracker.waiting == 0)
    process.send_signal(signal.SIGINT)  # Ctrl-C is for the driver
    tracker.record(Record("id/2", "trial 002", parent="id"))
    assert (tracker.close(), tracker.problem, tracker.waiting) == (0, None, 0)
    assert set(lab.runs()) == {"id", "id/1", "id/2"}
    assert not process.is_running()
    assert tracker.close() == 0

    def fail(spool, record):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "add", fail)
    tracker.record(RECORDS[1])
    place = lab.spool.folder
    assert tracker.problem == f"a record of trial 001 cannot be written to {place}: No space left on device"


def test_closing_does_not_wait_for_a_server_that_never_answers(start):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        tracker, _ = start(f"http://127.0.0.1:{server.getsockname()[1]}")
        tracker.record(RECORDS[0])
        server.accept()[0].close()  # the first request has arrived, so the process has started
        before = time.monotonic()
        assert tracker.close(1.0) == 1
        assert time.monotonic() - before < 20, "MLflow's own client waits for minutes"
    assert tracker.problem
    assert tracker.close(60.0) == 1


def test_a_dead_server_is_a_problem_and_the_records_wait(start):
    tracker, _ = start("http://127.0.0.1:9")
    tracker.record(RECORDS[0])
    wait_until(lambda: tracker.problem)
    assert "Connection refused" in tracker.problem or "Max retries exceeded" in tracker.problem
    assert tracker.close(0.5) == 1


def test_a_killed_process_stops_no_sweep(start):
    tracker, process = start()
    process.kill()
    wait_until(lambda: tracker.problem)
    assert tracker.problem == "the process that writes to MLflow ended with -9"
    tracker.record(RECORDS[0])
    assert tracker.close() == 1


DRIVER = """
import sys, time
from pathlib import Path
from sweeps.tracking.record import Record
from sweeps.tracking.run_writer import Target
from sweeps.tracking.tracker import Tracker
uri, artifacts, spool = sys.argv[1:]
tracker = Tracker(Target(uri, "small", artifacts, "The note."), Path(spool))
tracker.record(Record("id", "the sweep"))
print("running", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_process_ends_with_its_driver_and_the_next_one_continues(lab, end):
    target, folder = lab.target(), lab.spool.folder
    command = [sys.executable, "-c", DRIVER, target.uri, target.artifacts, str(folder)]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert driver.stdout.readline() == "running\n"
    (process,) = psutil.Process(driver.pid).children()
    os.kill(driver.pid, end)
    driver.communicate()
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)

    lab.spool.add(RECORDS[1])
    assert drain(target, folder) is None
    assert set(lab.runs()) == {"id", "id/1"}
