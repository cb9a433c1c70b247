"""The driver: the process that runs one sweep, from its study through Ray Tune to MLflow and the report."""

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property

from sweeps.cluster.capacity import check_memory, count_slots, measure_cohort_size, should_compile
from sweeps.cluster.connection import connect_cluster, connect_ray
from sweeps.cluster.resources import ClusterResources, has_several_machines
from sweeps.cluster.sharing import claim_share
from sweeps.errors import BadInputError
from sweeps.results.confirmations import check_front, check_request
from sweeps.run.agenda import ConfirmRequest
from sweeps.run.dispatch import Dispatcher
from sweeps.run.finish import delete_checkpoints, draw_front, interrupt_running, make_report, mark_confirmed, mark_front
from sweeps.run.state import Summary, Watcher
from sweeps.run.suggestions import check_sampler_of
from sweeps.run.tune import CohortTrainable, run_tune
from sweeps.spec.sweep import SweepSpec
from sweeps.store import Store
from sweeps.study.confirmation import judge_confirmed
from sweeps.study.gains import find_baseline
from sweeps.study.known_starts import find_known_starts
from sweeps.study.ownership import hold_driver_lock
from sweeps.study.study import SweepStudy
from sweeps.tracking.notes import describe_sweep
from sweeps.tracking.records import SweepRecords
from sweeps.tracking.run_writer import Target
from sweeps.tracking.tracker import Tracker
from sweeps.worker.checkpoint import find_checkpoints
from sweeps.worker.checkpoint_storage import check_checkpoint_storage

MLFLOW_PATIENCE_S = 20.0  # how long the end of a launch waits for an MLflow that does not answer


def launch(
    spec: SweepSpec,
    store: Store | None = None,
    *,
    confirm: ConfirmRequest | None = None,
    watch: Watcher = lambda _: nullcontext(),
    trainable: type[CohortTrainable] = CohortTrainable,
) -> Summary:
    """Runs a sweep until its number of trials is complete and its front is confirmed; one launched before continues.

    Args:
        spec: The sweep. Under the same name only `trials` and `confirm` may change, and `trials` only rise.
        store: Store of the sweep; None for `Store.resolve()`.
        confirm: Only confirms the front as it is, with so many networks; None runs the whole sweep.
        watch: Shows progress while the context that it returns is open.
        trainable: Trainable of a cohort; tests and benchmarks of the driver replace it.

    Raises:
        BadInputError: Before anything starts, if the spec asks for something impossible.
        ClusterError: If the cluster that RAY_ADDRESS names cannot be joined.
        StoreError: If the study's storage cannot be opened.

    Examples:
        >>> summary = launch(read_spec(Path("my_moons.yaml")))  # doctest: +SKIP
        >>> summary.complete, summary.front  # doctest: +SKIP
    """
    store = store or Store.resolve()
    check_sampler_of(spec)
    starts = find_known_starts(spec, store)
    if confirm is not None:
        check_request(spec, confirm.replicates, confirm.data_seed)
        check_front(SweepStudy.open(store, spec.name).trials(), spec)
    with connect_cluster() as resources:
        slots = count_slots(spec, resources)
        workers = min(slots, spec.concurrent_cohorts or slots)
        if resources is None:
            check_memory(spec, workers)
        _check_checkpoints(store, resources)
        store.prepare(spec.name)
        with hold_driver_lock(store, spec.name):
            study = SweepStudy.launch(store, spec, starts)
            claim = nullcontext(lambda: workers) if resources is None else claim_share(spec.name, slots, workers)
            with _open_tracker(store, spec) as tracker, _frozen_garbage():
                tracker.record(SweepRecords(spec, study.sweep_id).describe_sweep_start())
                interrupt_running(study, tracker, "its driver died")
                with claim as share:
                    run = _Launch(store, study, tracker, workers, share, trainable, confirm)
                    run.train_missing(watch)
                return run.finish()


