"""Ray Tune: cohorts as Tune trials, from the searcher that hands them out to the worker that trains them.

Everything travels as plain data, also exceptions: a cohort that raises returns the traceback and ends, and the
dispatcher then tries its members separately.
"""

import gc
import platform
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.search import Searcher

from bimt_core import Snapshot
from sweeps.cluster.ray_private import NO_CHECKPOINT, forget_last_result, open_checkpoint
from sweeps.spec.cohort import Cohort
from sweeps.spec.sweep import SweepSpec
from sweeps.store import join_path
from sweeps.worker.checkpoint import delete_folder, read_checkpoint, write_checkpoint
from sweeps.worker.cohort import Evaluation, run_cohort
from sweeps.worker.history import HistoryEntry

if TYPE_CHECKING:
    from sweeps.run.dispatch import Dispatcher  # not imported by workers

COHORT = "cohort_"  # prefix of folders


def run_tune(
    spec: SweepSpec,
    dispatcher: "Dispatcher",
    trainable: type["CohortTrainable"],
    *,
    folder: str,
    workers: int,
    time_budget_s: float | None,
) -> bool:
    """Trains cohorts until there are no more, the time is up, the user stops it, or workers must be freed.

    Args:
        spec: The sweep.
        dispatcher: Source of cohorts, and destination of their results.
        trainable: Trainable of a cohort.
        folder: Folder or address of checkpoints.
        workers: Cohorts at the same time.
        time_budget_s: Seconds until the run ends; None for no limit.

    Returns:
        Whether the run ended only to free workers for other sweeps, so that another run should follow.
    """
    name = time.strftime("%Y%m%dT%H%M%S-") + uuid.uuid4().hex[:6]
    background = ThreadPoolExecutor(1)

    def delete(path: str) -> None:
        """Deletes in the background; a failure is harmless, because the whole folder is deleted at the end."""
        background.submit(delete_folder, join_path(folder, f"{name}/{path}"))

    searcher = CohortSearcher(dispatcher, lambda cohort_id: delete(COHORT + cohort_id))
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": spec.resources.cpus, "gpu": spec.resources.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            max_concurrent_trials=workers,
            reuse_actors=True,
            time_budget_s=time_budget_s,
            trial_name_creator=_cohort_folder,
            trial_dirname_creator=_cohort_folder,
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=folder,
            failure_config=tune.FailureConfig(max_failures=1),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=1 if spec.evaluations > 1 else 0,  # nothing to keep before the only evaluation
                checkpoint_at_end=False,
            ),
            callbacks=[KeepLatest(delete)],
            verbose=0,
        ),
    )
    with background, _sigterm_as_ctrl_c():
        tuner.fit()
    return searcher.freed_workers and not dispatcher.n_training


