import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from support.command_line import list_files

from bimt_core import METRICS
from sweeps.run.agenda import ConfirmRequest
from sweeps.run.state import Status, Summary
from sweeps.service.code_version import code_version
from sweeps.service.queue import INCOMPLETE
from sweeps.service.submission import format_start
from sweeps.store import Store
from sweeps.study.study import SweepStudy

STATUS = Status(0, 1, 0, 0, True, 0, 0, 100, 0.0, (), None)
SUMMARY = Summary(
    name="small",
    complete=1,
    wanted=1,
    failed=0,
    network_steps=0,
    wall_s=0.0,
    workers=1,
    worker_time={},
    front=(),
    confirmed=(),
    finished=True,
    report_s=0.0,
    report_mb=0.0,
    report_problem=None,
    unwritten=0,
    tracking_problem=None,
    checkpoints_problem=None,
    gave_up=False,
    stopped=False,
)
DRIVER = """
import time
from sweeps.store import Store
from sweeps.study.ownership import hold_driver_lock
with hold_driver_lock(Store.resolve(), "small"):
    print("runs", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def store(finished, monkeypatch):
    monkeypatch.setenv("BIMT_STORE", str(finished.folder))
    return finished


def write(folder, data):
    path = folder / "my sweep.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_sweeps_are_listed(bimt, bimt_json, store):
    row = {"name": "small", "task": "two_moons", "trials": 3, "complete": 3, "fail": 3, "running": 1, "waiting": 1}
    assert bimt_json("ls") == [row | {"confirmed": 0}]
    code, out, _ = bimt("ls")
    assert code == 0
    assert "two_moons" in out


def test_status_counts_trials(bimt, bimt_json, store):
    (row,) = bimt_json("status", "small")
    assert (row["complete"], row["fail"], row["running"], row["waiting"]) == (3, 3, 1, 1)
    assert row["front"] == len(bimt_json("pareto", "small"))
    assert bimt("status", "small")[0] == 0


def test_status_counts_confirmed_trials(bimt_json, confirmed):
    (row,) = bimt_json("status", "small", "--store", confirmed.folder)
    assert (row["complete"], row["front"], row["confirmed"]) == (2, 2, 3)


def test_a_store_option_selects_another_store(bimt, bimt_json, finished):
    assert bimt_json("ls", "--store", finished.folder)[0]["name"] == "small"
    assert bimt("ls")[1] == "none\n"


@pytest.mark.parametrize(("options", "ended"), [([], signal.SIGTERM), (["--now"], signal.SIGKILL)])
def test_a_sweep_is_stopped(bimt_json, monkeypatch, tmp_path, options, ended):
    monkeypatch.setenv("BIMT_STORE", str(tmp_path))
    Store.resolve().prepare("small")
    with subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout.readline() == "runs\n"
        (row,) = bimt_json("stop", "small", *options)
        assert row == {"name": "small", "state": "killed" if options else "stopping"}
        assert driver.wait(60) == -ended


def test_a_sweep_is_resumed_with_its_own_spec(bimt, new_store, tmp_path, small_spec):
    store = new_store(tmp_path / "store")
    study = SweepStudy.launch(store, small_spec(trials=1))
    networks = {name: [1.0, 1.0] for name in METRICS}
    baseline = study.start_networks("baseline", study.spec.seeds)
    for trial in (baseline, study.start_search({"cost_weight": 1e-3}, "random")):
        study.complete(trial.number, networks, {})
    code, out, errors = bimt("resume", "small", "--store", store.folder)
    assert (code, errors) == (0, [])
    assert "1 of 1 trials complete in 0:00" in out


@pytest.fixture
def launched(monkeypatch):
    """Arguments of launches, which end at once with all that is wanted but for changes that a test makes."""
    calls, changes = [], {}

    def run(spec, store, *, confirm, watch):
        calls.append((spec.name, confirm))
        with watch(lambda: STATUS):
            pass
        return replace(SUMMARY, name=spec.name, **changes)

    monkeypatch.setattr("sweeps.run.driver.launch", run)
    return calls, changes


@pytest.mark.parametrize(
    ("options", "request_"),
    [
        ([], ConfirmRequest(2)),
        (["--replicates", 5], ConfirmRequest(5)),
        (["--data-seed", 7], ConfirmRequest(2, 7)),
    ],
)
def test_a_front_is_confirmed(bimt, confirmed, launched, options, request_):
    code, out, errors = bimt("confirm", "small", "--store", confirmed.folder, *options)
    assert (code, errors) == (0, [])
    assert launched[0] == [("small", request_)]
    assert f"confirming its front with {request_.replicates} networks per trial on fresh seeds" in out


def test_a_sweep_without_an_entry_is_confirmed_with_16_networks(bimt, finished, launched):
    assert bimt("confirm", "small", "--store", finished.folder)[0] == 0
    assert launched[0] == [("small", ConfirmRequest(16))]


def test_a_confirmation_that_was_stopped_is_incomplete(bimt, confirmed, launched):
    launched[1].update(finished=False, stopped=True)
    code, out, _ = bimt("confirm", "small", "--store", confirmed.folder)
    assert code == 1
    assert "Stopped before the end; confirming again continues" in out


def test_what_cannot_be_confirmed_is_one_line(bimt, new_store, compared, confirmed, launched, small_spec, tmp_path):
    empty = new_store(tmp_path / "store")
    SweepStudy.launch(empty, small_spec())
    for store, options, message in [
        (compared, [], "sweep 'small' has variants, which are compared and not confirmed: see bimt compare small"),
        (empty, [], "sweep 'small' has no front to confirm yet: no trial is complete and feasible"),
        (confirmed, ["--replicates", 2**31], "sweep 'small' cannot be confirmed: confirm needs seeds from "),
    ]:
        code, out, (line,) = bimt("confirm", "small", "--store", store.folder, *options)
        assert (code, out) == (2, "")
        assert line.startswith(f"bimt: {message}")
    assert launched[0] == []


@pytest.mark.parametrize(("complete", "code"), [(1, 0), (0, INCOMPLETE)])
def test_a_driver_on_a_cluster_prints_its_start_and_exits_with_its_end(
    bimt, monkeypatch, tmp_path, small, launched, complete, code
):
    launched[1].update(complete=complete, finished=complete == 1)
    monkeypatch.setenv("BIMT_ADDRESS", "http://127.0.0.1:9")  # not for the driver itself
    path = write(tmp_path, small(trials=1))
    ended, out, errors = bimt("launch", path, "--client-version", code_version())
    assert (ended, errors) == (code, [])
    assert format_start("small") in out.splitlines()
    assert format_start("small") not in bimt("launch", path, "--store", tmp_path)[1]


def test_the_driver_of_a_confirmation_on_a_cluster_prints_its_start(bimt, monkeypatch, confirmed, launched):
    monkeypatch.setenv("BIMT_ADDRESS", "http://127.0.0.1:9")  # not for the driver itself
    monkeypatch.setenv("BIMT_STORE", str(confirmed.folder))
    ended, out, errors = bimt("confirm", "small", "--replicates", 3, "--client-version", code_version())
    assert (ended, errors) == (0, [])
    assert launched[0] == [("small", ConfirmRequest(3))]
    assert format_start("small") in out.splitlines()
    assert bimt("confirm", "small", "--client-version", "0.0.9")[0] == 2


def test_a_failed_variant_leaves_a_comparison_incomplete(bimt, tmp_path, small, launched):
    launched[1].update(complete=1, wanted=2)
    path = write(tmp_path, small(search={}, variants={"a": {}, "b": {}}, trials=None))
    assert bimt("launch", path, "--store", tmp_path)[0] == 1
    path = write(tmp_path, small(trials=2))
    assert bimt("launch", path, "--store", tmp_path)[0] == 0


def test_an_address_in_the_environment_is_used_unless_a_store_is_given(bimt, store, monkeypatch):
    monkeypatch.setenv("BIMT_ADDRESS", "http://127.0.0.1:9")
    on_sweep = [[command, "small"] for command in ("status", "stop", "resume", "confirm")]
    for arguments in (["ls"], ["launch", "two_moons"], *on_sweep):
        code, out, (line,) = bimt(*arguments)
        assert (code, out) == (1, "")
        assert line.startswith("bimt: no cluster answers at http://127.0.0.1:9: ")
    assert bimt("ls", "--store", store.folder)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["launch", "none"], "'none' is neither a file nor a preset; presets are"),
        (["launch", "two_moons", "--trials", "0"], "trials: must be at least 1, got 0"),
        (["launch", "two_moons", "--name", "../x"], "name: must be 1 to 100 letters, digits"),
        (["launch", "paper_ablation", "--trials", "3"], "unknown key 'trials' of a suite, allowed are name, "),
        (["launch", "two_moons", "--client-version", "0.0.9"], "bimt-sweeps must run the same code on client and"),
        (
            ["launch", "two_moons", "--address", "http://127.0.0.1:9", "--storage", "sqlite:///x.db"],
            "storage and tracking-uri of a cluster's sweeps are set on its head; leave them out",
        ),
        (["status", "none"], "no sweep 'none' in "),
        (["stop", "none"], "no driver of sweep 'none' runs from "),
        (["resume", "none"], "no sweep 'none' in "),
        (["confirm", "none"], "no sweep 'none' in "),
        (["logs", "none"], "a sweep on this machine prints to its own terminal; for one on a cluster use --address"),
        (["ls", "--storage", "mssql+pymssql://x"], "a study storage at mssql+pymssql:// needs a database driver"),
        (["ls", "--address", "http://127.0.0.1:9", "--store", "x"], "give either --address, for a cluster, or --store"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_files(bimt, tmp_path, arguments, message):
    code, out, (line,) = bimt(*arguments)
    assert (code, out) == (2, "")
    assert line.startswith("bimt: ")
    assert message in line
    assert list_files(tmp_path) == []


def test_a_launch_that_asks_for_too_much_leaves_no_files(bimt, tmp_path, small):
    path = write(tmp_path, small(resources={"cpus": 100_000}))
    code, _, errors = bimt("launch", path)
    assert code == 2
    assert "resources.cpus must be at most this machine's" in errors[0]
    assert list_files(tmp_path) == [Path(path.name)]
