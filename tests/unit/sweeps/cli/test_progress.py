import io
import time

import pytest
from rich.console import Console

from sweeps.cli import progress
from sweeps.cli.progress import create_watcher, format_duration, format_status, render_front
from sweeps.run.state import Status
from sweeps.study.trial import Trial

METRICS = ("score", "connection_cost", "modularity")
FRONT = tuple(
    Trial(
        number,
        "COMPLETE",
        {"cost_weight": 0.01 * number},
        mean=dict.fromkeys(METRICS, number / 10),
        stderr=dict.fromkeys(METRICS, 0.01),
    )
    for number in (1, 3, 2)
)
STATUS = Status(3, 8, 1, 2, 60_000, 40_000, 30.0, FRONT, None)


def make_console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=200)


def test_a_status_is_one_line():
    line = "3 of 8 trials complete, 1 failed, 2 running, 2,000 network-steps/s, 0:20 left, 3 on the front"
    assert format_status(STATUS) == line
    start = Status(0, 8, 0, 0, 0, 100, 0.0, (), "no answer")
    assert format_status(start).endswith("? left, 0 on the front, MLflow cannot be written: no answer")


def test_durations():
    assert [format_duration(s) for s in (0.4, 59.6, 3600, 36_125)] == ["0:00", "1:00", "1:00:00", "10:02:05"]


def test_a_front_is_sorted_by_its_first_objective(small_spec):
    console = make_console(False)
    console.print(render_front(FRONT, small_spec(), "Pareto front"))
    lines = console.file.getvalue().splitlines()
    assert lines[0].strip() == "Pareto front"
    assert [line.split()[0] for line in lines if line.strip()[:1].isdigit()] == ["3", "2", "1"]
    assert "0.3 ±0.01" in console.file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_while_the_context_is_open(small_spec, monkeypatch, terminal):
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.01)
    console = make_console(terminal)
    with create_watcher(console, small_spec())(lambda: STATUS):
        time.sleep(0.05)
    assert format_status(STATUS) in console.file.getvalue()
    length = len(console.file.getvalue())
    time.sleep(0.03)
    assert len(console.file.getvalue()) == length
