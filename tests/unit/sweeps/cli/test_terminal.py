import io
import json
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from sweeps.cli import terminal
from sweeps.service.submission import LaunchResult


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.setattr(terminal.shutil, "which", lambda _: "/usr/bin/bimt")


def test_launches_are_printed_with_their_position(capsys):
    results = [LaunchResult("a", "waiting", new=True, position=2), LaunchResult("b", "running", new=False)]
    terminal.print_launches(results, as_json=False)
    out = capsys.readouterr().out
    assert "Sweep a is waiting on the cluster: position 2 in the queue\n" in out
    assert "Sweep b is running already on the cluster\n" in out
    terminal.print_launches(results, as_json=True)
    assert json.loads(capsys.readouterr().out)[0] == {"name": "a", "state": "waiting", "new": True, "position": 2}


def test_a_frame_has_null_or_nothing_for_missing_values(capsys):
    frame = pd.DataFrame({"val_score": [0.123456, np.nan], "when": [datetime(2026, 1, 2), pd.NaT]}, index=["a", "b"])
    terminal.print_frame(frame.rename_axis("name"), as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["val_score"] == 0.123456
    assert rows[0]["when"].startswith("2026-01-02")
    assert rows[1] == {"name": "b", "val_score": None, "when": None}
    terminal.print_frame(frame.rename_axis("name"), as_json=False)
    out = capsys.readouterr().out
    assert "0.1235" in out
    assert not {"nan", "None", "NaT"} & set(out.split())


def test_no_rows_are_none(capsys):
    terminal.print_rows([], as_json=False)
    terminal.print_rows([], as_json=True)
    assert capsys.readouterr().out == "none\n[]\n"


def test_the_program_is_named_by_its_path_if_the_shell_does_not_find_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(terminal.shutil, "which", lambda _: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(Path(tmp_path) / "venv" / "bin" / "bimt")])
    terminal.print_launches([LaunchResult("a", "running", new=True)], as_json=False)
    assert "Watch:   venv/bin/bimt logs a --follow" in capsys.readouterr().out


def test_headers_are_wrapped_to_the_width_of_their_columns():
    console = Console(file=io.StringIO(), width=200)
    console.print(
        terminal.render_table(["trial", "weight_factor", "still_on_the_front"], [["1", "0.5", "not confirmed"]])
    )
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines[1:4] == ["        weight  still on the", " trial  factor  front", " ────────────────────────────"]
    assert lines[4].split() == ["1", "0.5", "not", "confirmed"]


def test_no_value_is_cut_off_where_a_table_is_too_wide():
    console = Console(file=io.StringIO(), width=30)
    console.print(terminal.render_table(["name", "value"], [["a" * 40, "b" * 40]]))
    text = console.file.getvalue()
    assert (text.count("a"), text.count("b")) == (40 + 2, 40)
