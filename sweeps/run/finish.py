"""The end of a launch: interrupted trials, the front's marks and pictures, the report, and old checkpoints."""

import time
import traceback
from collections.abc import Mapping

from sweeps.pages.report import render_report
from sweeps.results.sweep import Sweep
from sweeps.store import Store
from sweeps.study.confirmation import ConfirmedTrial, judge_all_confirmed
from sweeps.study.gains import find_confirmed_baseline
from sweeps.study.study import SweepStudy
from sweeps.tracking.records import SweepRecords
from sweeps.tracking.tracker import Tracker
from sweeps.worker.artifacts import draw_front_trial, spread_evenly
from sweeps.worker.checkpoint import delete_folder

MAX_ANIMATED = 3  # trials of the front that have an animation


def interrupt_running(study: SweepStudy, tracker: Tracker, reason: str) -> None:
    """Interrupts all trials that run in the study.

    Args:
        study: Study of the sweep.
        tracker: Destination of MLflow records.
        reason: Why they ended.
    """
    records = SweepRecords(study.spec, study.sweep_id)
    for trial in study.known_entries():
        if trial.state == "RUNNING":
            tracker.record(records.describe_interruption(trial.number, reason))
            study.interrupt(trial.number, reason)


def draw_front(study: SweepStudy, tracker: Tracker, histories: Mapping[int, bytes]) -> float:
    """Draws further pictures of trials on the front, animates some spread along it, and returns the seconds taken.

    The driver does this because starting processes on the workers would take longer than drawing.

    Args:
        study: Study of the sweep.
        tracker: Destination of the pictures.
        histories: History of the best replicate of each trial to draw, by number.
    """
    started, task, first = time.monotonic(), study.spec.load_task(), study.spec.objectives[0].metric
    records = SweepRecords(study.spec, study.sweep_id)
    trials = {trial.number: trial for trial in study.trials()}
    numbers = sorted(histories, key=lambda number: trials[number].values[first])
    animated = spread_evenly(numbers, MAX_ANIMATED)
    for number in numbers:
        try:
            files = draw_front_trial(task, trials[number].params, histories[number], animated=number in animated)
        except Exception:  # noqa: BLE001 (the sweep itself is done; the trial's run says what happened)
            files = {"figures/error.txt": traceback.format_exc().encode()}
        tracker.record(records.describe_front_pictures(number, files))
    return time.monotonic() - started


def mark_front(study: SweepStudy, tracker: Tracker, marks: Mapping[int, bool]) -> None:
    """Records which complete trials are on the Pareto front, where that is not recorded yet.

    Args:
        study: Study of the sweep.
        tracker: Destination of MLflow records.
        marks: Whether each trial was last recorded as on the front.
    """
    records, front = SweepRecords(study.spec, study.sweep_id), {trial.number for trial in study.front()}
    for trial in study.trials():
        if trial.state == "COMPLETE" and trial.role == "search" and marks.get(trial.number) != (trial.number in front):
            tracker.record(records.describe_front_mark(trial, on_front=trial.number in front))


def mark_confirmed(study: SweepStudy, tracker: Tracker) -> dict[int | None, list[ConfirmedTrial]]:
    """Records the confirmed values of the front and the baseline, and whether trials still are on the front.

    Args:
        study: Study of the sweep.
        tracker: Destination of MLflow records.

    Returns:
        All confirmed trials by data seed; None is the sweep's own data, whose confirmations alone mark the trials.
    """
    records, trials = SweepRecords(study.spec, study.sweep_id), study.known_trials()
    judged = judge_all_confirmed(trials, study.spec)
    own = judged.get(None, [])
    for confirmed in own:
        tracker.record(records.describe_verdict(confirmed, find_confirmed_baseline(own)))
    return judged


def make_report(
    study: SweepStudy, store: Store, tracker: Tracker, sketches: Mapping[int, bytes]
) -> tuple[float, str | None]:
    """Makes and records the report; returns its size in megabytes and None, or 0 and why it could not be made.

    Args:
        study: Study of the sweep.
        store: Store of the sweep.
        tracker: Destination of the report.
        sketches: Sketch of each trial that this launch completed, by number.
    """
    try:
        complete = {trial.number for trial in study.trials() if trial.state == "COMPLETE"}
        has_all = complete <= sketches.keys() or tracker.problem  # those of earlier launches are in MLflow
        known = {number: svg.decode() for number, svg in sketches.items()} if has_all else None
        page = render_report(Sweep(study, store), known)
        tracker.record(SweepRecords(study.spec, study.sweep_id).describe_report(page))
    except Exception as error:  # noqa: BLE001 (the sweep itself is done; the summary says what happened)
        return 0.0, " ".join(f"{type(error).__name__}: {error}".split())
    return len(page) / 1e6, None


def delete_checkpoints(folder: str) -> str | None:
    """Deletes the checkpoints of a complete sweep; returns why that failed, if it did.

    Args:
        folder: Folder or address of the checkpoints.
    """
    try:
        delete_folder(folder)
    except OSError as error:
        return f"those in {folder.partition('?')[0]} could not be deleted: {' '.join(str(error).split())}"
    return None
