"""The storage of checkpoints: a folder that every machine sees, or an object store."""

import queue
import threading
import uuid
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from sweeps.errors import BadInputError, StoreError

TIMEOUT_S = 30.0  # without credentials, the libraries of S3 and GCS look for some on the network for a minute or more


def check_checkpoint_storage(uri: str) -> None:
    """Checks that checkpoints can be kept, by writing, reading and deleting a small object from this machine.

    Args:
        uri: Folder, or address in pyarrow's form, such as s3://bucket/prefix or gs://bucket/prefix.

    Raises:
        BadInputError: If it is not such an address, or contains credentials.
        StoreError: If writing, reading or deleting fails or takes too long.
    """
    parts = urlsplit(uri)
    if parts.username is not None or "secret" in parts.query:
        host = parts.hostname or ""
        raise BadInputError(
            f"checkpoints must be an address without credentials, got some for {parts.scheme}://{host}{parts.path};"
            " credentials come from the environment, the user's files or the machine's role"
        )
    answer: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
    # In a thread, because pyarrow has no timeout; a thread that is stuck ends with the process.
    threading.Thread(target=lambda: answer.put(_find_problem(uri)), name="checkpoints", daemon=True).start()
    try:
        problem = answer.get(timeout=TIMEOUT_S)
    except queue.Empty:
        raise StoreError(
            f"checkpoints at {uri}: no answer for {TIMEOUT_S:g} s; check address, network and credentials"
        ) from None
    if problem is not None:
        raise problem


def _find_problem(uri: str) -> Exception | None:
    """Returns the error of writing, reading and deleting a probe, if any."""
    from pyarrow import ArrowException, fs

    try:
        system, folder = fs.FileSystem.from_uri(uri)
    except (ArrowException, OSError) as error:
        return BadInputError(f"checkpoints must be a folder, s3://... or gs://..., got {uri}: {_one_line(error)}")
    probe = str(PurePosixPath(folder) / f".probe-{uuid.uuid4().hex}")
    try:
        system.create_dir(folder)
        with system.open_output_stream(probe) as stream:
            stream.write(b"bimt")
        with system.open_input_stream(probe) as stream:
            read = stream.read()
        system.delete_file(probe)
    except (ArrowException, OSError) as error:
        return StoreError(f"checkpoints cannot be kept at {uri}: {_one_line(error)}")
    if read != b"bimt":
        return StoreError(f"checkpoints cannot be kept at {uri}: a file was read with another content than written")
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
