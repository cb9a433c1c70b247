import json
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sweeps.cli import terminal
from sweeps.run.state import Summary
from sweeps.service.submission import LaunchResult
from sweeps.store import Store

SUMMARY = Summary("small", 3, 3, 0, 6000, 2.0, 2, {"training": 0.75}, (), 0.1, 0.2, None, 0, None, None, False, False)


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.setattr(terminal.shutil, "which", lambda _: "/usr/bin/bimt")


def summarize(capsys, spec, store=None, **changes):
    terminal.print_summary(Summary(**(vars(SUMMARY) | changes)), spec, store or Store.resolve(), as_json=False)
    return capsys.readouterr().out


def test_a_summary_says_what_to_type_next(capsys, small_spec):
    out = summarize(capsys, small_spec())
    assert "3 of 3 trials complete in 0:02 on 2 workers, 3,000 network-steps/s" in out
    assert "Worker time: training 75%" in out
    assert "Report:  bimt report small  (took 0.1 s, 0.2 MB)" in out
    assert "Browse:  bimt ui\n" in out


def test_a_summary_names_a_store_elsewhere_but_no_password(capsys, small_spec, tmp_path):
    store = Store(tmp_path, storage="postgresql://me:hidden@host/db", tracking_uri="http://host:5000")
    out = summarize(capsys, small_spec(), store)
    assert f"bimt best small --store {tmp_path} --storage URL --by modularity" in out
    assert "Browse:  http://host:5000\n" in out
    assert "hidden" not in out


def test_a_summary_gives_the_reason_of_every_problem(capsys, small_spec):
    for changes, text in [
        ({"complete": 1}, "Stopped before the end; launching again under the same name continues"),
        ({"complete": 1, "failed": 5, "gave_up": True}, "Gave up: 5 trials failed in this launch; see: bimt trials"),
        ({"unwritten": 4, "tracking_problem": "full"}, "MLflow lacks 4 records (full); the next launch writes them"),
        ({"tracking_problem": "slow"}, "MLflow: slow"),
        ({"checkpoints_problem": "gone"}, "Checkpoints: gone"),
        ({"report_problem": "broken"}, "No report: broken"),
    ]:
        assert text in summarize(capsys, small_spec(), **changes)


def test_a_summary_as_json_has_all_fields(capsys, small_spec):
    terminal.print_summary(SUMMARY, small_spec(), Store.resolve(), as_json=True)
    data = json.loads(capsys.readouterr().out)
    assert set(data) == set(vars(SUMMARY))
    assert data["front"] == []


def test_launches_are_printed_with_their_position(capsys):
    results = [LaunchResult("a", "waiting", new=True, position=2), LaunchResult("b", "running", new=False)]
    terminal.print_launches(results, as_json=False)
    out = capsys.readouterr().out
    assert "Sweep a is waiting on the cluster: position 2 in the queue\n" in out
    assert "Sweep b is running already on the cluster\n" in out
    terminal.print_launches(results, as_json=True)
    assert json.loads(capsys.readouterr().out)[0] == {"name": "a", "state": "waiting", "new": True, "position": 2}


def test_a_frame_has_null_or_nothing_for_missing_values(capsys):
    frame = pd.DataFrame({"score": [0.123456, np.nan], "when": [datetime(2026, 1, 2), pd.NaT]}, index=["a", "b"])
    terminal.print_frame(frame.rename_axis("name"), as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["score"] == 0.123456
    assert rows[0]["when"].startswith("2026-01-02")
    assert rows[1] == {"name": "b", "score": None, "when": None}
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
