"""A sweep as a job of a cluster: what travels there, and what its driver says first."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import yaml

from sweeps.errors import BadInputError

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec

NAME, VERSION, SPEC = "bimt.sweep", "bimt.version", "bimt.spec"  # metadata of a job
SPEC_FILE = "sweep.yaml"
LARGEST_SPEC = 60_000  # bytes; all metadata and more of a job must fit into an environment variable of 128 KiB
STOP_PATIENCE_S = 1800  # how long a driver that was told to stop may write checkpoints before Ray kills it
JOB_ENVIRONMENT = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_PATIENCE_S)}


def own_version() -> str:
    """Of bimt-sweeps, as installed here."""
    return version("bimt-sweeps")


def metadata(spec: "SweepSpec") -> dict[str, str]:
    """What is kept with a sweep's job."""
    return {NAME: spec.name, VERSION: own_version(), SPEC: json.dumps(spec.model_dump(mode="json"))}


def entrypoint(launch_id: str) -> str:
    """What the cluster's head runs; the comment tells this launch's output from that of earlier ones."""
    return f"exec python -m sweeps.cli launch {SPEC_FILE} --client-version {own_version()}  {_mark(launch_id)}"


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
    if (length := len(metadata(spec)[SPEC])) > LARGEST_SPEC:
        raise BadInputError(f"a spec must have at most {LARGEST_SPEC} bytes to travel to a cluster, got {length}")


@contextmanager
def packed(spec: "SweepSpec", working_dir: Path | None) -> Iterator[Path]:
    """A folder with the spec beside the user's own files, to upload."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / SPEC_FILE).write_text(yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False))
        for path in working_dir.absolute().iterdir() if working_dir else ():
            if path.name != SPEC_FILE:
                (folder / path.name).symlink_to(path)
        yield folder


def differences(submitted: dict[str, str], spec: "SweepSpec") -> list[str]:
    """Where a spec differs from the one in a job's metadata."""
    before, now = json.loads(submitted[SPEC]), spec.model_dump(mode="json")
    return [f"{key} is {before.get(key)!r}, asked for {now[key]!r}" for key in now if now[key] != before.get(key)]


def printed_last(log: str) -> str:
    """What the latest launch's driver has printed."""
    return log.rpartition(_mark(""))[2].partition("\n")[2]


def printed_since(log: str, launch_id: str) -> str:
    """What a launch's driver has printed so far."""
    return log.partition(_mark(launch_id))[2]


def begun(name: str) -> str:
    """The line that a driver prints when nothing can refuse the sweep any more."""
    return f"Sweep {name} has begun"


def refusal(printed: str) -> list[str]:
    """Why a driver ended: its own error lines, else the last line of whatever went wrong before it."""
    lines = [line for line in printed.splitlines() if line.strip()]
    told = [line.removeprefix("bimt: ") for line in lines if line.startswith("bimt: ")]
    return told or [f"the driver ended: {lines[-1].strip()[:300]}" if lines else "the driver ended and said nothing"]


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
