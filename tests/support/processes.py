"""Ports and processes of tests that start real servers."""

import signal
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from subprocess import Popen
from typing import Any

import psutil


def find_free_port() -> int:
    """Returns a port of 127.0.0.1 on which no process listens."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 120.0) -> Any:
    """Waits until a condition is true, and returns its value."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain for {what}"
        time.sleep(0.1)
    return value


def kill_family(process: "Popen[Any]") -> None:
    """Kills a process and everything that it started."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.wait()
