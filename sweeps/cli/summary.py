"""The end of a launch, as a person or a program reads it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.cli.terminal import make_plain, name_program, out, print_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweeps.run.agenda import ConfirmRequest
    from sweeps.run.state import Summary
    from sweeps.spec.sweep import SweepSpec
    from sweeps.store import Store
    from sweeps.study.confirmation import ConfirmedTrial
    from sweeps.study.trial import Trial


def print_summary(
    summary: "Summary", spec: "SweepSpec", store: "Store", as_json: bool, request: "ConfirmRequest | None" = None
) -> None:
    """Prints how a launch ended, and the commands to browse and pull its results.

    Args:
        summary: The launch.
        spec: The sweep.
        store: Store of the sweep.
        as_json: Print JSON.
        request: Confirmation that was done instead of the search, if any.
    """
    from sweeps.cli.progress import format_duration
    from sweeps.cli.tables import explain_marks, render_front
    from sweeps.results.confirmations import describe_confirmation, order_confirmed

    if as_json:
        confirmed = [describe_confirmation(*pair, spec) for pair in order_confirmed([], summary.confirmed, spec)]
        front = [trial.number for trial in summary.front]
        print(json.dumps(make_plain(vars(summary) | {"front": front, "confirmed": confirmed})))
        return
    if request is None:
        out.print(render_front(summary.front, spec, "Pareto front as searched"))
        if not summary.confirmed:  # else the next table has the same marks
            print_lines(*explain_marks(summary.front, spec))
    print_confirmed(summary.front, summary.confirmed, spec, None if request is None else request.data_seed)
    failed = f", {summary.failed} failed" if summary.failed else ""
    bimt = name_program()
    speed = f", {summary.network_steps / summary.wall_s:,.0f} network-steps/s" if summary.network_steps else ""
    lines = [
        f"{summary.complete} of {summary.wanted} trials complete{failed}"
        f" in {format_duration(summary.wall_s)} on {summary.workers} workers{speed}"
    ]
    if summary.worker_time:
        lines.append("Worker time: " + ", ".join(f"{name} {share:.0%}" for name, share in summary.worker_time.items()))
    if problem := _describe_end(summary, spec, request):
        lines.append(problem)
    if summary.unwritten:
        lines.append(
            f"MLflow lacks {summary.unwritten} records ({summary.tracking_problem}); the next launch writes them"
        )
    elif summary.tracking_problem:
        lines.append(f"MLflow: {summary.tracking_problem}")
    if summary.checkpoints_problem:
        lines.append(f"Checkpoints: {summary.checkpoints_problem}")
    if summary.report_problem:
        lines.append(f"No report: {summary.report_problem}")
    elsewhere = f" --store {store.folder}" if store.folder != Path("bimt-store").absolute() else ""
    elsewhere += " --storage URL" if store.storage else ""  # the URL itself may hold a password
    lines += [
        f"Browse:  {store.tracking_uri or f'{bimt} ui{elsewhere}'}",
        f"Report:  {bimt} report {spec.name}{elsewhere}  (took {summary.report_s:.1f} s, {summary.report_mb:.1f} MB)",
        f"Pull:    {bimt} best {spec.name}{elsewhere} --by modularity",
    ]
    print_lines(*lines)


def _describe_end(summary: "Summary", spec: "SweepSpec", request: "ConfirmRequest | None") -> str | None:
    """Says why a launch ended without all of its trials, if it did."""
    if summary.gave_up:
        return f"Gave up: {summary.failed} trials failed in this launch; see: {name_program()} trials {spec.name}"
    if not summary.finished:
        again = "launching again under the same name" if request is None else "confirming again"
        return f"Stopped before the end; {again} continues"
    if summary.complete < summary.wanted and spec.variants:
        return f"Failed variants are not repeated; see: {name_program()} trials {spec.name}"
    if summary.complete < summary.wanted and spec.stop_when:
        return f"The search ended early: the confirmed front grew by less than {spec.stop_when.gain:.3g} of its size"
    return None


def print_confirmed(
    front: "Iterable[Trial]", confirmed: "Sequence[ConfirmedTrial]", spec: "SweepSpec", data_seed: int | None = None
) -> None:
    """Prints searched and confirmed values, and the gain over the published setting; nothing without any.

    Args:
        front: Trials on the front.
        confirmed: Confirmed trials, the baseline included.
        spec: The sweep.
        data_seed: Seed of the confirmation's data; None for the sweep's own.
    """
    from sweeps.cli.tables import explain_marks, render_confirmed
    from sweeps.tracking.confirmed_table import describe_gains

    front = list(front)
    if confirmed:
        data = "" if data_seed is None else f", on data seed {data_seed}"
        out.print(render_confirmed(front, confirmed, spec, f"Searched and confirmed, with 95 % intervals{data}"))
        shown = [*front, *(one.trial for one in confirmed)]
        print_lines(*explain_marks(shown, spec), *describe_gains(confirmed, spec))
    for trial in front:
        confirmation = trial.confirmations.get(data_seed)
        for reason in () if confirmation is None else confirmation.failures:
            print_lines(f"A confirmation of trial {trial.number} failed: {reason}")
