from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.command_line import list_files

from bimt_core import METRICS, load_population


@pytest.fixture
def store(finished, monkeypatch):
    monkeypatch.setenv("BIMT_STORE", str(finished.folder))
    return finished


def test_trials_are_listed_with_all_columns_as_json(bimt_json, store):
    rows = bimt_json("trials", "small")
    assert [row["trial"] for row in rows] == list(range(8))
    assert {"state", "reason", "retry_of", "cost_weight", "feasible", "started", *METRICS} <= set(rows[0])
    assert isinstance(rows[0]["val_score"], float)
    assert isinstance(rows[0]["steps"], int)
    assert rows[0]["feasible"] is True
    assert rows[0]["move_moments"] is True
    assert rows[1]["val_score"] is rows[0]["retry_of"] is rows[0]["reason"] is None
    assert rows[4]["retry_of"] == 3
    assert rows[0]["started"].startswith("20")
    assert rows[7]["started"] is None


def test_trials_are_listed_as_a_table(bimt, store):
    code, out, errors = bimt("trials", "small")
    assert (code, errors) == (0, [])
    lines = out.splitlines()
    counts = {state: sum(state in line for line in lines) for state in ("COMPLETE", "FAIL", "RUNNING", "WAITING")}
    assert counts == {"COMPLETE": 3, "FAIL": 3, "RUNNING": 1, "WAITING": 1}
    assert "replicate 0" in out
    assert "±" in out
    assert not {"nan", "None", "NaT"} & set(out.split())
    assert max(map(len, lines)) <= 140


def test_the_front_and_the_best_are_listed(bimt, bimt_json, store):
    for command in ("pareto", "best"):
        assert {row["state"] for row in bimt_json(command, "small")} == {"COMPLETE"}
        code, out, _ = bimt(command, "small")
        assert code == 0
        assert "connection cost" in " ".join(out.split())


def test_the_front_is_listed_with_its_verdicts_and_the_baseline(bimt, bimt_json, confirmed):
    rows = bimt_json("pareto", "small", "--store", confirmed.folder)
    assert [row["role"] for row in rows] == ["search", "search", "baseline"]
    assert {row["still_on_front"] for row in rows[:2]} <= {"yes", "no", "unsure"}
    code, out, errors = bimt("pareto", "small", "--store", confirmed.folder)
    assert (code, errors) == (0, [])
    front, confirmation = out.split("Searched and confirmed, with 95 % intervals")
    for table in (front, confirmation):
        labels = [line.split()[:2] for line in table.splitlines() if line.strip()[:1].isdigit()]
        assert sorted(label[0] for label in labels) == ["0", "1", "2"]
        assert ["0", "baseline"] in labels
    assert bimt_json("best", "small", "--store", confirmed.folder)[0]["role"] == "search"


def test_a_front_without_confirmation_says_so(bimt, store):
    out = bimt("pareto", "small")[1]
    assert "not confirmed" in out
    assert "Searched and confirmed" not in out


def test_networks_are_listed(bimt, bimt_json, confirmed):
    rows = bimt_json("networks", "small", "--store", confirmed.folder)
    assert len(rows) == 3 * 2 + 2 + 3 * 2 + 1 + 2
    front = bimt_json("networks", "small", "--front", "--store", confirmed.folder)
    assert 0 < len(front) < len(rows)
    assert all(row in rows for row in front)
    code, out, errors = bimt("networks", "small", "--front", "--store", confirmed.folder)
    assert (code, errors) == (0, [])
    assert len([line for line in out.splitlines() if line.strip()[:1].isdigit()]) == len(front)


def test_the_best_are_chosen_by_metric_bounds_and_number(bimt, bimt_json, store):
    rows = bimt_json("best", "small", "--by", "connection_cost", "--n", 3, "--where", "val_score >= 0")
    costs = [row["connection_cost"] for row in rows]
    assert len(costs) == 3
    assert costs == sorted(costs)
    assert bimt_json("best", "small", "--where", "val_score >= 2") == []
    assert bimt("best", "small", "--where", "val_score >= 2")[:2] == (0, "none\n")


def test_a_trial_is_exported(bimt, bimt_json, store, tmp_path):
    rows = bimt_json("export", "small", 0, "my trial")
    names = ["config.yaml", "weights.safetensors", "replicates.json", "diagrams", "confirmation.json"]
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
    missing = tmp_path / "none" / "x.html"
    code, out, errors = bimt("report", "small", "--output", missing)
    assert (code, out) == (2, "")
    assert errors == [f"bimt: output must be a file that can be written, got {missing}: No such file or directory"]


def test_variants_are_compared(bimt, compared, tmp_path, monkeypatch):
    monkeypatch.setattr("sweeps.cluster.capacity.count_cores", lambda: 1)
    code, out, errors = bimt("compare", "small", "--store", compared.folder)
    assert (code, errors) == (0, ["measured small"])
    assert out.startswith("# small\n")
    assert "| connection cost |" in out
    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", lambda workers, _: ThreadPoolExecutor(workers))
    code, out, _ = bimt("compare", "small", "--store", compared.folder, "--output", "written")
    assert code == 0
    names = {"comparison.md", "networks.png", "networks.csv"}
    assert all(name in out for name in names)
    assert {path.name for path in (tmp_path / "written").iterdir()} == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trials", "none"], "no sweep 'none' in "),
        (["pareto", "../x"], "no sweep '../x' in "),
        (["networks", "none"], "no sweep 'none' in "),
        (["best", "none", "--storage", "nonsense"], "the study storage must be a URL such as sqlite:///study.db"),
        (["export", "none", "0", "x"], "no sweep 'none' in "),
        (["report", "none"], "no sweep 'none' in "),
        (["compare", "none"], "no sweep or suite 'none' in the store; there are: none"),
    ],
)
def test_an_unknown_sweep_is_one_line_and_leaves_no_files(bimt, tmp_path, arguments, message):
    code, out, (line,) = bimt(*arguments)
    assert (code, out) == (2, "")
    assert line.startswith("bimt: ")
    assert message in line
    assert list_files(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trials", "smal"], "there are: small"),
        (["compare", "small"], "sweep 'small' has no variants to compare"),
        (["best", "small", "--by", "beauty"], "by: metric must be one of train_loss, "),
        (["best", "small", "--where", "score > 1"], "where: must read like 'val_score >= 0.9', got 'score > 1'"),
        (["best", "small", "--by", "test_loss"], "by must not use test rows, because a choice by them makes their val"),
        (["export", "small", "1", "x"], "trial must be complete, got trial 1, which is FAIL"),
        (["export", "small", "99", "x"], "trial must be between 0 and 7, got 99"),
    ],
)
def test_a_mistake_about_a_sweep_is_one_line_and_changes_nothing(bimt, store, tmp_path, arguments, message):
    before = list_files(store.folder)
    code, out, (line,) = bimt(*arguments)
    assert (code, out) == (2, "")
    assert message in line
    assert list_files(store.folder) == before
    assert list_files(tmp_path) == []


def test_an_unreadable_store_is_not_a_mistake_of_the_user(bimt, store):
    code, out, (line,) = bimt("export", "small", "0", "x", "--tracking-uri", "moon://here")
    assert (code, out) == (1, "")
    assert line.startswith("bimt: cannot read config.yaml from MLflow: ")
