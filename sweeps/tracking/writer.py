"""The thread that brings what is in the spool to MLflow."""

import math
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from sweeps.tracking.reading import describe_error, is_refusal
from sweeps.tracking.run_writer import RunWriter, Target
from sweeps.tracking.spool import Record, Spool

PAUSE_S = 10.0  # between two rounds of writing, so that small records gather: a call costs as much as 40 values
REST, MAX_PAUSE_S = 20.0, 30.0  # after a longer round so many times its length, at most so long
MAX_BACKOFF_S = 30.0


class SpoolWriter:
    """Writes what is in a spool to MLflow, from a thread of its own.

    Args:
        target: The experiment.
        spool: The spool's folder.
    """

    def __init__(self, target: Target, spool: Path) -> None:
        self._target, self._spool = target, Spool(spool)
        self._writer: RunWriter | None = None
        self._no_answer: str | None = None
        self._set_aside: str | None = None
        self._wake, self._closing = threading.Event(), threading.Event()
        self._patience_s, self._answered = math.inf, time.monotonic()
        self._thread = threading.Thread(target=self._run, name="mlflow-writer", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Says that there is something to write; it would be found a little later anyway."""
        self._wake.set()

    @property
    def problem(self) -> str | None:
        """Why records wait, else why one was set aside; None while all is well."""
        return self._no_answer or self._set_aside

    def close(self, patience_s: float) -> None:
        """Writes what waits and ends the thread. Closing again does nothing.

        Args:
            patience_s: How long to wait for an MLflow that does not answer, or not any more.
        """
        if self._closing.is_set():
            return
        self._patience_s, self._answered = patience_s, time.monotonic()
        self._closing.set()
        self._wake.set()
        while self._thread.is_alive() and self._patience_left_s() > 0:
            self._thread.join(self._patience_left_s())
        if self._thread.is_alive():
            self._no_answer = self._no_answer or f"MLflow has not answered for {patience_s:g} s"
        self._patience_s = -math.inf  # a thread that is still in a call ends with it

    def _patience_left_s(self) -> float:
        return self._answered + self._patience_s - time.monotonic()

    def _run(self) -> None:
        backoff = 1.0
        while self._patience_left_s() > 0:
            self._wake.clear()
            closing = self._closing.is_set()  # then this round has all there is
            try:
                began = time.monotonic()
                self._write(self._spool.pending())
                pause_s = max(PAUSE_S, min(REST * (time.monotonic() - began), MAX_PAUSE_S))
                self._no_answer, backoff = None, 1.0
                if closing:
                    return
                if not self._spool.pending():
                    self._wake.wait(PAUSE_S)
                self._closing.wait(pause_s)
            except Exception as error:  # noqa: BLE001 (MLflow lets any library's error through; whatever it is, is told)
                self._no_answer = describe_error(error)
                if closing and is_refusal(error):
                    return  # asking again would not help
                self._wait(backoff)
                backoff = min(2 * backoff, MAX_BACKOFF_S)

    def _wait(self, seconds: float) -> None:
        """Waits until it is time to ask again; when closing, no longer than patience lasts."""
        if not self._closing.wait(seconds):
            return
        time.sleep(max(0.0, min(seconds, PAUSE_S, self._patience_left_s())))

    def _write(self, entries: Iterable[Path]) -> None:
        """Writes entries run by run; an entry is forgotten when all of its run's are written.

        A run that MLflow refuses waits, and the others are written all the same.
        """
        refusal: Exception | None = None
        for waiting in self._of_run(entries).values():
            self._writer = self._writer or RunWriter(self._target)
            try:
                self._writer.write([(record, self._spool.files(entry)) for entry, record in waiting])
            except Exception as error:
                if not is_refusal(error):
                    self._writer = None
                    raise
                refusal = error
                continue
            for entry, _ in waiting:
                self._spool.done(entry)
            self._answered = time.monotonic()
            if self._patience_left_s() <= 0:
                return
        if refusal is not None:
            raise refusal

    def _of_run(self, entries: Iterable[Path]) -> dict[str, list[tuple[Path, Record]]]:
        """Entries by the key of their run."""
        found: dict[str, list[tuple[Path, Record]]] = {}
        for entry in entries:
            record = self._spool.read(entry)
            if record is None:
                self._set_aside = f"a record could not be read and is kept in {self._spool.set_aside(entry)}"
            else:
                found.setdefault(record.key, []).append((entry, record))
        return found
