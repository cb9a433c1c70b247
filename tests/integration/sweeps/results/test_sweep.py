import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from matplotlib.figure import Figure

from bimt_core import METRICS, load_population, load_task, measure, to_png
from sweeps.errors import BadInputError, StoreError
from sweeps.results.sweep import list_sweeps, open_sweep
from sweeps.store import Store
from sweeps.study.study import SweepStudy

COMPLETE = [0, 2, 4]


@pytest.fixture(scope="module")
def sweep(finished):
    return open_sweep("small", finished)


@pytest.fixture(scope="module")
def replicates(sweep, tmp_path_factory):
    """Figures of each replicate, as the sweep logged them, by trial."""
    found = {}
    for trial in COMPLETE:
        folder = tmp_path_factory.mktemp("export")
        sweep.export(trial, folder)
        table = json.loads((folder / "replicates.json").read_text())
        found[trial] = pd.DataFrame(table["data"], columns=table["columns"])
    return found


# Frames


def test_every_trial_is_a_row(sweep):
    frame = sweep.trials()
    assert frame.index.tolist() == list(range(8))
    assert frame.index.name == "trial"
    states = ["COMPLETE", "FAIL", "COMPLETE", "FAIL", "COMPLETE", "FAIL", "RUNNING", "WAITING"]
    assert frame["state"].tolist() == states
    assert frame["attempt"].tolist() == [1, 1, 1, 1, 2, 1, 1, 2]
    assert frame["retry_of"].dropna().to_dict() == {4: 3, 7: 5}
    assert frame["reason"].dropna().to_dict() == {1: "replicate 0 diverged", 3: "its driver died", 5: "its driver died"}
    assert (frame["steps"] == 40).all()
    assert frame.loc[4, "cost_weight"] == frame.loc[3, "cost_weight"]


def test_columns_are_the_search_space_and_every_metric_with_its_error(sweep):
    figures = list(itertools.chain.from_iterable((name, f"{name}_stderr") for name in METRICS))
    searched = ["cost_weight", "move_moments", "steps", "hidden_width", "relocate_every"]
    rest = ["feasible", "reason", "started", "ended"]
    assert sweep.trials().columns.tolist() == ["state", "attempt", "retry_of", *searched, *figures, *rest]


def test_figures_are_means_over_the_replicates(sweep, replicates):
    frame = sweep.trials()
    for trial, table in replicates.items():
        for name in METRICS:
            assert frame.loc[trial, name] == pytest.approx(table[name].mean(), rel=1e-12)
            assert frame.loc[trial, f"{name}_stderr"] == pytest.approx(table[name].sem(), rel=1e-9, abs=1e-15)
    assert frame.loc[[1, 3, 6, 7], list(METRICS)].isna().all(axis=None)


def test_the_front_is_what_no_other_trial_beats(sweep):
    complete = sweep.trials().loc[COMPLETE]
    beaten = {
        one
        for one, other in itertools.permutations(COMPLETE, 2)
        if complete.loc[other, "score"] >= complete.loc[one, "score"]
        and complete.loc[other, "connection_cost"] < complete.loc[one, "connection_cost"]
    }
    front = sweep.pareto()
    assert set(front.index) == set(COMPLETE) - beaten
    assert front["score"].is_monotonic_decreasing
    assert front.columns.tolist() == sweep.trials().columns.tolist()


def test_a_sweep_without_complete_trials_has_empty_frames(new_store, tmp_path, small_spec):
    store = new_store(tmp_path)
    study = SweepStudy.launch(store, small_spec())
    sweep = open_sweep("small", store)
    assert len(sweep.trials()) == len(sweep.pareto()) == len(sweep.best()) == 0
    assert "score" in sweep.pareto().columns
    study.ask()
    assert sweep.trials()["state"].tolist() == ["RUNNING"]
    assert len(sweep.pareto()) == len(sweep.best(by="modularity")) == 0


# The best


@pytest.mark.parametrize("by", METRICS)
@pytest.mark.parametrize("n", [1, 2, 9])
def test_the_best_come_first(sweep, by, n):
    values = sweep.trials().loc[COMPLETE, by]
    best = sweep.best(by=by, n=n)
    turn = 1 if METRICS[by].direction == "minimize" else -1
    assert best[by].tolist() == sorted(values, key=lambda v: turn * v)[:n]
    assert set(best["state"]) == {"COMPLETE"}


