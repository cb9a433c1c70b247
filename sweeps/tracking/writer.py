"""The writer: a process that brings the records of a spool to MLflow.

It is a process because it needs about as much of a core as the driver, and Python threads share one. Driver and writer
exchange lines of JSON. The driver sends two: first {"target": ..., "spool": ...}, and at the end {"patience_s": ...}.
The writer sends {"problem": ...} whenever its problem changes. If the driver dies, its end of the pipe closes and the
writer exits at once.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from sweeps.tracking.reading import describe_error, is_refusal
from sweeps.tracking.record import Record
from sweeps.tracking.run_writer import RunWriter, Target
from sweeps.tracking.spool import Entry, Spool

PAUSE_S = 20.0  # between rounds, so that small records gather: an MLflow call costs as much as 40 values
REST, MAX_PAUSE_S = 20.0, 40.0  # the pause after a long round is REST times its length
MAX_BACKOFF_S, CLOSING_BACKOFF_S = 30.0, 10.0  # longest pauses after failed rounds
STDOUT = 1


class SpoolWriter:
    """Writes the records of a spool to MLflow, one round at a time.

    Args:
        target: The experiment.
        spool: The spool's folder.

    Attributes:
        failure: Why the last round failed; None if it did not.
        refused: Whether it failed because MLflow refused a record, which it would do again.
        answered: Time of MLflow's last answer, by the monotonic clock.
    """

    def __init__(self, target: Target, spool: Path) -> None:
        self._target, self._spool = target, Spool(spool)
        self._runs: RunWriter | None = None
        self._unreadable: str | None = None
        self._backoff_s = 1.0
        self.failure: str | None = None
        self.refused, self.answered = False, time.monotonic()

    @property
    def problem(self) -> str | None:
        """Why records wait, else why one was set aside; None if all is well."""
        return self.failure or self._unreadable

    def write_round(self) -> float:
        """Writes every record that waits and returns the seconds to pause; MLflow's error becomes the `failure`."""
        began = time.monotonic()
        try:
            self._write_runs()
        except Exception as error:  # noqa: BLE001 (MLflow raises whatever its libraries raise)
            self.failure, self.refused = describe_error(error), is_refusal(error)
            pause_s, self._backoff_s = self._backoff_s, min(2 * self._backoff_s, MAX_BACKOFF_S)
            return pause_s
        self.failure, self.refused, self._backoff_s = None, False, 1.0
        return max(PAUSE_S, min(REST * (time.monotonic() - began), MAX_PAUSE_S))

    def _write_runs(self) -> None:
        """Writes run by run; the records of a run that MLflow refuses wait, and the other runs are written."""
        refusal: Exception | None = None
        for waiting in self._read_by_run().values():
            self._runs = self._runs or RunWriter(self._target)
            try:
                self._runs.write([(record, entry.files) for entry, record in waiting])
            except Exception as error:
                if not is_refusal(error):
                    self._runs = None
                    raise
                refusal = error
                continue
            for entry, _ in waiting:
                entry.remove()
            self.answered = time.monotonic()
        if refusal is not None:
            raise refusal

    def _read_by_run(self) -> dict[str, list[tuple[Entry, Record]]]:
        """Entries with their records, by the key of their run."""
        runs: dict[str, list[tuple[Entry, Record]]] = {}
        for entry in self._spool.entries():
            record = entry.read()
            if record is None:
                self._unreadable = f"a record could not be read and is kept in {entry.set_aside()}"
            else:
                runs.setdefault(record.key, []).append((entry, record))
        return runs


def write_until_closed(writer: SpoolWriter, closing: threading.Event) -> Iterator[str | None]:
    """Writes round by round until `closing` is set and all records are written or refused.

    Yields the writer's problem after each round.

    Args:
        writer: Writes one round.
        closing: Set when the spool gets no more records.
    """
    while True:
        closed = closing.is_set()  # then this round sees every record
        pause_s = writer.write_round()
        yield writer.problem
        if closed and (writer.failure is None or writer.refused):
            return
        if closed:
            time.sleep(min(pause_s, CLOSING_BACKOFF_S))
        else:
            closing.wait(pause_s)


def drain(target: Target, spool: Path) -> str | None:
    """Writes all records of a spool in this process, without the seconds that the writer's process takes to start.

    Returns why some records wait or were set aside; None if MLflow has all.

    Args:
        target: The experiment.
        spool: The spool's folder.
    """
    writer = SpoolWriter(target, spool)
    writer.write_round()
    return writer.problem


def main() -> None:
    """Runs the process until the driver closes it or dies."""
    os.nice(10)  # training has the cores first
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which then closes the writer
    sys.stdout = sys.stderr  # libraries may print; standard output is for the driver
    job = json.loads(sys.stdin.readline())
    writer, closing = SpoolWriter(Target(**job["target"]), Path(job["spool"])), threading.Event()
    threading.Thread(target=_follow_driver, args=(writer, closing), daemon=True).start()
    sent = None
    for problem in write_until_closed(writer, closing):
        if problem != sent:
            sent = problem
            _send_problem(problem)
    os._exit(0)


def _follow_driver(writer: SpoolWriter, closing: threading.Event) -> None:
    """Ends the process when the driver dies, or when MLflow has not answered for as long as the driver allows."""
    line = sys.stdin.readline()
    if not line:
        os._exit(0)  # even in the middle of a record: writing it again does no harm
    patience_s = json.loads(line)["patience_s"]
    writer.answered = time.monotonic()
    closing.set()
    while (left_s := writer.answered + patience_s - time.monotonic()) > 0:
        time.sleep(left_s)
    _send_problem(writer.problem or f"MLflow has not answered for {patience_s:g} s")
    os._exit(0)


def _send_problem(problem: str | None) -> None:
    os.write(STDOUT, (json.dumps({"problem": problem}) + "\n").encode())  # one call, so that threads cannot interleave


if __name__ == "__main__":
    main()
