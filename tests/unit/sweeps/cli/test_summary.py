import json
from dataclasses import replace

import pytest
from support.example_sweeps import BASELINE, FRONT, create_sweep, example_spec

from sweeps.cli import summary, terminal
from sweeps.run.agenda import ConfirmRequest
from sweeps.run.state import Summary
from sweeps.store import Store

SUMMARY = Summary(
    name="small",
    complete=3,
    wanted=3,
    failed=0,
    network_steps=6000,
    wall_s=2.0,
    workers=2,
    worker_time={"training": 0.75},
    front=(),
    confirmed=(),
    finished=True,
    report_s=0.1,
    report_mb=0.2,
    report_problem=None,
    unwritten=0,
    tracking_problem=None,
    checkpoints_problem=None,
    gave_up=False,
    stopped=False,
)


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.setattr(terminal.shutil, "which", lambda _: "/usr/bin/bimt")


@pytest.fixture
def confirmed_sweep(tmp_path, small_spec):
    """A sweep whose first trial was on the front by luck."""
    confirmed = {0: (0.80, 32.0), 1: (0.94, 21.0), 2: (0.91, 11.0), 3: (0.5, 1.0), None: (0.92, 41.0)}
    spec = example_spec(small_spec, confirm={"replicates": 4})
    return create_sweep(tmp_path / "store", spec, FRONT, baseline=BASELINE, confirmed=confirmed)


def summarize(capsys, spec, store=None, request=None, **changes):
    summary.print_summary(replace(SUMMARY, **changes), spec, store or Store.resolve(), as_json=False, request=request)
    return capsys.readouterr().out


def select_front(sweep):
    return [trial for trial in sweep.completed_trials() if trial.role == "search"]


def test_a_summary_says_what_to_type_next(capsys, small_spec):
    out = summarize(capsys, small_spec())
    assert "3 of 3 trials complete in 0:02 on 2 workers, 3,000 network-steps/s" in out
    assert "Worker time: training 75%" in out
    assert "Report:  bimt report small  (took 0.1 s, 0.2 MB)" in out
    assert "Browse:  bimt ui\n" in out
    assert "Searched and confirmed" not in out


def test_a_launch_that_had_nothing_to_train_has_no_speed(capsys, small_spec):
    out = summarize(capsys, small_spec(), network_steps=0, wall_s=0.0, worker_time={})
    assert "3 of 3 trials complete in 0:00 on 2 workers\n" in out


def test_a_summary_names_a_store_elsewhere_but_no_password(capsys, small_spec, tmp_path):
    store = Store(tmp_path, storage="postgresql://me:hidden@host/db", tracking_uri="http://host:5000")
    out = summarize(capsys, small_spec(), store)
    assert f"bimt best small --store {tmp_path} --storage URL --by modularity" in out
    assert "Browse:  http://host:5000\n" in out
    assert "hidden" not in out


def test_a_summary_gives_the_reason_of_every_problem(capsys, small_spec):
    stopped = "Stopped before the end; launching again under the same name continues"
    for changes, text in [
        ({"complete": 1, "finished": False}, stopped),
        ({"finished": False}, stopped),
        ({"complete": 1, "failed": 5, "gave_up": True}, "Gave up: 5 trials failed in this launch; see: bimt trials"),
        ({"unwritten": 4, "tracking_problem": "full"}, "MLflow lacks 4 records (full); the next launch writes them"),
        ({"tracking_problem": "slow"}, "MLflow: slow"),
        ({"checkpoints_problem": "gone"}, "Checkpoints: gone"),
        ({"report_problem": "broken"}, "No report: broken"),
    ]:
        assert text in summarize(capsys, small_spec(), **changes)
    assert stopped not in summarize(capsys, small_spec(), complete=1)


def test_a_summary_says_why_trials_are_missing(capsys, small_spec):
    variants = small_spec(search={}, variants={"a": {}, "b": {}}, trials=None)
    assert "Failed variants are not repeated; see: bimt trials small" in summarize(capsys, variants, complete=1)
    plateau = small_spec(confirm={"replicates": 4}, stop_when={"trials": 2, "gain": 0.02})
    out = summarize(capsys, plateau, complete=1)
    assert "The search ended early: the confirmed front grew by less than 0.02 of its size" in out


def test_a_summary_ends_with_searched_and_confirmed_values(capsys, confirmed_sweep):
    spec, front = confirmed_sweep.spec, select_front(confirmed_sweep)
    out = summarize(capsys, spec, front=front, confirmed=confirmed_sweep.confirmed_trials())
    assert out.index("Pareto front") < out.index("Searched and confirmed, with 95 % intervals") < out.index("Browse:")
    rows = [line.split() for line in out[out.index("Searched and confirmed") :].splitlines()]
    table = [row for row in rows if row and row[0].isdigit() and "[" in " ".join(row)]
    assert [row[0] for row in table] == ["4", "0", "1", "2", "3"]
    assert table[0][1] == "baseline"
    assert [row[-2:] for row in table[1:]] == [["no", "(0%)"], ["yes", "(99%)"], *[["yes", "(100%)"]] * 2]
    assert "Highest val_score" in out, "what was gained over the published setting"


def test_a_confirmation_alone_shows_no_front_of_the_search(capsys, confirmed_sweep):
    spec, front = confirmed_sweep.spec, select_front(confirmed_sweep)
    changes = {"front": front, "confirmed": confirmed_sweep.confirmed_trials()}
    out = summarize(capsys, spec, request=ConfirmRequest(4, 7), **changes)
    assert "Pareto front" not in out
    assert "Searched and confirmed, with 95 % intervals, on data seed 7" in out


def test_a_failed_confirmation_is_reported(capsys, confirmed_sweep):
    first, *others = select_front(confirmed_sweep)
    failed = replace(first.confirmed, failures=("replicate 2 diverged: its val_loss is nan",))
    front = [replace(first, confirmations={None: failed}), *others]
    out = summarize(capsys, confirmed_sweep.spec, front=front, confirmed=confirmed_sweep.confirmed_trials())
    assert "A confirmation of trial 0 failed: replicate 2 diverged: its val_loss is nan\n" in out


def test_a_summary_as_json_has_all_fields(capsys, small_spec, confirmed_sweep):
    terminal_only = replace(SUMMARY, confirmed=confirmed_sweep.confirmed_trials(), front=select_front(confirmed_sweep))
    summary.print_summary(terminal_only, confirmed_sweep.spec, Store.resolve(), as_json=True)
    data = json.loads(capsys.readouterr().out)
    assert set(data) == set(vars(SUMMARY))
    assert data["front"] == [0, 1, 2, 3]
    assert [(one["trial"], one["still_on_front"]) for one in data["confirmed"]] == [
        (4, "baseline"),
        (0, "no"),
        (1, "yes"),
        (2, "yes"),
        (3, "yes"),
    ]
