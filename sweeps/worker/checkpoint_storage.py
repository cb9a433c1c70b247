"""Where cohorts keep their checkpoints: a folder that every machine sees, or an object store."""

import queue
import threading
import uuid
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from sweeps.errors import BadInputError, StoreError

PATIENCE_S = 30.0  # without credentials the libraries of S3 and GCS ask the network for some, for a minute to forever


def check_checkpoint_storage(where: str) -> None:
    """Writes a small object, reads it and deletes it, as this machine and this environment would a checkpoint.

    Args:
        where: A folder, or an address that pyarrow knows, such as s3://bucket/prefix or gs://bucket/prefix.

    Raises:
        BadInputError: If it is no such address, or holds credentials.
        StoreError: If it cannot be written, read and deleted from, or does not answer in time.
    """
    parts = urlsplit(where)
    if parts.username is not None or "secret" in parts.query:
        host = parts.hostname or ""
        raise BadInputError(
            f"checkpoints must be an address without credentials, got some for {parts.scheme}://{host}{parts.path};"
            " they come from the environment, the user's files or the machine's role"
        )
    answer: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
    # A thread, since pyarrow cannot be told to give up; one that is stuck ends with the process.
    threading.Thread(target=lambda: answer.put(_problem(where)), name="checkpoints", daemon=True).start()
    try:
        problem = answer.get(timeout=PATIENCE_S)
    except queue.Empty:
        raise StoreError(
            f"checkpoints at {where}: no answer for {PATIENCE_S:g} s; check address, network and credentials"
        ) from None
    if problem is not None:
        raise problem


def _problem(where: str) -> Exception | None:
    """What went wrong when a probe was written, read and deleted."""
    from pyarrow import ArrowException, fs

    try:
        system, folder = fs.FileSystem.from_uri(where)
    except (ArrowException, OSError) as error:
        return BadInputError(f"checkpoints must be a folder, s3://... or gs://..., got {where}: {_line(error)}")
    probe = str(PurePosixPath(folder) / f".probe-{uuid.uuid4().hex}")
    try:
        system.create_dir(folder)
        with system.open_output_stream(probe) as stream:
            stream.write(b"bimt")
        with system.open_input_stream(probe) as stream:
            read = stream.read()
        system.delete_file(probe)
    except (ArrowException, OSError) as error:
        return StoreError(f"checkpoints cannot be kept at {where}: {_line(error)}")
    if read != b"bimt":
        return StoreError(f"checkpoints cannot be kept at {where}: what is written is read as something else")
    return None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