class CohortSearcher(Searcher):
    """Ray Tune's searcher over a dispatcher: a Tune trial is a cohort.

    Args:
        dispatcher: Source of cohorts.
        delete: Called with the id of a cohort whose trials have all ended.

    Attributes:
        freed_workers: Whether the run ends because the sweep's share has shrunk below the number of its workers.
    """

    def __init__(self, dispatcher: "Dispatcher", delete: Callable[[str], object]) -> None:
        super().__init__()
        self._dispatcher, self._delete = dispatcher, delete
        self._most_training, self.freed_workers = 0, False

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED is text
        """Returns the next cohort; None while there is none, FINISHED if there will be none in this run.

        Tune keeps its workers for later cohorts. So if the share has shrunk below their number, the run ends, which
        frees them, and the driver starts another run.

        Args:
            trial_id: Tune's name for the cohort.
        """
        share = self._dispatcher.share()
        if share < self._most_training:
            self.freed_workers = True
            return Searcher.FINISHED
        if self._dispatcher.n_training >= share:
            return None
        if cohort := self._dispatcher.start(trial_id):
            self._most_training = max(self._most_training, self._dispatcher.n_training)
            return {"cohort": cohort.to_dict()}
        return None if self._dispatcher.n_training else Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Passes on an evaluation.

        Args:
            trial_id: The cohort.
            result: Result of `CohortTrainable.step`.
        """
        self._dispatcher.tell_evaluation(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Passes on the end of a cohort: trained, raised, lost with its worker, or stopped.

        Args:
            trial_id: The cohort.
            result: Last result of `CohortTrainable.step`.
            error: Whether the worker died.
        """
        if error or result is None:
            self._dispatcher.tell_loss(trial_id, "its worker process died")
        elif "error" in result:
            self._dispatcher.tell_loss(trial_id, result["error"], result["traceback"])
            self._delete(trial_id)
        elif result.get("done"):
            self._dispatcher.tell_end(trial_id, result)
            self._delete(trial_id)
        else:
            self._dispatcher.tell_stop(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Saves nothing: the study is the state, and a sweep resumes by being launched again.

        Args:
            checkpoint_path: Ignored.
        """

    def restore(self, checkpoint_path: str) -> None:
        """See `save`."""

    def __getstate__(self) -> dict[str, Any]:
        """Keeps the study out of the pickle of its searcher that Tune writes to the experiment's folder."""
        return {}


class CohortTrainable(tune.Trainable):
    """A cohort on its worker; a step trains up to the next evaluation."""

    def setup(self, config: dict[str, Any]) -> None:
        """Prepares a new worker process for its first cohort.

        Args:
            config: The cohort, as `CohortSearcher.suggest` returned it.
        """
        gc.freeze()  # imported modules; searching them for garbage was a tenth of the time to draw
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Replaces the cohort of a worker by the next one.

        Args:
            new_config: The cohort, as `CohortSearcher.suggest` returned it.
        """
        self._cohort = Cohort.from_dict(new_config["cohort"])
        self._snapshot: Snapshot | None = None
        self._history: tuple[HistoryEntry, ...] = ()
        self._evaluations: Iterator[Evaluation] | None = None
        self._checkpoint_problem: str | None = None
        self._refusals = self._skips = 0
        return True

    def step(self) -> dict[str, Any]:
        """Trains up to the next evaluation and returns it; see `evaluation_to_dict`."""
        try:
            if self._evaluations is None:
                if self._snapshot is None and (saved := self._cohort.saved) is not None:
                    with tune.Checkpoint(saved.uri).as_directory() as folder:
                        self._read(Path(folder), saved.members)
                self._evaluations = run_cohort(self._cohort, self._snapshot, self._history)
            evaluation = next(self._evaluations)
        except Exception as error:  # noqa: BLE001 (the dispatcher decides what to do about any error)
            reason = f"{type(error).__name__}: {error}"
            return {"error": reason, "traceback": traceback.format_exc(), "done": True}
        self._snapshot, self._history = evaluation.snapshot, evaluation.history
        return evaluation_to_dict(evaluation) | {"checkpoint_problem": self._checkpoint_problem}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Writes the state of training.

        Args:
            checkpoint_dir: Destination.
        """
        if self._snapshot is not None:
            members = {number: len(member.seeds) for number, member in self._cohort.members.items()}
            write_checkpoint(Path(checkpoint_dir), self._snapshot, self._history, members)

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Saves a checkpoint without the last result, which Ray would send again and keep.

        If the storage refuses the checkpoint, training continues and the next result says why. It is tried again after
        1, 3, 7, ... evaluations, since a storage may take a minute to refuse.

        Args:
            checkpoint_dir: Destination; None for a temporary folder, from which Ray uploads it.
        """
        forget_last_result(self)
        if self._skips > 0:
            self._skips -= 1
            return NO_CHECKPOINT
        with nullcontext(checkpoint_dir) if checkpoint_dir else TemporaryDirectory() as folder:
            try:
                saved = super().save(folder)
            except OSError as error:
                self._refusals += 1
                self._skips = 2**self._refusals - 1
                self._checkpoint_problem = " ".join(str(error).split())
                return NO_CHECKPOINT
        self._refusals, self._checkpoint_problem = 0, None
        return saved

    def restore(self, checkpoint_path: Any) -> None:
        """Continues after another process has died, without reading the pickled file that Ray's own method reads.

        Args:
            checkpoint_path: Ray's record of a checkpoint.
        """
        with open_checkpoint(checkpoint_path) as folder:
            self.load_checkpoint(folder)

    def load_checkpoint(self, checkpoint: str) -> None:  # type: ignore[override]  # the folder
        """Continues from a checkpoint that `save_checkpoint` wrote.

        Args:
            checkpoint: Folder.
        """
        self._read(Path(checkpoint))
        self._evaluations = None

    def _read(self, folder: Path, members: tuple[int, ...] | None = None) -> None:
        network, device = self._cohort.recipes[0].network, self._cohort.spec.device
        self._snapshot, self._history = read_checkpoint(folder, network, device, members)


class KeepLatest(tune.Callback):
    """Deletes all checkpoints of a cohort but its latest.

    Ray Tune's own `num_to_keep` saves the state of the whole sweep at each of them: half of the driver's work.

    Args:
        delete: Called with the path of a checkpoint in the folder of the launch.
    """

    def __init__(self, delete: Callable[[str], object]) -> None:
        self._delete = delete
        self._latest: dict[str, str] = {}

    def on_checkpoint(self, iteration: int, trials: Any, trial: Any, checkpoint: tune.Checkpoint, **info: Any) -> None:
        """See `tune.Callback`: deletes the cohort's checkpoint before this one."""
        cohort, name = str(checkpoint.path).rsplit("/", 2)[-2:]
        before = self._latest.get(cohort)
        self._latest[cohort] = name
        if before not in (None, name):
            self._delete(f"{cohort}/{before}")

    def __getstate__(self) -> dict[str, Any]:
        """Keeps everything out of the pickle of its callbacks that Tune writes to the launch's folder."""
        return {}


def evaluation_to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Returns an evaluation as the plain data that travel to the driver.

    Args:
        evaluation: Evaluation of a cohort.
    """
    return {
        "step": evaluation.snapshot.step,
        "metrics": list(evaluation.metrics),
        "row_stderr": list(evaluation.row_stderr),
        "failures": list(evaluation.failures.items()),
        "files": list(evaluation.files.items()),
        "seconds": list(evaluation.seconds.items()),
        "host": platform.node(),
        "device": str(evaluation.snapshot.population.flat.device.type),
        "done": evaluation.last,
    }


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Makes SIGTERM end Ray Tune in order, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # Ray starts its jobs with it blocked
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _cohort_folder(trial: Any) -> str:
    """Name of a cohort's folder; Tune's default contains all hyperparameters."""
    return f"{COHORT}{trial.trial_id}"
