"""Ownership of a sweep: one driver at a time, and the process that it is."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from socket import gethostname

from filelock import FileLock, Timeout

from sweeps.errors import BadInputError
from sweeps.store import Store


@contextmanager
def hold_driver_lock(store: Store, name: str) -> Iterator[None]:
    """Holds the lock of a sweep; the system frees it when the process ends, however it ends.

    Args:
        store: Store of the sweep.
        name: The sweep.

    Raises:
        BadInputError: If another driver runs the sweep.
    """
    lock = FileLock(store.work_folder(name) / "driver.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BadInputError(
            f"sweep {name!r} is already running from this store; watch it with: bimt status {name}"
        ) from None
    owner = store.work_folder(name) / "driver.json"
    owner.write_text(json.dumps({"host": gethostname(), "pid": os.getpid()}))
    try:
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def find_driver(store: Store, name: str) -> int | None:
    """Returns the process id of the driver that runs a sweep from a store; None if none does.

    Args:
        store: Store of the sweep.
        name: The sweep.

    Raises:
        BadInputError: If the driver runs on another machine, which shares the folder.
    """
    lock, file = store.work_folder(name) / "driver.lock", store.work_folder(name) / "driver.json"
    if not file.exists():
        return None
    try:
        with FileLock(lock).acquire(timeout=0):
            return None  # a driver that was killed left the file behind
    except Timeout:
        owner = json.loads(file.read_text())
    if owner["host"] != gethostname():
        raise BadInputError(f"sweep {name!r} runs on {owner['host']}; stop it there")
    return int(owner["pid"])
