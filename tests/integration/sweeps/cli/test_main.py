import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bimt_core import METRICS, TASKS, load_population
from sweeps.cli.main import main
from sweeps.run.state import Summary
from sweeps.service.queue import INCOMPLETE
from sweeps.service.submission import own_version, started_line
from sweeps.spec.files import preset_names, preset_path, read_spec, read_specs
from sweeps.spec.sweep import parse_spec
from sweeps.store import Store
from sweeps.study.study import SweepStudy


@pytest.fixture
def bimt(monkeypatch, capsys, tmp_path):
    """Runs the command line in an empty folder; gives exit code, output and error lines."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bimt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err.splitlines()

    return run


@pytest.fixture
def bimt_json(bimt):
    """The same with --json; gives the data."""

    def no_constant(name):
        pytest.fail(f"{name} is no JSON")

    def run(*arguments):
        code, out, errors = bimt(*arguments, "--json")
        assert (code, errors) == (0, [])
        return json.loads(out, parse_constant=no_constant)

    return run


def write(folder, data):
    path = folder / "my sweep.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


# Without a store


def test_the_console_script_is_installed():
    script = Path(sys.executable).with_name("bimt")
    done = subprocess.run([script, "validate", "none"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bimt: 'none' is neither a file nor a preset; presets are ")
    assert done.stderr.count("\n") == 1


def test_tasks_are_listed(bimt, bimt_json):
    rows = bimt_json("tasks")
    assert [row["task"] for row in rows] == list(TASKS)
    assert rows[list(TASKS).index("two_moons")]["network"].startswith("2-")
    code, out, errors = bimt("tasks")
    assert (code, errors) == (0, [])
    assert all(name in out for name in TASKS)


def test_a_task_without_its_data_is_listed_with_the_reason(bimt, bimt_json, monkeypatch, tmp_path):
    monkeypatch.delenv("BIMT_MNIST", raising=False)
    row = bimt_json("tasks")[list(TASKS).index("mnist")]
    assert row["description"].startswith("not available: the files train-images-idx3-ubyte, ")
    assert str(tmp_path / "data" / "mnist") in row["description"]
    assert {row[key] for key in ("network", "score", "steps", "cost_weight")} == {None}
    code, out, errors = bimt("tasks")
    assert (code, errors) == (0, [])
    assert "not available" in out
    assert "None" not in out


def test_presets_are_listed(bimt, bimt_json):
    rows = bimt_json("presets")
    assert [row["preset"] for row in rows] == preset_names()
    assert {row["objectives"] for row in rows} >= {"minimize test_loss, minimize connection_cost"}
    assert all(name in bimt("presets")[1] for name in preset_names())


def test_the_sweeps_of_a_suite_are_printed_one_after_another(bimt, bimt_json):
    specs = read_specs(preset_path("paper_ablation"))
    assert [parse_spec(data) for data in bimt_json("validate", "paper_ablation")] == specs
    assert [parse_spec(data) for data in yaml.safe_load_all(bimt("validate", "paper_ablation")[1])] == specs


@pytest.mark.parametrize("name", sorted(set(preset_names()) - {"paper_ablation"}))
def test_a_preset_is_printed_with_all_its_defaults(bimt, bimt_json, name):
    spec = read_spec(preset_path(name))
    assert parse_spec(bimt_json("validate", name)) == spec
    code, out, errors = bimt("validate", name)
    assert (code, errors) == (0, [])
    assert parse_spec(yaml.safe_load(out)) == spec
    assert "sampler: tpe" in out


def test_a_file_is_checked(bimt_json, tmp_path, small):
    path = write(tmp_path, small(seed=3))
    assert bimt_json("validate", path)["seed"] == 3


def test_all_problems_of_a_file_are_told_on_a_line_each(bimt, tmp_path, small):
    path = write(tmp_path, small(name="../x", trials=0, colour=1))
    code, out, errors = bimt("validate", path)
    assert (code, out) == (2, "")
    assert [line.removeprefix(f"bimt: {path}: ").split(" ")[0] for line in errors] == ["name:", "trials:", "unknown"]


def test_there_is_help(bimt):
    code, out, _ = bimt("--help")
    assert code == 0
    commands = (
        "tasks",
        "presets",
        "validate",
        "launch",
        "ls",
        "status",
        "logs",
        "stop",
        "resume",
        "trials",
        "pareto",
        "best",
        "compare",
        "report",
        "export",
        "ui",
    )
    assert all(f"  {command} " in out for command in commands)


# A finished sweep


@pytest.fixture
def store(finished, monkeypatch):
    monkeypatch.setenv("BIMT_STORE", str(finished.folder))
    return finished


def test_sweeps_are_listed(bimt, bimt_json, store):
    row = {"name": "small", "task": "two_moons", "trials": 3, "complete": 3, "fail": 3, "running": 1, "waiting": 1}
    assert bimt_json("ls") == [row]
    code, out, _ = bimt("ls")
    assert code == 0
    assert "two_moons" in out


def test_status_counts_the_trials(bimt, bimt_json, store):
    (row,) = bimt_json("status", "small")
    assert (row["complete"], row["fail"], row["running"], row["waiting"]) == (3, 3, 1, 1)
    assert row["front"] == len(bimt_json("pareto", "small"))
    assert bimt("status", "small")[0] == 0


def test_trials_are_listed_with_everything_as_json(bimt_json, store):
    rows = bimt_json("trials", "small")
    assert [row["trial"] for row in rows] == list(range(8))
    assert {"state", "reason", "retry_of", "cost_weight", "feasible", "started", *METRICS} <= set(rows[0])
    assert isinstance(rows[0]["score"], float)
    assert isinstance(rows[0]["steps"], int)
    assert rows[0]["feasible"] is True
    assert rows[0]["move_moments"] is True
    assert rows[1]["score"] is rows[0]["retry_of"] is rows[0]["reason"] is None
    assert rows[4]["retry_of"] == 3
    assert rows[0]["started"].startswith("20")
    assert rows[7]["started"] is None


def test_trials_are_listed_for_a_person(bimt, store):
    code, out, errors = bimt("trials", "small")
    assert (code, errors) == (0, [])
    lines = out.splitlines()
    counts = {state: sum(state in line for line in lines) for state in ("COMPLETE", "FAIL", "RUNNING", "WAITING")}
    assert counts == {"COMPLETE": 3, "FAIL": 3, "RUNNING": 1, "WAITING": 1}
    assert "replicate 0" in out
    assert "±" in out
    assert not {"nan", "None", "NaT"} & set(out.split())
    assert max(map(len, lines)) <= 140


@pytest.mark.parametrize("command", ["pareto", "best"])
def test_the_front_and_the_best_are_listed(bimt, bimt_json, store, command):
    rows = bimt_json(command, "small")
    assert {row["state"] for row in rows} == {"COMPLETE"}
    code, out, _ = bimt(command, "small")
    assert code == 0
    assert "connection cost" in " ".join(out.split())


def test_the_best_are_chosen_by_metric_bounds_and_number(bimt_json, store):
    rows = bimt_json("best", "small", "--by", "connection_cost", "--n", 3, "--where", "score >= 0")
    costs = [row["connection_cost"] for row in rows]
    assert len(costs) == 3
    assert costs == sorted(costs)
    assert bimt_json("best", "small", "--where", "score >= 2") == []


def test_none_is_said_where_there_is_none(bimt, store):
    assert bimt("best", "small", "--where", "score >= 2")[:2] == (0, "none\n")


def test_a_trial_is_exported(bimt, bimt_json, store, tmp_path):
    rows = bimt_json("export", "small", 0, "my trial")
    names = ["config.yaml", "weights.safetensors", "replicates.json", "diagrams"]
    assert [Path(row["written"]).name for row in rows] == names
    assert sorted(path.name for path in (tmp_path / "my trial").iterdir()) == sorted(names)
    assert len(load_population(tmp_path / "my trial" / "weights.safetensors")) == 2
    assert bimt("export", "small", 0, "my trial")[0] == 0


def test_a_report_is_written(bimt, bimt_json, store, tmp_path):
    (row,) = bimt_json("report", "small")
    assert row == {"written": "small-report.html"}
    page = (tmp_path / "small-report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert bimt("report", "small", "--output", tmp_path / "my report.html")[0] == 0
    assert (tmp_path / "my report.html").read_text() == page
    nowhere = tmp_path / "none" / "x.html"
    code, out, errors = bimt("report", "small", "--output", nowhere)
    assert (code, out) == (2, "")
    assert errors == [f"bimt: output must be a file that can be written, got {nowhere}: No such file or directory"]


def test_the_option_names_the_store_too(bimt, bimt_json, finished, monkeypatch):
    assert bimt_json("ls", "--store", finished.folder)[0]["name"] == "small"
    assert bimt("ls")[1] == "none\n"


def test_variants_are_compared(bimt, compared, tmp_path):
    code, out, errors = bimt("compare", "small", "--store", compared.folder)
    assert (code, errors) == (0, ["measured small"])
    assert out.startswith("# small\n")
    assert "| connection cost |" in out
    code, out, _ = bimt("compare", "small", "--store", compared.folder, "--output", "there")
    assert code == 0
    assert [name in out for name in ("comparison.md", "networks.png", "networks.csv")] == [True] * 3
    assert {path.name for path in (tmp_path / "there").iterdir()} == {"comparison.md", "networks.png", "networks.csv"}


# A sweep that runs, or ran, here

DRIVER = """
import sys, time
from sweeps.store import Store
with Store.resolve().only_driver("small"):
    print("runs", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(("options", "ended"), [([], signal.SIGTERM), (["--now"], signal.SIGKILL)])
def test_a_sweep_is_stopped(bimt_json, monkeypatch, tmp_path, options, ended):
    monkeypatch.setenv("BIMT_STORE", str(tmp_path))
    Store.resolve().prepare("small")
    with subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout.readline() == "runs\n"
        (row,) = bimt_json("stop", "small", *options)
        assert row == {"name": "small", "state": "killed" if options else "stopping"}
        assert driver.wait(60) == -ended


def test_a_sweep_is_resumed_with_its_own_spec(bimt, new_store, monkeypatch, tmp_path, small_spec):
    store = new_store(tmp_path / "store")
    study = SweepStudy.launch(store, small_spec(trials=1))
    figures = dict.fromkeys(METRICS, 1.0)
    study.complete(study.ask().number, figures, figures)
    code, out, errors = bimt("resume", "small", "--store", store.folder)
    assert (code, errors) == (0, [])
    assert "1 of 1 trials complete in 0:00" in out


@pytest.mark.parametrize(("complete", "code"), [(1, 0), (0, INCOMPLETE)])
def test_a_driver_on_a_cluster_tells_its_client_that_it_has_begun_and_how_it_ended(
    bimt, monkeypatch, tmp_path, small, complete, code
):
    def run(spec, store, *, watch):
        with watch(lambda: None):
            pass
        return Summary(spec.name, complete, 1, 0, 0, 0.0, 1, {}, (), 0.0, 0.0, None, 0, None, None, False, False)

    monkeypatch.setattr("sweeps.run.driver.launch", run)
    monkeypatch.setenv("BIMT_ADDRESS", "http://127.0.0.1:9")  # not for the driver itself
    path = write(tmp_path, small(trials=1))
    ended, out, errors = bimt("launch", path, "--client-version", own_version())
    assert (ended, errors) == (code, [])
    assert started_line("small") in out.splitlines()
    assert started_line("small") not in bimt("launch", path, "--store", tmp_path)[1]


def test_an_address_in_the_environment_is_for_all_commands_but_those_that_name_a_store(bimt, store, monkeypatch):
    monkeypatch.setenv("BIMT_ADDRESS", "http://127.0.0.1:9")
    for arguments in (["ls"], ["status", "small"], ["stop", "small"], ["launch", "two_moons"], ["resume", "small"]):
        code, out, (line,) = bimt(*arguments)
        assert (code, out) == (1, "")
        assert line.startswith("bimt: no cluster answers at http://127.0.0.1:9: ")
    assert bimt("ls", "--store", store.folder)[0] == 0


# The user's mistakes


def untouched(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["validate", "none"], "'none' is neither a file nor a preset; presets are"),
        (["validate", "none.yaml"], "cannot read none.yaml: No such file or directory"),
        (["launch", "none"], "'none' is neither a file nor a preset; presets are"),
        (["launch", "two_moons", "--trials", "0"], "trials: must be at least 1, got 0"),
        (["launch", "two_moons", "--name", "../x"], "name: must be 1 to 100 letters, digits"),
        (["status", "none"], "no sweep 'none' in "),
        (["trials", "none"], "no sweep 'none' in "),
        (["pareto", "../x"], "no sweep '../x' in "),
        (["best", "none", "--storage", "nonsense"], "the study storage must be a URL such as sqlite:///study.db"),
        (["ls", "--storage", "mssql+pymssql://x"], "a study storage at mssql+pymssql:// needs a database driver"),
        (["export", "none", "0", "x"], "no sweep 'none' in "),
        (["report", "none"], "no sweep 'none' in "),
        (["compare", "none"], "no sweep or suite 'none' in the store; there are: none"),
        (["launch", "paper_ablation", "--trials", "3"], "unknown key 'trials' of a suite, allowed are name, "),
        (["ui"], "no store at "),
        (["stop", "none"], "no driver of sweep 'none' runs from "),
        (["resume", "none"], "no sweep 'none' in "),
        (["logs", "none"], "a sweep of this machine prints to its own terminal; for one of a cluster give --address"),
        (["ls", "--address", "http://127.0.0.1:9", "--store", "x"], "give either --address, for a cluster, or --store"),
        (
            ["best", "x", "--address", "http://127.0.0.1:9"],
            "results are in the cluster's study storage: set BIMT_STORAGE",
        ),
        (
            ["report", "x", "--address", "http://127.0.0.1:9", "--storage", "sqlite:///x.db"],
            "weights and pictures are in the cluster's MLflow: set MLFLOW_TRACKING_URI",
        ),
        (
            ["launch", "two_moons", "--address", "http://127.0.0.1:9", "--storage", "sqlite:///x.db"],
            "storage and tracking-uri of a cluster's sweeps are set on its head; leave them out",
        ),
        (["launch", "two_moons", "--client-version", "0.0.9"], "bimt-sweeps must be the same on client and cluster"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(bimt, tmp_path, arguments, told):
    code, out, errors = bimt(*arguments)
    assert (code, out) == (2, "")
    (line,) = errors
    assert line.startswith("bimt: ")
    assert told in line
    assert untouched(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["trials", "smal"], "there are: small"),
        (["compare", "small"], "sweep 'small' has no variants to compare"),
        (["best", "small", "--by", "beauty"], "metric must be one of train_loss, "),
        (["best", "small", "--where", "score > 1"], "where: must read like 'score >= 0.9', got 'score > 1'"),
        (["export", "small", "1", "x"], "trial must be complete, got trial 1, which is FAIL"),
        (["export", "small", "99", "x"], "trial must be between 0 and 7, got 99"),
    ],
)
def test_a_mistake_about_a_sweep_is_one_line_and_changes_nothing(bimt, store, tmp_path, arguments, told):
    before = untouched(store.folder)
    code, out, errors = bimt(*arguments)
    assert (code, out) == (2, "")
    (line,) = errors
    assert told in line
    assert untouched(store.folder) == before
    assert untouched(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["tasks", "--colour"], ["validate"], ["best", "x", "--n", "0"], ["export", "x", "first", "y"]],
)
def test_what_the_command_line_does_not_know_is_a_mistake(bimt, tmp_path, arguments):
    code, out, errors = bimt(*arguments)
    assert (code, out) == (2, "")
    assert errors[-1].startswith("Error: ")
    assert untouched(tmp_path) == []


def test_a_launch_that_asks_for_too_much_leaves_nothing(bimt, tmp_path, small):
    path = write(tmp_path, small(resources={"cpus": 100_000}))
    code, _, errors = bimt("launch", path)
    assert code == 2
    assert "resources.cpus must be at most this machine's" in errors[0]
    assert untouched(tmp_path) == [Path(path.name)]


def test_a_store_that_cannot_be_read_is_no_mistake_of_the_user(bimt, store, tmp_path):
    code, out, errors = bimt("export", "small", "0", "x", "--tracking-uri", "moon://here")
    assert (code, out) == (1, "")
    (line,) = errors
    assert line.startswith("bimt: cannot read config.yaml from MLflow: ")
