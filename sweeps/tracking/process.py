"""The same writing in a process of its own: it takes as much of a core as the driver, and Python threads share one.

The driver and its writer talk in lines: the first one says what to write and where, a second one that the driver is
done, and for how long MLflow may be silent. The writer answers with a line whenever its problem is another. If the
driver dies, its end of the pipe closes, and the writer ends at once: the next launch has its own.
"""

import dataclasses
import io
import json
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from sweeps.tracking.run_writer import Target
from sweeps.tracking.writer import SpoolWriter

LOOK_S = 0.5  # between two looks at the writer's problem


class WriterProcess:
    """A `SpoolWriter` in a process of its own.

    Args:
        target: The experiment.
        spool: The spool's folder.
    """

    def __init__(self, target: Target, spool: Path) -> None:
        self.problem: str | None = None
        self._closed = False
        command = [sys.executable, "-m", "sweeps.tracking.process"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say({"target": dataclasses.asdict(target), "spool": str(spool)})
        self._listener = threading.Thread(target=self._listen, name="mlflow-listener", daemon=True)
        self._listener.start()

    def wake(self) -> None:
        """Nothing: it looks by itself."""

    def close(self, patience_s: float) -> None:
        """Has it write what waits, and end; see `SpoolWriter.close`."""
        if self._closed:
            return
        self._closed = True
        self._say({"patience_s": patience_s})
        self._listener.join()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def _say(self, what: dict[str, object]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it is gone, and the listener says so

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.problem = json.loads(line)["problem"]
        if (code := self._process.wait()) != 0:
            self.problem = f"the process that writes to MLflow ended with {code}"


def main() -> None:
    """The process: writes until it is told to end, or its driver is gone."""
    os.nice(10)  # training has the cores first
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which then says what to do
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    orders = io.FileIO(sys.stdin.fileno(), closefd=False)  # select would not see what a buffer holds
    job = json.loads(orders.readline())
    writer, told = SpoolWriter(Target(**job["target"]), Path(job["spool"])), None
    while True:
        ready, _, _ = select.select([orders], [], [], LOOK_S)
        order = orders.readline() if ready else None
        if order == b"":
            os._exit(0)  # whatever it is in the middle of: writing it again does no harm
        if order is not None:
            writer.close(json.loads(order)["patience_s"])
        if writer.problem != told:
            told = writer.problem
            print(json.dumps({"problem": told}), file=answers, flush=True)
        if order is not None:
            os._exit(0)  # a thread that is still in a call ends with the process


if __name__ == "__main__":
    main()