def test_the_first_objective_decides_unless_told(sweep):
    assert sweep.best().index.tolist() == sweep.best(by="score").index.tolist()


def test_an_objective_is_best_in_the_sweeps_own_direction(new_store, tmp_path, small_spec):
    store = new_store(tmp_path)
    objectives = [{"metric": "modularity", "direction": "minimize"}]
    study = SweepStudy.launch(store, small_spec(objectives=objectives))
    for modularity in (0.5, 0.1, 0.3):
        study.complete(study.ask().number, dict.fromkeys(METRICS, 0.0) | {"modularity": modularity}, {})
    assert METRICS["modularity"].direction == "maximize"
    assert open_sweep("small", store).best(n=3).index.tolist() == [1, 2, 0]


def test_bounds_are_kept(sweep):
    frame = sweep.trials().loc[COMPLETE]
    middle, least = float(frame["connection_cost"].median()), float(frame["score"].min())
    where = f"connection_cost <= {middle!r}"
    assert set(sweep.best(where, n=9).index) == set(frame.index[frame["connection_cost"] <= middle])
    for both in (f"{where} and score >= {least!r}", f"{where}, score>={least!r}"):
        assert set(sweep.best(both, n=9).index) == set(sweep.best(where, n=9).index)
    assert len(sweep.best("score >= 2")) == 0


