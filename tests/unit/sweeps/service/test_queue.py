import json
from dataclasses import replace
from datetime import datetime

import pytest

from sweeps.errors import BadInputError
from sweeps.service import queue as sweep_queue
from sweeps.service.jobs import Job

NOW = datetime(2026, 1, 1)


def job(name: str, status: str, *, is_sweep: bool = True, **fields) -> Job:
    metadata = {"bimt.sweep": name, "bimt.spec": json.dumps({"task": "two_moons", "trials": 3})} if is_sweep else {}
    return Job(name, status, NOW, **({"has_node": status != "PENDING", "metadata": metadata} | fields))


def test_states():
    states = {
        "PENDING": "waiting",
        "RUNNING": "running",
        "STOPPED": "stopped",
        "FAILED": "failed",
        "SUCCEEDED": "complete",
    }
    assert {status: sweep_queue.get_state(job("x", status)) for status in states} == states
    assert sweep_queue.get_state(job("x", "FAILED", was_killed=True)) == "killed"
    assert sweep_queue.get_state(job("x", "FAILED", was_killed=True, has_node=False)) == "stopped"
    assert sweep_queue.get_state(replace(job("x", "FAILED"), exit_code=3)) == "incomplete"
    assert sweep_queue.get_state(replace(job("x", "FAILED"), exit_code=1)) == "failed"
    assert [job("x", status).is_finished for status in states] == [False, False, True, True, True]


def test_positions_count_waiting_sweeps_only():
    first, other, second = job("first", "PENDING"), job("other", "PENDING", is_sweep=False), job("second", "PENDING")
    jobs = [job("old", "SUCCEEDED"), job("runs", "RUNNING"), first, other, second]
    assert [sweep_queue.get_position(one, jobs) for one in (first, second, jobs[0], jobs[1])] == [1, 2, None, None]


def test_a_sweep_is_queued_while_others_use_all_drivers():
    own = job("own", "PENDING")
    for running, ahead, drivers, queued in [
        (0, 0, 1, False),
        (1, 0, 1, True),
        (1, 0, 2, False),
        (1, 1, 2, True),
        (0, 1, 1, True),
        (3, 3, 0, False),
    ]:
        others = [job(f"r{i}", "RUNNING") for i in range(running)] + [job(f"w{i}", "PENDING") for i in range(ahead)]
        assert sweep_queue.is_queued(own, [*others, own], drivers) is queued, (running, ahead, drivers)
        started = job("own", "RUNNING")
        assert not sweep_queue.is_queued(started, [*others, started], drivers)


def test_a_job_is_summarized():
    waiting = job("w", "PENDING")
    assert sweep_queue.summarize_job(waiting, [job("r", "RUNNING"), waiting]) == {
        "state": "waiting",
        "position": 1,
        "submitted": NOW,
        "ended": None,
        "task": "two_moons",
        "trials": 3,
    }


def test_the_name_of_another_job_is_refused():
    sweep_queue.check_sweep(job("x", "RUNNING"))
    with pytest.raises(BadInputError, match=r"^the cluster has a job 'x' that is not a sweep; use another name$"):
        sweep_queue.check_sweep(job("x", "RUNNING", is_sweep=False))
