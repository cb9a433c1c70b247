"""Progress of a running sweep: a live display in a terminal, plain lines elsewhere."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.results.statistics import format_mean
from sweeps.run.state import Status, Watcher
from sweeps.spec.sweep import SweepSpec
from sweeps.study.trial import Trial

PLAIN_EVERY_S = 10.0
ROWS = 12


def create_watcher(console: Console, spec: SweepSpec) -> Watcher:
    """Returns a context manager that shows progress on a console while it is open.

    Args:
        console: A live display if it is a terminal, else a line every ten seconds.
        spec: The sweep.
    """

    @contextmanager
    def live(status: Callable[[], Status]) -> Iterator[None]:
        with Live(
            get_renderable=lambda: _display(status(), spec), console=console, refresh_per_second=2, transient=True
        ):
            yield

    @contextmanager
    def plain(status: Callable[[], Status]) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=_print_lines, args=(console, status, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    return live if console.is_terminal else plain


def render_front(front: Sequence[Trial], spec: SweepSpec, title: str) -> Table:
    """Renders a Pareto front: mean and standard error of objectives and modularity, and searched hyperparameters.

    Args:
        front: Trials of the front.
        spec: The sweep.
        title: Title of the table.
    """
    first = spec.objectives[0]
    metrics = list(dict.fromkeys([*(objective.metric for objective in spec.objectives), "modularity"]))
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    for name in ("trial", *metrics, *spec.searched):
        table.add_column(name.replace("_", " "), justify="right", style="dim" if name in spec.searched else "")
    ordered = sorted(front, key=lambda trial: trial.values[first.metric], reverse=first.direction == "maximize")
    for trial in ordered:
        values = [format_mean(trial.values[m], trial.stderr[m]) for m in metrics]
        table.add_row(str(trial.number), *values, *(_short(trial.params[name]) for name in spec.searched))
    return table


def format_status(status: Status) -> str:
    """Formats a status as one line.

    Args:
        status: The status.
    """
    speed = status.network_steps / status.elapsed_s if status.elapsed_s else 0.0
    left = format_duration(status.network_steps_left / speed) if speed else "?"
    parts = [
        f"{status.complete} of {status.wanted} trials complete",
        f"{status.failed} failed" if status.failed else "",
        f"{status.running} running",
        f"{speed:,.0f} network-steps/s",
        f"{left} left",
        f"{len(status.front)} on the front",
        f"MLflow cannot be written: {status.tracking_problem}" if status.tracking_problem else "",
    ]
    return ", ".join(part for part in parts if part)


def format_duration(seconds: float) -> str:
    """Formats a duration, such as "1:02:03" or "2:03".

    Args:
        seconds: The duration.
    """
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


def _display(status: Status, spec: SweepSpec) -> RenderableType:
    total = status.network_steps + status.network_steps_left
    parts: list[RenderableType] = [
        Text.assemble((spec.name, "bold"), f"  {format_duration(status.elapsed_s)}  {format_status(status)}"),
        ProgressBar(total=max(total, 1), completed=status.network_steps),
    ]
    if status.front:
        parts.append(render_front(status.front[:ROWS], spec, "Pareto front so far"))
    return Group(*parts)


def _print_lines(console: Console, status: Callable[[], Status], ended: threading.Event) -> None:
    while not ended.wait(PLAIN_EVERY_S):
        now = status()
        console.print(f"{format_duration(now.elapsed_s)}  {format_status(now)}", highlight=False, soft_wrap=True)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
