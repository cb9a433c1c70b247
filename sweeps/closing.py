"""What a driver does when its search is over: pictures of the front, marks, and the sweep's report."""

import time
import traceback
from collections.abc import Mapping

from bimt_core import task
from sweeps.cohorts.pictures import front_pictures, spread
from sweeps.ledger.ledger import Ledger
from sweeps.pages.report import report
from sweeps.results import Sweep
from sweeps.store import Store
from sweeps.tracking import runs
from sweeps.tracking.tracker import Tracker

MOST_FILMED = 3  # trials of the front that have a film


def draw_front(ledger: Ledger, tracker: Tracker, histories: Mapping[int, bytes]) -> float:
    """Draws more of the trials of this launch that are on the front, and films some of them, spread along it.

    Here and not on the workers, whose processes would have to be started for it.

    Args:
        ledger: The sweep's study.
        tracker: Where the pictures go.
        histories: How the best replicates of these trials were trained, by number.

    Returns:
        Seconds it took.
    """
    began, spec = time.monotonic(), ledger.spec
    the_task = task(spec.task, spec.data_seed)
    records = {record.number: record for record in ledger.records()}
    along = sorted(histories, key=lambda number: records[number].mean[spec.objectives[0].metric])
    films = spread(along, MOST_FILMED)
    for number in along:
        try:
            params, history = records[number].params, histories[number]
            files = front_pictures(the_task, params, history, filmed=number in films)
        except Exception:  # noqa: BLE001 (whatever it is, the sweep itself is done, and the trial's run tells)
            files = {"figures/error.txt": traceback.format_exc().encode()}
        tracker.record(runs.front_drawn(ledger.sweep_id, number, files))
    return time.monotonic() - began


def mark_front(ledger: Ledger, tracker: Tracker, marked: Mapping[int, bool]) -> None:
    """Says of every completed trial whether it is on the Pareto front, where its mark is unknown or another."""
    front = set(ledger.front())
    for record in ledger.records():
        if record.state == "COMPLETE" and marked.get(record.number) != (record.number in front):
            tracker.record(runs.front_marked(ledger.sweep_id, record, on_front=record.number in front))


def record_report(
    ledger: Ledger, store: Store, tracker: Tracker, sketches: Mapping[int, bytes]
) -> tuple[float, str | None]:
    """Makes the sweep's picture book; returns its size in megabytes, or 0 and what went wrong."""
    try:
        complete = {record.number for record in ledger.records() if record.state == "COMPLETE"}
        has_all = complete <= sketches.keys() or tracker.problem  # those of earlier launches are in MLflow
        known = {number: svg.decode() for number, svg in sketches.items()} if has_all else None
        page = report(Sweep(ledger, store), known)
        tracker.record(runs.sweep_reported(ledger.spec, ledger.sweep_id, page))
    except Exception as error:  # noqa: BLE001 (whatever it is, the sweep itself is done, and its operator is told)
        return 0.0, " ".join(f"{type(error).__name__}: {error}".split())
    return len(page) / 1e6, None
