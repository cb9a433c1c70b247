"""Progress of a running sweep: a live display in a terminal, plain lines elsewhere."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from sweeps.cli.tables import explain_marks, render_front
from sweeps.run.state import Status, Watcher
from sweeps.spec.sweep import SweepSpec

PLAIN_EVERY_S = 10.0
ROWS = 12


def create_watcher(console: Console, spec: SweepSpec, *, confirms_only: bool = False) -> Watcher:
    """Returns a context manager that shows progress on a console while it is open.

    Args:
        console: A live display if it is a terminal, else a line every ten seconds.
        spec: The sweep.
        confirms_only: Whether the launch confirms the front as it is, without a search.
    """

    def line(status: Status) -> str:
        return format_status(status, spec, confirms_only=confirms_only)

    @contextmanager
    def live(status: Callable[[], Status]) -> Iterator[None]:
        with Live(
            get_renderable=lambda: _display(now := status(), spec, line(now)),
            console=console,
            refresh_per_second=2,
            transient=True,
        ):
            yield

    @contextmanager
    def plain(status: Callable[[], Status]) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=_print_lines, args=(console, status, line, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    return live if console.is_terminal else plain


def format_status(status: Status, spec: SweepSpec, *, confirms_only: bool = False) -> str:
    """Formats a status as one line, beginning with the phase: searching or confirming.

    Args:
        status: The status.
        spec: The sweep.
        confirms_only: Whether the launch confirms the front as it is.
    """
    speed = status.network_steps / status.elapsed_s if status.elapsed_s else 0.0
    left = f"{format_duration(status.network_steps_left / speed)} left" if speed else ""
    phase = "confirming" if confirms_only or not status.searching else "searching"
    confirms = confirms_only or spec.confirm is not None
    parts = [
        "" if spec.variants else phase,
        f"{status.complete} of {status.wanted} trials complete",
        f"{status.failed} failed" if status.failed else "",
        f"{status.running} running",
        f"{speed:,.0f} network-steps/s" if speed else "measuring speed",
        left,
        f"{len(status.front)} on the front",
        f"{status.confirmed} confirmed" if confirms else "",
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


def _display(status: Status, spec: SweepSpec, line: str) -> RenderableType:
    total = status.network_steps + status.network_steps_left
    parts: list[RenderableType] = [
        Text.assemble((spec.name, "bold"), f"  {format_duration(status.elapsed_s)}  {line}"),
        ProgressBar(total=max(total, 1), completed=status.network_steps),
    ]
    if status.front:
        shown = status.front[:ROWS]
        parts += [render_front(shown, spec, "Pareto front so far"), *explain_marks(shown, spec)]
    return Group(*parts)


def _print_lines(
    console: Console, status: Callable[[], Status], line: Callable[[Status], str], ended: threading.Event
) -> None:
    while not ended.wait(PLAIN_EVERY_S):
        now = status()
        console.print(f"{format_duration(now.elapsed_s)}  {line(now)}", highlight=False, soft_wrap=True)
