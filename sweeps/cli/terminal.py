"""What `bimt` prints: tables for a person, JSON for a program."""

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

PIPE_COLUMNS = 140  # where there is no terminal to ask
out = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def print_summary(summary: "Summary", spec: "SweepSpec", where: "Store", as_json: bool) -> None:
    """How a launch ended, and how to see and pull what came out."""
    from sweeps.cli.progress import format_duration, front_table

    if as_json:
        fields = {k: v for k, v in vars(summary).items() if k != "front"}
        print(json.dumps(_plain(fields | {"front": [record.number for record in summary.front]})))
        return
    out.print(front_table(summary.front, spec, "Pareto front"))
    failed = f", {summary.failed} failed" if summary.failed else ""
    speed = summary.network_steps / summary.wall_s if summary.wall_s else 0.0
    lines = [
        f"{summary.complete} of {summary.wanted} trials complete{failed}"
        f" in {format_duration(summary.wall_s)} on {summary.workers} workers, {speed:,.0f} network-steps/s"
    ]
    if summary.worker_time:
        lines.append("Worker time: " + ", ".join(f"{name} {share:.0%}" for name, share in summary.worker_time.items()))
    if summary.gave_up:
        lines.append(f"Gave up: {summary.failed} trials failed in this launch; see: {_own_name()} trials {spec.name}")
    elif spec.variants and summary.complete + summary.failed == summary.wanted > summary.complete:
        lines.append(f"Variants that failed are not tried again; see: {_own_name()} trials {spec.name}")
    elif summary.complete < summary.wanted:
        lines.append("Stopped before the end; launching again under the same name goes on")
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
    elsewhere = f" --store {where.folder}" if where.folder != Path("bimt-store").absolute() else ""
    elsewhere += " --storage URL" if where.storage else ""  # the URL itself may hold a password
    bimt = _own_name()
    lines += [
        f"Browse:  {where.tracking_uri or f'{bimt} ui{elsewhere}'}",
        f"Report:  {bimt} report {spec.name}{elsewhere}  (took {summary.report_s:.1f} s, {summary.report_mb:.1f} MB)",
        f"Pull:    {bimt} best {spec.name}{elsewhere} --by modularity",
    ]
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def _own_name() -> str:
    """What to type to run this program again: its path where the shell does not find it by name."""
    called = Path(sys.argv[0])
    return "bimt" if shutil.which("bimt") or called.suffix == ".py" else os.path.relpath(called)


def print_launched(launched: "Iterable[LaunchResult]", as_json: bool) -> None:
    """Where each sweep of a cluster is, as soon as it is known, and how to watch it."""
    if as_json:
        print_rows([vars(one) for one in launched], as_json)
        return
    bimt = _own_name()
    for one in launched:
        place = f": place {one.position} in the queue" if one.position else ""
        already = "" if one.new else " already"
        lines = [
            f"Sweep {one.name} is {one.state}{already} on the cluster{place}",
            f"Watch:   {bimt} logs {one.name} --follow",
            f"Pull:    {bimt} best {one.name} --by modularity",
        ]
        for line in lines:
            out.print(line, highlight=False, soft_wrap=True)


def print_plan(plan: "Plan") -> None:
    """What a sweep will take."""
    speed = plan.speed
    size = "" if plan.artifact_bytes is None else f", {plan.artifact_bytes / 1e6:,.0f} MB of artifacts"
    lines = [
        f"Sweep {plan.name}: {plan.trials} trials, {plan.networks} networks of {plan.steps} steps,"
        f" {plan.cohorts} cohorts{size}",
        f"One worker: {speed.network_steps_per_s:,.0f} network-steps/s, {speed.trial_s:.2f} s a trial beside training"
        f" ({speed.source}; known to {speed.uncertainty:.0%})",
        "The driver keeps up with: " + ", ".join(f"{part} {n:.1f} trials/s" for part, n in plan.trials_per_s.items()),
    ]
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)
    for_each = [
        {"workers": e.workers, "hours": e.hours, "from": e.hours_low, "to": e.hours_high, "held_by": e.bound}
        for e in plan.expected
    ]
    print_rows(for_each, as_json=False)
    out.print(f"More than {plan.useful_workers} workers do not help: {plan.bound}", highlight=False, soft_wrap=True)


def print_trials(frame: "pd.DataFrame", spec: "SweepSpec", as_json: bool, extra: tuple[str, ...] = ()) -> None:
    """All columns as JSON; in a terminal the objectives, modularity and the searched hyperparameters."""
    from sweeps.cli.progress import format_mean

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
    """A frame with its index, empty where a value is missing."""
    whole = frame.reset_index().astype(object)
    print_rows(whole.where(whole.notna(), None if as_json else "").to_dict("records"), as_json)


def print_rows(rows: list[dict[Any, Any]], as_json: bool) -> None:
    """Rows with the same keys as a table, or "none"."""
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


def _short(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """A row with null for what is missing, and times as text."""

    def value(v: Any) -> Any:
        if v is None or (isinstance(v, float) and not math.isfinite(v)):
            return None
        return v.item() if hasattr(v, "item") else v if isinstance(v, str | int | float | dict | list) else str(v)

    return {str(k): value(v) for k, v in row.items()}
