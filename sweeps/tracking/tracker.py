"""The driver's side of tracking: a spool on disk and the process that writes it to MLflow."""

import dataclasses
import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweeps.tracking.record import Record
from sweeps.tracking.run_writer import Target
from sweeps.tracking.spool import Spool


class Tracker:
    """Takes records of one MLflow experiment and has them written by a process (see `sweeps.tracking.writer`).

    Args:
        target: The experiment.
        spool: The spool's folder.
    """

    def __init__(self, target: Target, spool: Path) -> None:
        self._spool = Spool(spool)
        self._spool.remove_leftovers()
        self._lost: str | None = None
        self._problem: str | None = None
        self._closed = False
        command = [sys.executable, "-m", "sweeps.tracking.writer"]
        self._writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._send({"target": dataclasses.asdict(target), "spool": str(spool)})
        self._listener = threading.Thread(target=self._listen, name="mlflow-listener", daemon=True)
        self._listener.start()

    def record(self, record: Record) -> None:
        """Puts a record into the spool; MLflow has it some seconds later. If even that fails, `problem` says so.

        Args:
            record: The record.
        """
        try:
            self._spool.add(record)
        except OSError as error:
            self._lost = f"a record of {record.name} cannot be written to {self._spool.folder}: {error.strerror}"

    @property
    def problem(self) -> str | None:
        """Why records wait, else why one was lost or set aside; None if all is well."""
        return self._problem or self._lost

    @property
    def waiting(self) -> int:
        """Number of records that MLflow does not have yet."""
        return len(self._spool.entries())

    def close(self, patience_s: float = 60.0) -> int:
        """Has all records written, ends the process, and returns the number that stay for the next launch.

        Closing again only counts them.

        Args:
            patience_s: Time to wait for an MLflow that does not answer.
        """
        if not self._closed:
            self._closed = True
            self._send({"patience_s": patience_s})
            self._listener.join()
            assert self._writer.stdin is not None
            with suppress(BrokenPipeError):
                self._writer.stdin.close()
        return self.waiting

    def _send(self, message: dict[str, Any]) -> None:
        assert self._writer.stdin is not None
        with suppress(BrokenPipeError):  # the process has ended, which the listener notices
            self._writer.stdin.write(json.dumps(message) + "\n")
            self._writer.stdin.flush()

    def _listen(self) -> None:
        assert self._writer.stdout is not None
        with self._writer.stdout as lines:
            for line in lines:
                self._problem = json.loads(line)["problem"]
        if (code := self._writer.wait()) != 0:
            self._problem = f"the process that writes to MLflow ended with {code}"
