import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.command_line import list_files

from bimt_core import METRICS
from sweeps.run.state import Summary
from sweeps.service.code_version import code_version
from sweeps.service.queue import INCOMPLETE
from sweeps.service.submission import format_start
from sweeps.store import Store
from sweeps.study.study import SweepStudy

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
    assert bimt_json("ls") == [row]
    code, out, _ = bimt("ls")
    assert code == 0
    assert "two_moons" in out


def test_status_counts_trials(bimt, bimt_json, store):
    (row,) = bimt_json("status", "small")
    assert (row["complete"], row["fail"], row["running"], row["waiting"]) == (3, 3, 1, 1)
    assert row["front"] == len(bimt_json("pareto", "small"))
    assert bimt("status", "small")[0] == 0


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
    values = dict.fromkeys(METRICS, 1.0)
    study.complete(study.ask().number, values, values)
    code, out, errors = bimt("resume", "small", "--store", store.folder)
    assert (code, errors) == (0, [])
    assert "1 of 1 trials complete in 0:00" in out


@pytest.mark.parametrize(("complete", "code"), [(1, 0), (0, INCOMPLETE)])
def test_a_driver_on_a_cluster_prints_its_start_and_exits_with_its_end(
    bimt, monkeypatch, tmp_path, small, complete, code
):
    def run(spec, store, *, watch):
        with watch(lambda: None):
            pass
        return Summary(spec.name, complete, 1, 0, 0, 0.0, 1, {}, (), 0.0, 0.0, None, 0, None, None, False, False)

    monkeypatch.setattr("sweeps.run.driver.launch", run)
    monkeypatch.setenv("BIMT_ADDRESS", "http://127.0.0.1:9")  # not for the driver itself
    path = write(tmp_path, small(trials=1))
    ended, out, errors = bimt("launch", path, "--client-version", code_version())
    assert (ended, errors) == (code, [])
    assert format_start("small") in out.splitlines()
    assert format_start("small") not in bimt("launch", path, "--store", tmp_path)[1]


def test_an_address_in_the_environment_is_used_unless_a_store_is_given(bimt, store, monkeypatch):
    monkeypatch.setenv("BIMT_ADDRESS", "http://127.0.0.1:9")
    for arguments in (["ls"], ["status", "small"], ["stop", "small"], ["launch", "two_moons"], ["resume", "small"]):
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
