"""Submission of a sweep to a cluster as a job, and the first answer of its driver."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import yaml

from sweeps.errors import BadInputError, ClusterError
from sweeps.service.code_version import code_version
from sweeps.service.jobs import Job, Jobs
from sweeps.service.queue import (
    CONFIRM,
    DRIVER_RESOURCE,
    NAME,
    SPEC,
    VERSION,
    check_sweep,
    get_position,
    get_state,
    is_queued,
    select_sweeps,
)

if TYPE_CHECKING:
    from sweeps.run.agenda import ConfirmRequest
    from sweeps.spec.sweep import SweepSpec

SPEC_FILE = "sweep.yaml"
MAX_SPEC_BYTES = 60_000  # the whole job description must fit into an environment variable of 128 KiB
START_PATIENCE_S = 300.0
POLL_S = 0.5
SETTLE_S = 3.0  # Ray watches a job for a second after its end, and would take the next job of its name for dead
STOP_PATIENCE_S = 1800  # time to write checkpoints before Ray kills a driver that is being stopped
TRACEBACK_STARTS = " |╰"  # first characters of the lines of a traceback, except its last lines
JOB_ENVIRONMENT = {
    "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_PATIENCE_S),
    "RAY_JOB_STOP_SIGNAL": "SIGINT",  # Ray Tune ends in order on SIGINT; Ray blocks it in other jobs
}


@dataclass(frozen=True)
class LaunchResult:
    """Result of a launch on a cluster.

    Args:
        name: The sweep.
        state: "running", "waiting" in the queue, "complete" already, or "starting" if its driver takes long.
        new: Whether this launch submitted it; False if it was there already.
        position: Position in the queue, from 1; None if it does not wait.
    """

    name: str
    state: str
    new: bool
    position: int | None = None


def submit(
    jobs: Jobs, spec: "SweepSpec", working_dir: Path | None, request: "ConfirmRequest | None" = None
) -> LaunchResult:
    """Submits a sweep once and waits for its driver's first answer; see `SweepService.launch`.

    Args:
        jobs: The cluster.
        spec: The sweep.
        working_dir: Folder of the user's own task.
        request: Confirmation to do instead of the search; None for the whole sweep.

    Raises:
        BadInputError: If the cluster refuses the sweep.
        ClusterError: If the cluster does not answer.
    """
    check_portable(spec, working_dir)
    job = jobs.find(spec.name)
    if job is not None and not job.is_finished:
        return _describe_existing(job, spec, jobs, request)
    if job is not None:
        check_sweep(job)
        time.sleep(SETTLE_S)
        jobs.delete(spec.name)
    launch_id = uuid.uuid4().hex[:12]
    with pack_folder(spec, working_dir) as folder:
        is_new = jobs.submit(
            spec.name,
            make_entrypoint(launch_id, spec, request),
            folder,
            metadata=make_metadata(spec, request),
            env=JOB_ENVIRONMENT,
            resource=DRIVER_RESOURCE,
        )
    if is_new:
        return _wait_for_start(jobs, spec.name, launch_id)
    return _describe_existing(jobs.find(spec.name), spec, jobs, request)


def _describe_existing(
    job: Job | None, spec: "SweepSpec", jobs: Jobs, request: "ConfirmRequest | None"
) -> LaunchResult:
    """Returns the result for a sweep that was launched before."""
    if job is None:
        raise ClusterError(f"another client launched {spec.name!r} and removed it at the same time")
    check_sweep(job)
    if differences := find_differences(job.metadata, spec):
        raise BadInputError(
            f"sweep {spec.name!r} is {get_state(job)} with another spec: {'; '.join(differences)}; stop it first, or"
            " use another name"
        )
    asked, running = make_metadata(spec, request).get(CONFIRM), job.metadata.get(CONFIRM)
    if asked != running:
        work = "searches" if running is None else f"confirms its front ({running})"
        raise BadInputError(f"sweep {spec.name!r} is {get_state(job)} and {work}: wait for its end, or stop it first")
    return LaunchResult(spec.name, get_state(job), new=False, position=get_position(job, jobs.list_all()))


def _wait_for_start(jobs: Jobs, name: str, launch_id: str) -> LaunchResult:
    """Waits until a new job runs or is known to wait in the queue; raises the refusal of its driver."""
    drivers, deadline = jobs.count_resource(DRIVER_RESOURCE), time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline:
        sweeps = select_sweeps(jobs.list_all())
        job = next((job for job in sweeps if job.name == name), None)
        if job is None:
            break  # another client has deleted it
        if is_queued(job, sweeps, drivers):
            return LaunchResult(name, "waiting", new=True, position=get_position(job, sweeps))
        output = select_launch(jobs.read_log(name), launch_id)
        if job.status == "SUCCEEDED" or format_start(name) in output:
            return LaunchResult(name, get_state(job), new=True)
        if job.is_finished:
            raise BadInputError(*extract_refusal(output or job.message))
        time.sleep(POLL_S)
    return LaunchResult(name, "starting", new=True)


def make_metadata(spec: "SweepSpec", request: "ConfirmRequest | None" = None) -> dict[str, str]:
    """Returns the metadata of a sweep's job.

    Args:
        spec: The sweep.
        request: Confirmation to do instead of the search; None for the whole sweep.
    """
    metadata = {NAME: spec.name, VERSION: code_version(), SPEC: json.dumps(spec.model_dump(mode="json"))}
    return metadata if request is None else metadata | {CONFIRM: json.dumps(asdict(request))}


def make_entrypoint(launch_id: str, spec: "SweepSpec", request: "ConfirmRequest | None" = None) -> str:
    """Returns the command for the cluster's head; its comment separates the output of this launch from earlier ones.

    Args:
        launch_id: A random id.
        spec: The sweep.
        request: Confirmation to do instead of the search; None for the whole sweep.
    """
    command = f"launch {SPEC_FILE}"
    if request is not None:
        data = "" if request.data_seed is None else f" --data-seed {request.data_seed}"
        command = f"confirm {spec.name} --replicates {request.replicates}{data}"
    return f"exec python -m sweeps.cli {command} --client-version {code_version()}  {_mark(launch_id)}"


def check_portable(spec: "SweepSpec", working_dir: Path | None) -> None:
    """Refuses a sweep that cannot be sent to a cluster.

    Args:
        spec: The sweep.
        working_dir: Folder of the user's own task.

    Raises:
        BadInputError: If the task is the user's own but has no folder, the folder does not exist, or the spec is too
            long.
    """
    if ":" in spec.task and working_dir is None:
        raise BadInputError(
            f"task {spec.task!r} is your own, which the cluster does not have: add --working-dir with its folder, such"
            " as --working-dir ."
        )
    if working_dir is not None and not working_dir.is_dir():
        raise BadInputError(f"working_dir must be a folder, got {working_dir}")
    if (length := len(make_metadata(spec)[SPEC])) > MAX_SPEC_BYTES:
        raise BadInputError(f"a spec must have at most {MAX_SPEC_BYTES} bytes to run on a cluster, got {length}")


@contextmanager
def pack_folder(spec: "SweepSpec", working_dir: Path | None) -> Iterator[Path]:
    """Yields a temporary folder to upload: the spec, and links to the user's own files.

    Args:
        spec: The sweep.
        working_dir: Folder of the user's own task.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / SPEC_FILE).write_text(yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False))
        for path in working_dir.absolute().iterdir() if working_dir else ():
            if path.name != SPEC_FILE:
                (folder / path.name).symlink_to(path)
        yield folder


