"""Output of the commands: tables for a person, JSON for a program."""

import json
import math
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from sweeps.run.plan import Plan
    from sweeps.run.state import Summary
    from sweeps.service.submission import LaunchResult
    from sweeps.spec.sweep import SweepSpec
    from sweeps.store import Store

PIPE_COLUMNS = 140  # width of tables outside a terminal
out = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def print_summary(summary: "Summary", spec: "SweepSpec", store: "Store", as_json: bool) -> None:
    """Prints how a launch ended, and the commands to browse and pull its results.

    Args:
        summary: The launch.
        spec: The sweep.
        store: Store of the sweep.
        as_json: Print JSON.
    """
    from sweeps.cli.progress import format_duration, render_front

    if as_json:
        fields = {k: v for k, v in vars(summary).items() if k != "front"}
        print(json.dumps(_plain(fields | {"front": [trial.number for trial in summary.front]})))
        return
    out.print(render_front(summary.front, spec, "Pareto front"))
    failed = f", {summary.failed} failed" if summary.failed else ""
    bimt = _program_name()
    speed = summary.network_steps / summary.wall_s if summary.wall_s else 0.0
    lines = [
        f"{summary.complete} of {summary.wanted} trials complete{failed}"
        f" in {format_duration(summary.wall_s)} on {summary.workers} workers, {speed:,.0f} network-steps/s"
    ]
    if summary.worker_time:
        lines.append("Worker time: " + ", ".join(f"{name} {share:.0%}" for name, share in summary.worker_time.items()))
    if summary.gave_up:
        lines.append(f"Gave up: {summary.failed} trials failed in this launch; see: {bimt} trials {spec.name}")
    elif spec.variants and summary.complete + summary.failed == summary.wanted > summary.complete:
        lines.append(f"Failed variants are not repeated; see: {bimt} trials {spec.name}")
    elif summary.complete < summary.wanted:
        lines.append("Stopped before the end; launching again under the same name continues")
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
    _print_lines(*lines)


def print_launches(results: "Iterable[LaunchResult]", as_json: bool) -> None:
    """Prints the state of each launch on a cluster as soon as it is known, and the commands to watch it.

    Args:
        results: The launches.
        as_json: Print JSON.
    """
    if as_json:
        print_rows([vars(result) for result in results], as_json)
        return
    bimt = _program_name()
    for result in results:
        position = f": position {result.position} in the queue" if result.position else ""
        already = "" if result.new else " already"
        _print_lines(
            f"Sweep {result.name} is {result.state}{already} on the cluster{position}",
            f"Watch:   {bimt} logs {result.name} --follow",
            f"Pull:    {bimt} best {result.name} --by modularity",
        )


def print_plan(plan: "Plan") -> None:
    """Prints what a sweep will take.

    Args:
        plan: The plan.
    """
    speed = plan.speed
    size = "" if plan.artifact_bytes is None else f", {plan.artifact_bytes / 1e6:,.0f} MB of artifacts"
    _print_lines(
        f"Sweep {plan.name}: {plan.trials} trials, {plan.networks} networks of {plan.steps} steps,"
        f" {plan.cohorts} cohorts{size}",
        f"One worker: {speed.network_steps_per_s:,.0f} network-steps/s, {speed.trial_s:.2f} s per trial besides"
        f" training ({speed.source}; known to {speed.uncertainty:.0%})",
        "The driver keeps up with: " + ", ".join(f"{part} {n:.1f} trials/s" for part, n in plan.trials_per_s.items()),
    )
    rows = [
        {"workers": e.workers, "hours": e.hours, "from": e.hours_low, "to": e.hours_high, "limited_by": e.bound}
        for e in plan.expected
    ]
    print_rows(rows, as_json=False)
    _print_lines(f"More than {plan.useful_workers} workers do not help: {plan.bound}")


def print_trials(frame: "pd.DataFrame", spec: "SweepSpec", as_json: bool, extra: tuple[str, ...] = ()) -> None:
    """Prints trials: all columns as JSON; in a terminal objectives, modularity and the searched hyperparameters.

    Args:
        frame: One row per trial, as `Sweep.trials` returns it.
        spec: The sweep.
        as_json: Print JSON.
        extra: Further columns for the terminal.
    """
    from sweeps.results.statistics import format_mean

    if as_json:
        print_frame(frame, as_json)
        return
    names = dict.fromkeys([*(o.metric for o in spec.objectives), "modularity", "communities", "active_weights"])
    shown = frame[[c for c in extra if c in frame and not frame[c].isna().all()]].copy()
    for name in names:
        shown[name] = [
            format_mean(m, e) if not math.isnan(m) else ""
            for m, e in zip(frame[name], frame[f"{name}_stderr"], strict=True)
        ]
    for name in spec.searched:
        shown[name] = frame[name]
    print_frame(shown, as_json)


def print_frame(frame: "pd.DataFrame", as_json: bool) -> None:
    """Prints a frame with its index.

    Args:
        frame: The frame; missing values are printed as null or as nothing.
        as_json: Print JSON.
    """
    values = frame.reset_index().astype(object)
    print_rows(values.where(values.notna(), None if as_json else "").to_dict("records"), as_json)


def print_rows(rows: list[dict[Any, Any]], as_json: bool) -> None:
    """Prints rows as a table; "none" if there are no rows.

    Args:
        rows: Rows with the same keys.
        as_json: Print JSON.
    """
    if as_json:
        print(json.dumps([_plain(row) for row in rows], indent=2))
        return
    if not rows:
        print("none")
        return
    table = Table(header_style="bold", box=SIMPLE_HEAD)
    for column in rows[0]:
        table.add_column(str(column).replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*map(_short, row.values()))
    out.print(table)


def _program_name() -> str:
    """Returns the command that runs this program again: its path if the shell does not find it by name."""
    path = Path(sys.argv[0])
    return "bimt" if shutil.which("bimt") or path.suffix == ".py" else os.path.relpath(path)


def _print_lines(*lines: str) -> None:
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def _short(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Returns a row for JSON: None for missing values, times as text."""

    def value(v: Any) -> Any:
        if v is None or (isinstance(v, float) and not math.isfinite(v)):
            return None
        return v.item() if hasattr(v, "item") else v if isinstance(v, str | int | float | dict | list) else str(v)

    return {str(k): value(v) for k, v in row.items()}
