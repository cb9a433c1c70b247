"""MLflow as the driver sees it: a sweep's records go into a spool on disk, from where they are written.

Whatever is to be recorded is first a file in the spool, written whole or not at all, and is deleted only when MLflow
has it. So the sweep never waits for MLflow and never fails with it, and what a dead driver or an unreachable server
left behind is written by the next launch. Writing a record twice does no harm: runs are found by their key, metrics
keep their timestamps, artifacts are overwritten. An entry that cannot be read is set aside in the spool's folder
`unreadable`, and `Tracker.problem` says so.
"""

from pathlib import Path

from sweeps.tracking.process import WriterProcess
from sweeps.tracking.run_writer import Target
from sweeps.tracking.spool import Record, Spool
from sweeps.tracking.writer import SpoolWriter


class Tracker:
    """Takes records of one MLflow experiment and has them written.

    Args:
        target: The experiment.
        spool: The spool's folder.
        own_process: Whether they are written by a process of its own, which costs seconds at the start, or a thread.
    """

    def __init__(self, target: Target, spool: Path, *, own_process: bool = False) -> None:
        self._spool = Spool(spool)
        self._spool.tidy()
        self._lost: str | None = None
        self._writer = WriterProcess(target, spool) if own_process else SpoolWriter(target, spool)

    def record(self, record: Record) -> None:
        """Puts a record into the spool; MLflow has it a little later. Where even that fails, `problem` says so."""
        try:
            self._spool.add(record)
        except OSError as error:
            self._lost = f"a record of {record.name} cannot be written to {self._spool.folder}: {error.strerror}"
        self._writer.wake()

    @property
    def problem(self) -> str | None:
        """Why records wait, else why one was lost or set aside; None while all is well."""
        return self._writer.problem or self._lost

    @property
    def waiting(self) -> int:
        """Records that MLflow does not have yet."""
        return len(self._spool.pending())

    def close(self, patience_s: float = 60.0) -> int:
        """Has all that waits written. Closing again does nothing.

        Args:
            patience_s: How long to wait for an MLflow that does not answer, or not any more.

        Returns:
            Number of records that stay in the spool for the next launch.
        """
        self._writer.close(patience_s)
        return self.waiting
