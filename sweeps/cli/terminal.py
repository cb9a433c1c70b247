"""Output of the commands: tables for a person, JSON for a program."""

import json
import math
import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import pandas as pd

    from sweeps.run.plan import Plan
    from sweeps.service.submission import LaunchResult

PIPE_COLUMNS = 140  # width of tables outside a terminal
out = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def name_program() -> str:
    """Returns the command that runs this program again: its path if the shell does not find it by name."""
    path = Path(sys.argv[0])
    return "bimt" if shutil.which("bimt") or path.suffix == ".py" else os.path.relpath(path)


def print_lines(*lines: str) -> None:
    """Prints lines as they are, however long.

    Args:
        lines: The lines.
    """
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def print_launches(results: "Iterable[LaunchResult]", as_json: bool) -> None:
    """Prints the state of each launch on a cluster as soon as it is known, and the commands to watch it.

    Args:
        results: The launches.
        as_json: Print JSON.
    """
    if as_json:
        print_rows([vars(result) for result in results], as_json)
        return
    bimt = name_program()
    for result in results:
        position = f": position {result.position} in the queue" if result.position else ""
        already = "" if result.new else " already"
        print_lines(
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
    print_lines(
        f"Sweep {plan.name}: {plan.trials} trials, {plan.networks} networks of {plan.steps} steps,"
        f" {plan.cohorts} cohorts{size}",
        f"Networks: {_format_counts(plan)}",
        f"One worker: {speed.network_steps_per_s:,.0f} network-steps/s, {speed.network_s:.2f} s per network besides"
        f" training ({speed.source}; known to {speed.uncertainty:.0%})",
        "The driver keeps up with: "
        + ", ".join(f"{part} {n:.1f} trials/s" for part, n in plan.trials_per_s.items())
        + f"; a suggestion by {plan.sampler} takes {1e3 * plan.suggestion_s:.0f} ms",
    )
    rows = [
        {"workers": e.workers, "hours": e.hours, "from": e.hours_low, "to": e.hours_high, "limited_by": e.bound}
        for e in plan.expected
    ]
    print_rows(rows, as_json=False)
    print_lines(f"More than {plan.useful_workers} workers do not help: {plan.bound}")


def _format_counts(plan: "Plan") -> str:
    """Networks by their purpose, without purposes that the sweep does not have."""
    counts = plan.counts
    parts = [
        (counts.search, "to search"),
        (counts.raised, "further ones of trials near the front (expected)"),
        (counts.baseline, "of the baseline"),
        (counts.confirmation, f"to confirm (expected: a front of {counts.front}, and the baseline)"),
    ]
    return ", ".join(f"{n} {purpose}" for n, purpose in parts if n)


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
        print(json.dumps([make_plain(row) for row in rows], indent=2))
        return
    if not rows:
        print("none")
        return
    out.print(render_table([str(column) for column in rows[0]], [list(map(_short, row.values())) for row in rows]))


def render_table(
    columns: "Sequence[str]",
    rows: "Sequence[Sequence[str]]",
    *,
    title: str | None = None,
    numbers: bool = False,
    dim: "Collection[str]" = (),
    styles: "Sequence[str] | None" = None,
) -> Table:
    """Renders a table whose headers are wrapped to the width of their columns.

    Args:
        columns: Names of the columns.
        rows: Cells of each row.
        title: Title.
        numbers: Whether cells are aligned at the right.
        dim: Columns that are less important.
        styles: Style of each row.
    """
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 0, 0, 1),
    )
    for i, column in enumerate(columns):
        words = column.replace("_", " ")
        width = max(map(len, [*words.split(), *(row[i] for row in rows)]), default=1)
        header = "\n".join(textwrap.wrap(words, width)) or words
        table.add_column(
            header, overflow="fold", justify="right" if numbers else "left", style="dim" if column in dim else ""
        )
    for row, style in zip(rows, styles or [""] * len(rows), strict=True):
        table.add_row(*row, style=style)
    return table


def _short(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def make_plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Returns a row for JSON: None for missing values, times as text.

    Args:
        row: The row.
    """

    def value(v: Any) -> Any:
        if v is None or (isinstance(v, float) and not math.isfinite(v)):
            return None
        return v.item() if hasattr(v, "item") else v if isinstance(v, str | int | float | dict | list) else str(v)

    return {str(k): value(v) for k, v in row.items()}
