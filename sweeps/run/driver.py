"""The driver: one process that runs a sweep, from the ledger through Ray Tune to MLflow."""

import gc
import math
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sweeps.cli.progress import Watcher
from sweeps.cluster.capacity import check_memory, count_slots, measure_cohort_size, should_compile
from sweeps.cluster.connection import connect_cluster, connect_ray
from sweeps.cluster.resources import ClusterResources, has_several_machines
from sweeps.cluster.sharing import claim_share
from sweeps.errors import BadInputError
from sweeps.run.finish import draw_front, mark_front, record_report
from sweeps.run.searcher import CohortSearcher
from sweeps.run.state import Summary
from sweeps.run.trainable import CohortTrainable, KeepLast
from sweeps.spec.sweep import SweepSpec
from sweeps.store import Store, join_path
from sweeps.study.study import SweepStudy
from sweeps.tracking import records
from sweeps.tracking.run_writer import Target
from sweeps.tracking.tracker import Tracker
from sweeps.worker.checkpoint import delete_folder, find_checkpoints
from sweeps.worker.checkpoint_storage import check_checkpoint_storage

COHORT = "cohort_"  # begins the names of folders
NO_ANSWER_PATIENCE_S = 20.0  # how long the end of a sweep waits for an MLflow that does not answer


def launch(
    spec: SweepSpec,
    store: Store | None = None,
    *,
    watch: Watcher = lambda _: nullcontext(),
    trainable: type[CohortTrainable] = CohortTrainable,
) -> Summary:
    """Runs a sweep until the asked number of trials is complete, or goes on with it.

    Args:
        spec: The sweep. Launching again under the same name continues; `trials` may be raised, nothing else changed.
        store: Where it is kept; None for `Store.resolve()`.
        watch: Shows progress while the context it returns is open.
        trainable: What trains a cohort; another one stands in for it in tests and benchmarks of the driver.

    Returns:
        How it ended.

    Raises:
        BadInputError: Before anything starts, if the spec asks for something that cannot be.
        ClusterError: If the cluster that RAY_ADDRESS names cannot be joined.
        StoreError: If the study's storage does not open.
    """
    store = store or Store.resolve()
    with connect_cluster() as offer:
        room = count_slots(spec, offer)
        workers = min(room, spec.concurrent_cohorts or room)
        if offer is None:
            check_memory(spec, workers)
        _check_checkpoints(store, offer)
        store.prepare(spec.name)
        with store.only_driver(spec.name):
            study = SweepStudy.launch(store, spec)
            artifacts = None if store.tracking_uri else str(store.artifacts)
            target = Target(store.mlflow_uri, spec.name, artifacts, records.describe_sweep(spec))
            tracker = Tracker(target, store.work_folder(spec.name) / "spool", own_process=True)
            share = nullcontext(lambda: workers) if offer is None else claim_share(spec.name, room, workers)
            gc.freeze()  # what is there already; looking through it for garbage is a tenth of drawing the front
            try:
                tracker.record(records.describe_sweep_start(spec, study.sweep_id))
                _interrupt_running(study, tracker, "its driver died")
                left = find_checkpoints(store.checkpoint_folder(spec.name))
                search = CohortSearcher(study, tracker, compiled=should_compile(spec, workers), left=left)
                return _Launch(store, study, tracker, search, workers, trainable).run(watch, share)
            finally:
                gc.unfreeze()
                tracker.close(NO_ANSWER_PATIENCE_S)


