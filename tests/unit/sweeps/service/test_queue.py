from dataclasses import replace
from datetime import datetime

import pytest

from sweeps.errors import BadInputError
from sweeps.service import queue as sweep_queue
from sweeps.service.jobs import Job

NOW = datetime(2026, 1, 1)


def job(name: str, status: str, *, sweep: bool = True, killed: bool = False, placed: bool | None = None) -> Job:
    metadata = {"bimt.sweep": name} if sweep else {}
    return Job(
        name, status, NOW, placed=status != "PENDING" if placed is None else placed, killed=killed, metadata=metadata
    )


def test_states_are_told_in_our_words() -> None:
    words = {
        "PENDING": "waiting",
        "RUNNING": "running",
        "STOPPED": "stopped",
        "FAILED": "failed",
        "SUCCEEDED": "complete",
    }
    assert {status: sweep_queue.get_state(job("x", status)) for status in words} == words
    assert sweep_queue.get_state(job("x", "FAILED", killed=True)) == "killed"
    assert sweep_queue.get_state(job("x", "FAILED", killed=True, placed=False)) == "stopped"
    assert sweep_queue.get_state(replace(job("x", "FAILED"), exit_code=3)) == "incomplete"
    assert sweep_queue.get_state(replace(job("x", "FAILED"), exit_code=1)) == "failed"
    assert [job("x", status).over for status in words] == [False, False, True, True, True]


def test_places_are_counted_among_waiting_sweeps() -> None:
    first, other, second = job("first", "PENDING"), job("other", "PENDING", sweep=False), job("second", "PENDING")
    jobs = [job("old", "SUCCEEDED"), job("runs", "RUNNING"), first, other, second]
    assert [sweep_queue.get_position(one, jobs) for one in (first, second, jobs[0], jobs[1])] == [1, 2, None, None]


@pytest.mark.parametrize(
    ("running", "ahead", "slots", "queued"),
    [(0, 0, 1, False), (1, 0, 1, True), (1, 0, 2, False), (1, 1, 2, True), (0, 1, 1, True), (3, 3, 0, False)],
)
def test_a_sweep_is_in_the_queue_where_others_hold_all_slots(
    running: int, ahead: int, slots: int, queued: bool
) -> None:
    ours = job("ours", "PENDING")
    others = [job(f"r{i}", "RUNNING") for i in range(running)] + [job(f"w{i}", "PENDING") for i in range(ahead)]
    assert sweep_queue.is_queued(ours, [*others, ours], slots) is queued
    assert not sweep_queue.is_queued(job("ours", "RUNNING"), [*others, job("ours", "RUNNING")], slots)


def test_another_jobs_name_is_refused() -> None:
    sweep_queue.check_sweep(job("x", "RUNNING"))
    with pytest.raises(BadInputError, match=r"^the cluster has a job 'x' that is no sweep; use another name$"):
        sweep_queue.check_sweep(job("x", "RUNNING", sweep=False))
