"""Ray Tune's view of a cohort, on a worker and in the driver.

Everything goes in and out as plain data, an exception too: a cohort that raises reports the traceback and ends, and the
driver runs its members apart.
"""

import gc
import platform
import traceback
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from ray import tune

from bimt_core import Snapshot
from sweeps.spec.recipe import recipe
from sweeps.worker.checkpoint import SavedCheckpoint, read_checkpoint, write_checkpoint
from sweeps.worker.cohort import CohortSpec, Evaluation, run_cohort
from sweeps.worker.history import HistoryEntry

NO_CHECKPOINT = SimpleNamespace(checkpoint=None)  # for Ray


class CohortTrainable(tune.Trainable):
    """A cohort on its worker: a step is a report."""

    def setup(self, config: dict[str, Any]) -> None:
        """Ray calls this when a worker process takes its first cohort."""
        gc.freeze()  # what was imported; looking through it for garbage was a tenth of drawing
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Ray calls this when the process takes its next cohort; nothing is left of the one before."""
        self._spec = CohortSpec.from_dict(new_config["cohort"])
        self._snapshot: Snapshot | None = None
        self._history: tuple[HistoryEntry, ...] = ()
        self._evaluations: Iterator[Evaluation] | None = None
        self._unsaved: str | None = None
        self._refusals = self._rest = 0
        return True

    def step(self) -> dict[str, Any]:
        """Trains up to the next report; see `evaluation_to_dict`. With it goes why the last checkpoint was not kept, if so."""
        try:
            if self._evaluations is None:
                if self._snapshot is None and self._spec.left is not None:
                    self._read_left(self._spec.left)
                self._evaluations = run_cohort(self._spec, self._snapshot, self._history)
            report = next(self._evaluations)
        except Exception as error:  # noqa: BLE001 (whatever it is, the driver is told and decides)
            reason = f"{type(error).__name__}: {error}"
            return {"error": reason, "traceback": traceback.format_exc(), "done": True}
        self._snapshot, self._history = report.snapshot, report.history
        return evaluation_to_dict(report) | {"unsaved": self._unsaved}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Writes the last snapshot and what came before it."""
        if self._snapshot is not None:
            numbers = [member.number for member in self._spec.members]
            write_checkpoint(Path(checkpoint_dir), self._snapshot, self._history, numbers)

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Ray calls this after a report; with the checkpoint it would send the report once more, and keep it.

        A checkpoint that its place does not take is told with the next report, and training goes on. It is tried again
        after 1, 3, 7, ... reports, since a place may need a minute to refuse.
        """
        self._last_result = None
        if self._rest > 0:
            self._rest -= 1
            return NO_CHECKPOINT
        with nullcontext(checkpoint_dir) if checkpoint_dir else TemporaryDirectory() as folder:
            try:
                saved = super().save(folder)
            except OSError as error:
                self._refusals += 1
                self._rest = 2**self._refusals - 1
                self._unsaved = " ".join(str(error).split())
                return NO_CHECKPOINT
        self._refusals, self._unsaved = 0, None
        return saved

    def restore(self, checkpoint_path: Any) -> None:
        """Ray calls this before `step` where another process has died; in Ray's own a pickled file would be read.

        Args:
            checkpoint_path: Ray's record of a checkpoint.
        """
        with checkpoint_path.checkpoint.as_directory() as folder:
            self.load_checkpoint(folder)

    def load_checkpoint(self, checkpoint: str) -> None:  # type: ignore[override]  # the folder
        """Goes on from a checkpoint that `save_checkpoint` wrote, in this process or another."""
        self._read(Path(checkpoint))
        self._evaluations = None

    def _read_left(self, left: SavedCheckpoint) -> None:
        with tune.Checkpoint(left.uri).as_directory() as folder:
            self._read(Path(folder), left.members)

    def _read(self, folder: Path, members: tuple[int, ...] | None = None) -> None:
        network = recipe(self._spec.load_task(), self._spec.members[0].params).network
        self._snapshot, self._history = read_checkpoint(folder, network, self._spec.device, members)


class KeepLast(tune.Callback):
    """Has all checkpoints of a cohort deleted but its last.

    Ray Tune's own `num_to_keep` saves the state of the whole sweep at each of them: half of what the driver did.

    Args:
        drop: Called with the path of a checkpoint, below the folder of the launch.
    """

    def __init__(self, drop: Callable[[str], object]) -> None:
        self._drop = drop
        self._last: dict[str, str] = {}

    def on_checkpoint(self, iteration: int, trials: Any, trial: Any, checkpoint: tune.Checkpoint, **info: Any) -> None:
        """Ray calls this when a cohort has written a checkpoint."""
        cohort, name = str(checkpoint.path).rsplit("/", 2)[-2:]
        before = self._last.get(cohort)
        self._last[cohort] = name
        if before not in (None, name):
            self._drop(f"{cohort}/{before}")

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks into the folder of the launch; nothing of ours goes there."""
        return {}


def evaluation_to_dict(report: Evaluation) -> dict[str, Any]:
    """A report as the plain data that travels to the driver."""
    return {
        "step": report.snapshot.step,
        "figures": list(report.figures),
        "failures": list(report.failures.items()),
        "files": list(report.files.items()),
        "seconds": list(report.seconds.items()),
        "host": platform.node(),
        "device": str(report.snapshot.population.flat.device.type),
        "done": report.last,
    }
