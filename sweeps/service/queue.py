"""The sweeps among a cluster's jobs: their states, and who waits behind whom."""

import json
from typing import Any

from sweeps.errors import BadInputError
from sweeps.service.jobs import Job

SLOT = "bimt_driver"  # a resource of the head: sweeps at once; more of them wait
NAME, VERSION, SPEC = "bimt.sweep", "bimt.version", "bimt.spec"  # metadata of a sweep's job
INCOMPLETE = 3  # a driver's exit code where its sweep ended in order but lacks trials: its time was up, or it gave up
STATES = {"PENDING": "waiting", "RUNNING": "running", "STOPPED": "stopped", "FAILED": "failed", "SUCCEEDED": "complete"}


def select_sweeps(jobs: list[Job]) -> list[Job]:
    """The jobs that are sweeps."""
    return [job for job in jobs if NAME in job.metadata]


def check_sweep(job: Job) -> None:
    """Refuses a name that something else has.

    Raises:
        BadInputError: If the job is no sweep.
    """
    if NAME not in job.metadata:
        raise BadInputError(f"the cluster has a job {job.name!r} that is no sweep; use another name")


def get_state(job: Job) -> str:
    """ "waiting", "running", "complete", "incomplete", "stopped" (also while it waited), "failed" or "killed"."""
    if job.killed:
        return "killed" if job.placed else "stopped"
    if job.exit_code == INCOMPLETE:
        return "incomplete"
    return STATES[job.status]


def get_position(job: Job, jobs: list[Job]) -> int | None:
    """Place in the queue, from 1; None if it does not wait."""
    waiting = [other.name for other in select_sweeps(jobs) if other.status == "PENDING"]
    return waiting.index(job.name) + 1 if job.name in waiting else None


def is_queued(job: Job, jobs: list[Job], slots: int) -> bool:
    """Whether a sweep waits for others to end, rather than for its own start."""
    place, running = get_position(job, jobs), sum(other.placed and not other.over for other in select_sweeps(jobs))
    return place is not None and 0 < slots < running + place


def summarize_job(job: Job, jobs: list[Job]) -> dict[str, Any]:
    """What is known of a sweep without its study."""
    spec = json.loads(job.metadata[SPEC])
    return {
        "state": get_state(job),
        "position": get_position(job, jobs),
        "submitted": job.submitted,
        "ended": job.ended,
        "task": spec["task"],
        "trials": spec["trials"],
    }