class _Launch:
    """One launch of a sweep; nothing else runs the sweep meanwhile.

    Args:
        store: Where the sweep is kept.
        ledger: Its study.
        tracker: Where runs are recorded.
        search: What Ray Tune asks for cohorts.
        workers: Cohorts at once.
        trainable: What trains a cohort.
    """

    def __init__(
        self,
        store: Store,
        study: SweepStudy,
        tracker: Tracker,
        search: CohortSearcher,
        workers: int,
        trainable: type[CohortTrainable],
    ) -> None:
        self._store, self._study, self._tracker, self._search = store, study, tracker, search
        self._spec, self._workers, self._trainable = study.spec, workers, trainable
        self._wall_s, self._stopped = 0.0, False

    def run(self, watch: Watcher, share: AbstractContextManager[Callable[[], int]]) -> Summary:
        """Trains what is missing, and tells how the sweep stands.

        Args:
            watch: Shows progress while the context it returns is open.
            share: Opened while training; says how many cohorts the sweep may have out.
        """
        before = self._search.status().complete
        try:
            if before < self._spec.trials:
                self._train(watch, share)
        finally:
            self._close_runs(before)
        return self._summary()

    def _train(self, watch: Watcher, share: AbstractContextManager[Callable[[], int]]) -> None:
        """Trains trials until there are enough, then draws the front's pictures."""
        started = time.monotonic()
        with watch(self._search.status), connect_ray(), share as self._search.share:
            try:
                if self._spec.cohort_size == "auto":
                    self._search.cohort_size = measure_cohort_size(self._spec, self._workers)
                self._stopped = self._tune_until_done()
                if not self._stopped:
                    drawn_s = draw_front(self._study, self._tracker, self._search.histories)
                    self._search.clock.add([("drawing", self._workers * drawn_s)])  # meanwhile all workers wait
            finally:
                self._wall_s = time.monotonic() - started

    def _tune_until_done(self) -> bool:
        """Runs Ray Tune, again where it ended only to give workers to others; returns whether somebody stopped it."""
        budget_s = self._spec.time_budget_s
        ends = math.inf if budget_s is None else time.monotonic() + budget_s
        while (left_s := ends - time.monotonic()) > 0:
            self._tune(None if left_s == math.inf else left_s)
            if not self._search.goes_on():
                break
        return self._search.status().running > 0 and time.monotonic() < ends

    def _tune(self, time_budget_s: float | None) -> None:
        from ray import tune

        spec, name = self._spec, time.strftime("%Y%m%dT%H%M%S-") + uuid.uuid4().hex[:6]
        folder = self._store.checkpoint_folder(spec.name)
        background = ThreadPoolExecutor(1)  # what it fails to delete goes with the whole folder

        def drop(path: str) -> None:
            background.submit(delete_folder, join_path(folder, f"{name}/{path}"))

        tuner = tune.Tuner(
            tune.with_resources(self._trainable, {"cpu": spec.resources.cpus, "gpu": spec.resources.gpus}),
            tune_config=tune.TuneConfig(
                search_alg=self._search,
                num_samples=-1,
                max_concurrent_trials=self._workers,
                reuse_actors=True,
                time_budget_s=time_budget_s,
                trial_name_creator=_cohort_name,
                trial_dirname_creator=_cohort_name,
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=folder,
                failure_config=tune.FailureConfig(max_failures=1),
                checkpoint_config=tune.CheckpointConfig(
                    checkpoint_frequency=1 if spec.evaluations > 1 else 0,  # none to go on from before the last report
                    checkpoint_at_end=False,
                ),
                callbacks=[KeepLast(drop)],
                verbose=0,
            ),
        )
        with background, _stopped_by_sigterm():
            self._search.forget = lambda cohort: drop(COHORT + cohort)
            tuner.fit()

    def _close_runs(self, before: int) -> None:
        """Ends what still runs, marks the front, and records how the sweep stands; also where training raised."""
        _interrupt_running(self._study, self._tracker, "the sweep was stopped")
        mark_front(self._study, self._tracker, self._search.marked)
        status = self._search.status()
        did = {"trials": status.complete - before, "network_steps": status.network_steps}
        totals = did | {"wall_s": self._wall_s, "workers": self._workers} if self._wall_s else {}
        front, complete = list(status.front), status.complete >= self._spec.trials
        self._tracker.record(
            records.describe_sweep_end(
                self._spec, self._study.sweep_id, front, self._worker_time(), totals, complete=complete
            )
        )

    def _summary(self) -> Summary:
        """Makes the report, forgets checkpoints that nobody needs, and waits for what MLflow has not yet."""
        search, status = self._search, self._search.status()
        checkpoints_problem = f"some could not be kept: {search.unsaved}" if search.unsaved else None
        if status.complete >= self._spec.trials:
            checkpoints_problem = _forgotten(self._store.checkpoint_folder(self._spec.name)) or checkpoints_problem
        began = time.monotonic()
        report_mb, report_problem = record_report(self._study, self._store, self._tracker, search.sketches)
        report_s = time.monotonic() - began
        return Summary(
            name=self._spec.name,
            complete=status.complete,
            wanted=self._spec.trials,
            failed=status.failed,
            network_steps=status.network_steps,
            wall_s=self._wall_s,
            workers=self._workers,
            worker_time=self._worker_time(),
            front=status.front,
            report_s=report_s,
            report_mb=report_mb,
            report_problem=report_problem,
            unwritten=self._tracker.close(NO_ANSWER_PATIENCE_S),
            tracking_problem=self._tracker.problem,
            checkpoints_problem=checkpoints_problem,
            gave_up=search.gave_up and not status.complete,
            stopped=self._stopped,
        )

    def _worker_time(self) -> dict[str, float]:
        """Each kind of work's part of the workers' time, and the rest; nothing where no worker had any."""
        if not (total := self._workers * self._wall_s):
            return {}
        shares = {name: spent / total for name, spent in self._search.clock.seconds.items()}
        return shares | {"starting and waiting": 1.0 - sum(shares.values())}


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """While it is open, SIGTERM does what Ctrl-C does: Ray Tune ends in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # Ray starts its jobs with it blocked
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _cohort_name(trial: Any) -> str:
    """Names Tune's folders; by default they carry all hyperparameters."""
    return f"{COHORT}{trial.trial_id}"


def _check_checkpoints(store: Store, offer: ClusterResources | None) -> None:
    """Whether cohorts can keep what they go on from, where every machine sees it."""
    if store.checkpoints is not None:
        check_checkpoint_storage(store.checkpoints)
    elif offer is not None and has_several_machines():
        raise BadInputError(
            "checkpoints must be where all machines of the cluster see them:"
            " set BIMT_CHECKPOINTS to a shared folder, s3://... or gs://..., got none"
        )


def _interrupt_running(study: SweepStudy, tracker: Tracker, reason: str) -> None:
    for record in study.trials():
        if record.state == "RUNNING":
            tracker.record(records.describe_interruption(study.sweep_id, record.number, reason))
            study.interrupt(record.number, reason)


def _forgotten(checkpoints: str) -> str | None:
    """Deletes a sweep's checkpoints; returns what went wrong, which is no reason for a complete sweep to fail."""
    try:
        delete_folder(checkpoints)
    except OSError as error:
        return f"those in {checkpoints.partition('?')[0]} could not be deleted: {' '.join(str(error).split())}"
    return None