class _Launch:
    """One launch of a sweep; `share` returns how many of its `workers` cohorts may train now."""

    def __init__(
        self,
        store: Store,
        study: SweepStudy,
        tracker: Tracker,
        workers: int,
        share: Callable[[], int],
        trainable: type[CohortTrainable],
        request: ConfirmRequest | None,
    ) -> None:
        self._store, self._study, self._tracker, self._spec = store, study, tracker, study.spec
        self._workers, self._trainable = workers, trainable
        self._checkpoints = store.checkpoint_folder(study.spec.name)
        self._dispatcher = Dispatcher(
            study,
            tracker,
            cohort_size=lambda: self._cohort_size,
            share=share,
            compiled=should_compile(study.spec, workers),
            checkpoints=find_checkpoints(self._checkpoints),
            request=request,
        )
        self._data_seed = None if request is None else request.data_seed
        self._wall_s, self._stopped = 0.0, False

    def train_missing(self, watch: Watcher) -> None:
        """Trains until nothing is left to do, draws the front, and closes what still runs, also after an error."""
        before = self._study.count("COMPLETE")
        try:
            if not self._dispatcher.agenda.is_done():
                started = time.monotonic()
                with watch(self._dispatcher.status), connect_ray():
                    try:
                        self._train()
                    finally:
                        self._wall_s = time.monotonic() - started
        finally:
            self._close(before)

    def finish(self) -> Summary:
        """Makes the report, deletes checkpoints that nobody needs, and waits for MLflow."""
        dispatcher, status = self._dispatcher, self._dispatcher.status()
        complete = dispatcher.agenda.is_done()
        problem = dispatcher.checkpoint_problem
        checkpoints_problem = f"some could not be kept: {problem}" if problem else None
        if complete:
            checkpoints_problem = delete_checkpoints(self._checkpoints) or checkpoints_problem
        started = time.monotonic()
        report_mb, report_problem = make_report(self._study, self._store, self._tracker, dispatcher.sketches)
        report_s = time.monotonic() - started
        return Summary(
            name=self._spec.name,
            complete=status.complete,
            wanted=self._spec.trials,
            failed=status.failed,
            network_steps=status.network_steps,
            wall_s=self._wall_s,
            workers=self._workers,
            worker_time=dispatcher.clock.shares(self._workers * self._wall_s),
            front=status.front,
            confirmed=judge_confirmed(self._study.known_trials(), self._spec, self._data_seed),
            finished=complete,
            report_s=report_s,
            report_mb=report_mb,
            report_problem=report_problem,
            unwritten=self._tracker.close(MLFLOW_PATIENCE_S),
            tracking_problem=self._tracker.problem,
            checkpoints_problem=checkpoints_problem,
            gave_up=dispatcher.gave_up and not complete,
            stopped=self._stopped,
        )

    def _train(self) -> None:
        """Runs Ray Tune, again where it ended only to free workers for other sweeps, and then draws the front."""
        budget_s = self._spec.time_budget_s
        ends = math.inf if budget_s is None else time.monotonic() + budget_s
        while (left_s := ends - time.monotonic()) > 0:
            continues = run_tune(
                self._spec,
                self._dispatcher,
                self._trainable,
                folder=self._checkpoints,
                workers=self._workers,
                time_budget_s=None if left_s == math.inf else left_s,
            )
            if not continues:
                break
        self._stopped = self._dispatcher.n_training > 0 and time.monotonic() < ends
        if not self._stopped:
            drawn_s = draw_front(self._study, self._tracker, self._dispatcher.histories)
            self._dispatcher.clock.add([("drawing", self._workers * drawn_s)])  # all workers wait for it

    def _close(self, complete_before: int) -> None:
        """Interrupts what still runs, marks the front, and records the state of the sweep."""
        self._dispatcher.suggester.close()
        self._dispatcher.clock.add([("suggesting", self._dispatcher.suggester.waited_s)])
        interrupt_running(self._study, self._tracker, "the sweep was stopped")
        mark_front(self._study, self._tracker, self._dispatcher.marks)
        confirmed = mark_confirmed(self._study, self._tracker)
        status = self._dispatcher.status()
        totals: dict[str, float] = {}
        if self._wall_s:
            totals = {"trials": status.complete - complete_before, "network_steps": status.network_steps}
            totals |= {"wall_s": self._wall_s, "workers": self._workers}
        worker_time = self._dispatcher.clock.shares(self._workers * self._wall_s)
        complete = self._dispatcher.agenda.is_done()
        records, baseline = SweepRecords(self._spec, self._study.sweep_id), find_baseline(self._study.known_trials())
        self._tracker.record(
            records.describe_sweep_end(
                status.front, worker_time, totals, complete=complete, baseline=baseline, confirmed=confirmed
            )
        )

    @cached_property
    def _cohort_size(self) -> int:
        size = self._spec.cohort_size
        return measure_cohort_size(self._spec, self._workers) if size == "auto" else size


@contextmanager
def _open_tracker(store: Store, spec: SweepSpec) -> Iterator[Tracker]:
    artifacts = None if store.tracking_uri else str(store.artifacts)
    target = Target(store.mlflow_uri, spec.name, artifacts, describe_sweep(spec))
    tracker = Tracker(target, store.work_folder(spec.name) / "spool")
    try:
        yield tracker
    finally:
        tracker.close(MLFLOW_PATIENCE_S)


@contextmanager
def _frozen_garbage() -> Iterator[None]:
    """Excludes all present objects from garbage collection, which took a tenth of drawing the front."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _check_checkpoints(store: Store, resources: ClusterResources | None) -> None:
    """Checks that cohorts can keep checkpoints where every machine sees them."""
    if store.checkpoints is not None:
        check_checkpoint_storage(store.checkpoints)
    elif resources is not None and has_several_machines():
        raise BadInputError(
            "checkpoints must be where all machines of the cluster see them:"
            " set BIMT_CHECKPOINTS to a shared folder, s3://... or gs://..., got none"
        )
