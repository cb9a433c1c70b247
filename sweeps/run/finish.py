"""What a driver does when its search is over: pictures of the front, marks, and the sweep's report."""

import time
import traceback
from collections.abc import Mapping

from bimt_core import load_task
from sweeps.pages.report import render_report
from sweeps.results.sweep import Sweep
from sweeps.store import Store
from sweeps.study.study import SweepStudy
from sweeps.tracking import records
from sweeps.tracking.tracker import Tracker
from sweeps.worker.artifacts import draw_front_trial, spread_evenly

MOST_FILMED = 3  # trials of the front that have a film


def draw_front(study: SweepStudy, tracker: Tracker, histories: Mapping[int, bytes]) -> float:
    """Draws more of the trials of this launch that are on the front, and films some of them, spread along it.

    Here and not on the workers, whose processes would have to be started for it.

    Args:
        ledger: The sweep's study.
        tracker: Where the pictures go.
        histories: How the best replicates of these trials were trained, by number.

    Returns:
        Seconds it took.
    """
    began, spec = time.monotonic(), study.spec
    task = load_task(spec.task, spec.data_seed)
    trials = {trial.number: trial for trial in study.trials()}
    along = sorted(histories, key=lambda number: trials[number].mean[spec.objectives[0].metric])
    films = spread_evenly(along, MOST_FILMED)
    for number in along:
        try:
            params, history = trials[number].params, histories[number]
            files = draw_front_trial(task, params, history, filmed=number in films)
        except Exception:  # noqa: BLE001 (whatever it is, the sweep itself is done, and the trial's run tells)
            files = {"figures/error.txt": traceback.format_exc().encode()}
        tracker.record(records.describe_front_pictures(study.sweep_id, number, files))
    return time.monotonic() - began


def mark_front(study: SweepStudy, tracker: Tracker, marked: Mapping[int, bool]) -> None:
    """Says of every completed trial whether it is on the Pareto front, where its mark is unknown or another."""
    front = set(study.front())
    for record in study.trials():
        if record.state == "COMPLETE" and marked.get(record.number) != (record.number in front):
            tracker.record(records.describe_front_mark(study.sweep_id, record, on_front=record.number in front))


def record_report(
    study: SweepStudy, store: Store, tracker: Tracker, sketches: Mapping[int, bytes]
) -> tuple[float, str | None]:
    """Makes the sweep's picture book; returns its size in megabytes, or 0 and what went wrong."""
    try:
        complete = {record.number for record in study.trials() if record.state == "COMPLETE"}
        has_all = complete <= sketches.keys() or tracker.problem  # those of earlier launches are in MLflow
        known = {number: svg.decode() for number, svg in sketches.items()} if has_all else None
        page = render_report(Sweep(study, store), known)
        tracker.record(records.describe_report(study.spec, study.sweep_id, page))
    except Exception as error:  # noqa: BLE001 (whatever it is, the sweep itself is done, and its operator is told)
        return 0.0, " ".join(f"{type(error).__name__}: {error}".split())
    return len(page) / 1e6, None