def find_differences(metadata: dict[str, str], spec: "SweepSpec") -> list[str]:
    """Lists the entries in which a spec differs from the spec of a job.

    Args:
        metadata: The job's metadata.
        spec: The other spec.
    """
    old, new = json.loads(metadata[SPEC]), spec.model_dump(mode="json")
    return [f"{key} is {old.get(key)!r}, asked for {new[key]!r}" for key in new if new[key] != old.get(key)]


def select_last_launch(log: str) -> str:
    """Returns the output of the latest launch.

    Args:
        log: Output of all launches of a sweep.
    """
    return log.rpartition(_mark(""))[2].partition("\n")[2]


def select_launch(log: str, launch_id: str) -> str:
    """Returns the output since the start of a launch.

    Args:
        log: Output of all launches of a sweep.
        launch_id: The launch.
    """
    return log.partition(f"{_mark(launch_id)}\n")[2]


def format_start(name: str) -> str:
    """Returns the line that a driver prints when nothing can refuse the sweep any more.

    Args:
        name: The sweep.
    """
    return f"Sweep {name} has started"


def extract_refusal(output: str) -> list[str]:
    """Extracts the reason why a driver ended: its own error lines, else the last lines after a traceback.

    Args:
        output: Output of the driver.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("bimt: ") for line in lines if line.startswith("bimt: ")]
    traceback = max((i for i, line in enumerate(lines) if line[0] in TRACEBACK_STARTS), default=len(lines) - 2)
    last = " ".join(lines[traceback + 1 :])[:300]
    return errors or [f"the driver ended: {last}" if last else "the driver ended without any output"]


def check_client(client_version: str) -> None:
    """Refuses, on the cluster, a sweep from a client with other code.

    Args:
        client_version: The client's `code_version`.

    Raises:
        BadInputError: If the code differs.
    """
    if client_version != code_version():
        raise BadInputError(
            "bimt-sweeps must run the same code on client and cluster:"
            f" the client has {client_version}, the cluster {code_version()}"
        )


def _mark(launch_id: str) -> str:
    return f"# launch {launch_id}"
