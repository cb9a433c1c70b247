import io
import time
from dataclasses import replace

import pytest
from rich.console import Console

from sweeps.cli import progress
from sweeps.cli.progress import create_watcher, format_duration, format_status
from sweeps.run.state import Status
from sweeps.study.trial import Trial

FRONT = tuple(
    Trial(
        number,
        "COMPLETE",
        {"cost_weight": 0.01 * number},
        values=dict.fromkeys(("val_score", "connection_cost", "modularity"), number / 10),
        stderr=dict.fromkeys(("val_score", "connection_cost", "modularity"), 0.01),
    )
    for number in (1, 3, 2)
)
STATUS = Status(3, 8, 1, 2, True, 0, 60_000, 40_000, 30.0, FRONT, None)


def make_console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=200)


def test_a_status_is_one_line(small_spec):
    line = "searching, 3 of 8 trials complete, 1 failed, 2 running, 2,000 network-steps/s, 0:20 left, 3 on the front"
    assert format_status(STATUS, small_spec()) == line
    start = Status(0, 8, 0, 0, True, 0, 0, 100, 0.0, (), "no answer")
    assert format_status(start, small_spec()).endswith("0 on the front, MLflow cannot be written: no answer")


def test_the_speed_is_told_once_it_is_measured(small_spec):
    start = replace(STATUS, network_steps=0)
    line = format_status(start, small_spec())
    assert "2 running, measuring speed, 3 on the front" in line
    assert "left" not in line


def test_a_status_has_the_phase(small_spec):
    spec = small_spec(confirm={"replicates": 4})
    searching = format_status(replace(STATUS, confirmed=1), spec)
    assert searching.startswith("searching, ") and searching.endswith("3 on the front, 1 confirmed")
    assert format_status(replace(STATUS, complete=8, searching=False), spec).startswith(
        "confirming, 8 of 8 trials complete"
    )
    only = format_status(STATUS, small_spec(), confirms_only=True)
    assert only.startswith("confirming, 3 of 8 trials complete") and only.endswith("0 confirmed")
    variants = small_spec(search={}, variants={"a": {}, "b": {}}, trials=None)
    assert format_status(STATUS, variants).startswith("3 of 8 trials complete")


def test_durations():
    assert [format_duration(s) for s in (0.4, 59.6, 3600, 36_125)] == ["0:00", "1:00", "1:00:00", "10:02:05"]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_while_the_context_is_open(small_spec, monkeypatch, terminal):
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.01)
    console = make_console(terminal)
    with create_watcher(console, small_spec())(lambda: STATUS):
        time.sleep(0.05)
    assert format_status(STATUS, small_spec()) in console.file.getvalue()
    length = len(console.file.getvalue())
    time.sleep(0.03)
    assert len(console.file.getvalue()) == length
