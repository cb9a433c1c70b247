"""The sweeps among a cluster's jobs: their states, and their order in the queue."""

import json
from typing import Any

from sweeps.errors import BadInputError
from sweeps.service.jobs import Job

DRIVER_RESOURCE = "bimt_driver"  # a resource of the head: the number of sweeps at once; further sweeps wait
NAME, VERSION, SPEC = "bimt.sweep", "bimt.version", "bimt.spec"  # metadata of a sweep's job
CONFIRM = "bimt.confirm"  # metadata of a job that only confirms the sweep's front
INCOMPLETE = 3  # exit code of a driver whose sweep ended in order but lacks trials: out of time, or too many failures
STATES = {"PENDING": "waiting", "RUNNING": "running", "STOPPED": "stopped", "FAILED": "failed", "SUCCEEDED": "complete"}


def select_sweeps(jobs: list[Job]) -> list[Job]:
    """Returns the jobs that are sweeps.

    Args:
        jobs: All jobs of a cluster.
    """
    return [job for job in jobs if NAME in job.metadata]


def check_sweep(job: Job) -> None:
    """Refuses a name that another kind of job has.

    Args:
        job: The job of that name.

    Raises:
        BadInputError: If the job is not a sweep.
    """
    if NAME not in job.metadata:
        raise BadInputError(f"the cluster has a job {job.name!r} that is not a sweep; use another name")


def get_state(job: Job) -> str:
    """Returns the state of a sweep.

    Args:
        job: The sweep's job.

    Returns:
        "waiting", "running", "complete", "incomplete", "stopped" (also while it waited), "failed" or "killed".
    """
    if job.was_killed:
        return "killed" if job.has_node else "stopped"
    return "incomplete" if job.exit_code == INCOMPLETE else STATES[job.status]


def get_position(job: Job, jobs: list[Job]) -> int | None:
    """Returns the position in the queue, from 1; None if the sweep does not wait.

    Args:
        job: The sweep's job.
        jobs: All jobs of the cluster.
    """
    waiting = [other.name for other in select_sweeps(jobs) if other.status == "PENDING"]
    return waiting.index(job.name) + 1 if job.name in waiting else None


def is_queued(job: Job, jobs: list[Job], drivers: int) -> bool:
    """Returns whether a sweep waits for another one to end, and not only for its own start.

    Args:
        job: The sweep's job.
        jobs: All jobs of the cluster.
        drivers: Drivers that the cluster runs at once; 0 for any number.
    """
    position = get_position(job, jobs)
    running = sum(other.has_node and not other.is_finished for other in select_sweeps(jobs))
    return position is not None and 0 < drivers < running + position


def summarize_job(job: Job, jobs: list[Job]) -> dict[str, Any]:
    """Returns what is known of a sweep without its study.

    Args:
        job: The sweep's job.
        jobs: All jobs of the cluster.
    """
    spec = json.loads(job.metadata[SPEC])
    return {
        "state": get_state(job),
        "position": get_position(job, jobs),
        "submitted": job.submitted_at,
        "ended": job.ended_at,
        "task": spec["task"],
        "trials": spec["trials"],
    }