def test_the_sweeps_own_constraints_hold_unless_told(new_store, tmp_path, small_spec):
    store = new_store(tmp_path)
    study = SweepStudy.launch(store, small_spec(constraints=["score >= 0.5"]))
    for score in (0.4, 0.6):
        study.complete(study.ask().number, dict.fromkeys(METRICS, 0.0) | {"score": score}, {})
    sweep = open_sweep("small", store)
    assert sweep.best(n=9).index.tolist() == [1]
    assert sweep.best("score >= 0", n=9).index.tolist() == [1, 0]
    assert sweep.trials()["feasible"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"where": "score > 0.9"}, "where: must read like 'score >= 0.9', got 'score > 0.9'"),
        (
            {"where": "score >= 0.9 or score >= 1"},
            "where: must read like 'score >= 0.9', got 'score >= 0.9 or score >= 1'",
        ),
        ({"where": ""}, "where: must read like 'score >= 0.9', got ''"),
        ({"where": "score >= 1e"}, "where: must be a finite number, got '1e'"),
        ({"where": "beauty >= 1"}, f"where: metric must be one of {', '.join(METRICS)}, got 'beauty'"),
        ({"by": "beauty"}, f"metric must be one of {', '.join(METRICS)}, got 'beauty'"),
        ({"n": 0}, "n must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_asked_for(sweep, arguments, told):
    with pytest.raises(BadInputError) as caught:
        sweep.best(**arguments)
    assert str(caught.value) == told


# Networks


@pytest.mark.parametrize("trial", COMPLETE)
@pytest.mark.parametrize("replicate", [0, 1])
def test_a_network_gives_the_score_that_was_logged(sweep, replicates, trial, replicate):
    network = sweep.network(trial, replicate)
    logged = replicates[trial].iloc[replicate]
    assert network.seed == logged["seed"] == 1 + replicate
    assert network.score() == logged["score"]
    figures = measure(network.population, network.task)
    assert {name: values.item() for name, values in figures.items()} == pytest.approx(
        logged[list(METRICS)].to_dict(), rel=1e-5, abs=1e-7
    )


def test_a_network_predicts_in_the_tasks_order(sweep):
    network = sweep.network(0, 1)
    task = load_task("two_moons")
    rows = task.test_inputs.numpy()
    outputs = network.predict(rows)
    assert outputs.shape == (len(rows), 2)
    assert np.mean(outputs.argmax(1) == task.test_targets.numpy()) == pytest.approx(network.score())
    assert np.allclose(network.predict(rows[:3].tolist()), outputs[:3], atol=1e-6)
    assert np.array_equal(network.predict(task.test_inputs), outputs)


def test_a_network_is_drawn(sweep):
    assert len(to_png(sweep.network(0).diagram())) > len(to_png(Figure()))


@pytest.mark.parametrize(
    ("trial", "replicate", "told"),
    [
        (99, 0, "trial must be between 0 and 7, got 99"),
        (-1, 0, "trial must be between 0 and 7, got -1"),
        (1, 0, "trial must be complete, got trial 1, which is FAIL"),
        (6, 0, "trial must be complete, got trial 6, which is RUNNING"),
        (0, 2, "replicate must be between 0 and 1, got 2"),
        (0, -1, "replicate must be between 0 and 1, got -1"),
    ],
)
def test_a_network_that_is_not_there(sweep, trial, replicate, told):
    with pytest.raises(BadInputError, match=f"^{told}$"):
        sweep.network(trial, replicate)


# Copies


def test_a_trial_is_copied_out(sweep, finished, tmp_path):
    written = sweep.export(2, tmp_path / "a" / "b")
    assert written == [
        tmp_path / "a" / "b" / name for name in ("config.yaml", "weights.safetensors", "replicates.json", "diagrams")
    ]
    assert all(path.exists() for path in written)
    assert yaml.safe_load(written[0].read_text())["searched"]["steps"] == 40
    exported, network = load_population(written[1]), sweep.network(2, 1)
    assert torch.equal(exported.flat[1:], network.population.flat)
    assert sorted(path.name for path in written[3].iterdir()) == [
        "all_replicates.svg",
        "best.png",
        "interactive.html",
        "sketch.svg",
    ]


def test_copying_again_overwrites(sweep, tmp_path):
    sweep.export(2, tmp_path)
    (tmp_path / "config.yaml").write_text("other")
    sweep.export(0, tmp_path)
    assert (tmp_path / "config.yaml").read_text() != "other"
    assert torch.equal(load_population(tmp_path / "weights.safetensors").flat[:1], sweep.network(0).population.flat)


def test_a_trial_that_is_not_complete_is_not_copied(sweep, tmp_path):
    with pytest.raises(BadInputError, match="trial must be complete, got trial 1, which is FAIL"):
        sweep.export(1, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_written_is_told(sweep, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match=f"^folder must be writable, got {tmp_path}/file/x: Not a directory$"):
        sweep.export(0, tmp_path / "file" / "x")


def test_weights_that_mlflow_does_not_have_yet_are_told(new_store, tmp_path, small_spec):
    store = new_store(tmp_path)
    study = SweepStudy.launch(store, small_spec())
    study.complete(study.ask().number, dict.fromkeys(METRICS, 0.0), {})
    with pytest.raises(
        StoreError, match="MLflow has no run of trial 0 yet; launch the sweep again to write what waits"
    ):
        open_sweep("small", store).network(0)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:1", "moon://here", "sqlite:///FOLDER/no.db", "postgresql://127.0.0.1:1/x"]
)
def test_an_mlflow_that_cannot_be_read_is_told_in_one_line(finished, tmp_path, uri):
    (tmp_path / "no.db").write_text("no database " * 1000)
    elsewhere = Store(finished.folder, tracking_uri=uri.replace("FOLDER", str(tmp_path)))
    with pytest.raises(StoreError) as caught:
        open_sweep("small", elsewhere).network(0)
    assert str(caught.value).startswith("cannot read weights.safetensors from MLflow: ")
    assert "\n" not in str(caught.value)


def test_reading_makes_no_database(finished, tmp_path):
    elsewhere = Store(finished.folder, tracking_uri=f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(StoreError, match="MLflow has no run of trial 0 yet"):
        open_sweep("small", elsewhere).network(0)
    assert list(tmp_path.iterdir()) == []


# Stores


def test_sweeps_of_a_store_are_listed(finished):
    frame = list_sweeps(finished)
    assert frame.to_dict("index") == {
        "small": {"task": "two_moons", "trials": 3, "complete": 3, "fail": 3, "running": 1, "waiting": 1}
    }


def test_an_empty_store_lists_none(tmp_path):
    frame = list_sweeps(Store(tmp_path))
    assert len(frame) == 0
    assert "complete" in frame.columns


def test_the_default_store_is_that_of_the_environment(finished, monkeypatch):
    monkeypatch.setenv("BIMT_STORE", str(finished.folder))
    assert open_sweep("small").spec.name == "small"
    assert list_sweeps().index.tolist() == ["small"]


def test_there_is_no_such_sweep(finished):
    with pytest.raises(BadInputError, match=r"^no sweep 'smal' in .*; there are: small$"):
        open_sweep("smal", finished)


def test_means_survive_the_ledger_to_the_last_bit(sweep, replicates):
    frame = sweep.trials()
    for trial, table in replicates.items():
        assert frame.loc[trial, "test_loss"] == np.mean(table["test_loss"].tolist())
        assert not math.isnan(frame.loc[trial, "test_loss_stderr"])
