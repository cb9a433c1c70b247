"""A sweep submitted to a cluster as a job: once, with all it needs, and with its driver's first answer."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import yaml

from sweeps.errors import BadInputError, ClusterError
from sweeps.service.jobs import Job, Jobs
from sweeps.service.queue import (
    NAME,
    SLOT,
    SPEC,
    VERSION,
    check_sweep,
    get_position,
    get_state,
    is_queued,
    select_sweeps,
)

if TYPE_CHECKING:
    from sweeps.spec.sweep import SweepSpec

SPEC_FILE = "sweep.yaml"
LARGEST_SPEC = 60_000  # bytes; all metadata and more of a job must fit into an environment variable of 128 KiB
START_PATIENCE_S = 300.0
POLL_S = 0.5
SETTLE_S = 3.0  # for a second after its end Ray looks after a job, and would take the next one of its name for dead
STOP_PATIENCE_S = 1800  # how long a driver that was told to stop may write checkpoints before Ray kills it
IN_A_TRACE = " |╰"  # how a line of a trace begins, but for its last ones
JOB_ENVIRONMENT = {
    "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_PATIENCE_S),
    "RAY_JOB_STOP_SIGNAL": "SIGINT",  # what Ray Tune ends in order on; of other jobs Ray blocks it
}


@dataclass(frozen=True)
class LaunchResult:
    """What a launch came to.

    Args:
        name: The sweep.
        state: "running", "waiting" in the queue, "complete" already, or "starting" where its driver takes long.
        new: Whether this launch submitted it; False if it was there already.
        position: Its place in the queue, from 1, if it waits.
    """

    name: str
    state: str
    new: bool
    position: int | None = None


def submit(jobs: Jobs, spec: "SweepSpec", working_dir: Path | None) -> LaunchResult:
    """Submits a sweep, once, and waits for its driver's first answer; see `SweepService.launch`."""
    check_portable(spec, working_dir)
    known = jobs.find(spec.name)
    if known is not None and not known.over:
        return _running_already(known, spec, jobs)
    if known is not None:
        check_sweep(known)
        time.sleep(SETTLE_S)
        jobs.forget(spec.name)
    launch_id = uuid.uuid4().hex[:12]
    with pack_folder(spec, working_dir) as folder:
        ours = jobs.submit(
            spec.name, make_entrypoint(launch_id), folder, metadata=make_metadata(spec), env=JOB_ENVIRONMENT, slot=SLOT
        )
    return _begun(jobs, spec.name, launch_id) if ours else _running_already(jobs.find(spec.name), spec, jobs)


def _running_already(job: Job | None, spec: "SweepSpec", jobs: Jobs) -> LaunchResult:
    """The launch of a name that somebody launched before."""
    if job is None:
        raise ClusterError(f"another client launched {spec.name!r} and took it back at the same moment")
    check_sweep(job)
    if different := find_differences(job.metadata, spec):
        raise BadInputError(
            f"sweep {spec.name!r} is {get_state(job)} with another spec: {'; '.join(different)}; stop it first, or use"
            " another name"
        )
    return LaunchResult(spec.name, get_state(job), new=False, position=get_position(job, jobs.all()))


def _begun(jobs: Jobs, name: str, launch_id: str) -> LaunchResult:
    """Waits for a sweep that was just submitted; its driver's refusal becomes ours."""
    slots, until = jobs.offered(SLOT), time.monotonic() + START_PATIENCE_S
    while time.monotonic() < until:
        sweeps = select_sweeps(jobs.all())
        job = next((job for job in sweeps if job.name == name), None)
        if job is None:
            break  # somebody deleted its record
        if is_queued(job, sweeps, slots):
            return LaunchResult(name, "waiting", new=True, position=get_position(job, sweeps))
        printed = printed_since(jobs.log(name), launch_id)
        if job.status == "SUCCEEDED" or started_line(name) in printed:
            return LaunchResult(name, get_state(job), new=True)
        if job.over:
            raise BadInputError(*extract_refusal(printed or job.message))
        time.sleep(POLL_S)
    return LaunchResult(name, "starting", new=True)


def own_version() -> str:
    """Of bimt-sweeps, as installed here."""
    return version("bimt-sweeps")


def make_metadata(spec: "SweepSpec") -> dict[str, str]:
    """What is kept with a sweep's job."""
    return {NAME: spec.name, VERSION: own_version(), SPEC: json.dumps(spec.model_dump(mode="json"))}


def make_entrypoint(launch_id: str) -> str:
    """What the cluster's head runs; the comment tells this launch's output from that of earlier ones."""
    return f"exec python -m sweeps.cli.main launch {SPEC_FILE} --client-version {own_version()}  {_mark(launch_id)}"


def check_portable(spec: "SweepSpec", working_dir: Path | None) -> None:
    """Refuses what cannot travel to a cluster.

    Raises:
        BadInputError: If the task is the user's own and no folder goes along, the folder is none, or the spec too long.
    """
    if ":" in spec.task and working_dir is None:
        raise BadInputError(
            f"task {spec.task!r} is your own, which the cluster does not have: add --working-dir with its folder, such"
            " as --working-dir ."
        )
    if working_dir is not None and not working_dir.is_dir():
        raise BadInputError(f"working_dir must be a folder, got {working_dir}")
    if (length := len(make_metadata(spec)[SPEC])) > LARGEST_SPEC:
        raise BadInputError(f"a spec must have at most {LARGEST_SPEC} bytes to travel to a cluster, got {length}")


@contextmanager
def pack_folder(spec: "SweepSpec", working_dir: Path | None) -> Iterator[Path]:
    """A folder with the spec beside the user's own files, to upload."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / SPEC_FILE).write_text(yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False))
        for path in working_dir.absolute().iterdir() if working_dir else ():
            if path.name != SPEC_FILE:
                (folder / path.name).symlink_to(path)
        yield folder


def find_differences(submitted: dict[str, str], spec: "SweepSpec") -> list[str]:
    """Where a spec differs from the one in a job's metadata."""
    before, now = json.loads(submitted[SPEC]), spec.model_dump(mode="json")
    return [f"{key} is {before.get(key)!r}, asked for {now[key]!r}" for key in now if now[key] != before.get(key)]


def printed_last(log: str) -> str:
    """What the latest launch's driver has printed."""
    return log.rpartition(_mark(""))[2].partition("\n")[2]


def printed_since(log: str, launch_id: str) -> str:
    """What a launch's driver has printed so far."""
    return log.partition(f"{_mark(launch_id)}\n")[2]


def started_line(name: str) -> str:
    """The line that a driver prints when nothing can refuse the sweep any more."""
    return f"Sweep {name} has begun"


def extract_refusal(printed: str) -> list[str]:
    """Why a driver ended: its own error lines, else what ends the trace of whatever went wrong before it."""
    lines = [line for line in printed.splitlines() if line.strip()]
    told = [line.removeprefix("bimt: ") for line in lines if line.startswith("bimt: ")]
    trace = max((i for i, line in enumerate(lines) if line[0] in IN_A_TRACE), default=len(lines) - 2)
    last = " ".join(lines[trace + 1 :])[:300]
    return told or [f"the driver ended: {last}" if last else "the driver ended and said nothing"]


def check_client(client: str) -> None:
    """Refuses, on the cluster, the sweep of a client with another version.

    Raises:
        BadInputError: If it has another version.
    """
    if client != own_version():
        raise BadInputError(
            f"bimt-sweeps must be the same on client and cluster: the client has {client}, the cluster {own_version()}"
        )


def _mark(launch_id: str) -> str:
    return f"# launch {launch_id}"
