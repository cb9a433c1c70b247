import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from bimt_core import METRICS, load_population, measure
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
    """Metrics of each replicate, as the sweep recorded them, by trial."""
    tables = {}
    for trial in COMPLETE:
        folder = tmp_path_factory.mktemp("export")
        sweep.export(trial, folder)
        table = json.loads((folder / "replicates.json").read_text())
        tables[trial] = pd.DataFrame(table["data"], columns=table["columns"])
    return tables


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
    metrics = list(itertools.chain.from_iterable((name, f"{name}_stderr") for name in METRICS))
    searched = ["cost_weight", "move_moments", "steps", "hidden_width", "relocate_every"]
    rest = ["feasible", "reason", "started", "ended"]
    assert sweep.trials().columns.tolist() == ["state", "attempt", "retry_of", *searched, *metrics, *rest]


def test_metrics_are_means_over_the_replicates(sweep, replicates):
    frame = sweep.trials()
    for trial, table in replicates.items():
        for name in METRICS:
            assert frame.loc[trial, name] == pytest.approx(table[name].mean(), rel=1e-12)
            assert frame.loc[trial, f"{name}_stderr"] == pytest.approx(table[name].sem(), rel=1e-9, abs=1e-15)
    assert frame.loc[[1, 3, 6, 7], list(METRICS)].isna().all(axis=None)


def test_no_trial_dominates_the_front(sweep):
    complete = sweep.trials().loc[COMPLETE]
    dominated = {
        one
        for one, other in itertools.permutations(COMPLETE, 2)
        if complete.loc[other, "score"] >= complete.loc[one, "score"]
        and complete.loc[other, "connection_cost"] < complete.loc[one, "connection_cost"]
    }
    front = sweep.pareto()
    assert set(front.index) == set(COMPLETE) - dominated
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


def test_the_best_come_first(sweep):
    for by, metric in METRICS.items():
        values = sorted(sweep.trials().loc[COMPLETE, by], reverse=metric.direction == "maximize")
        for n in (1, 2, 9):
            best = sweep.best(by=by, n=n)
            assert best[by].tolist() == values[:n]
            assert set(best["state"]) == {"COMPLETE"}
    assert sweep.best().index.tolist() == sweep.best(by="score").index.tolist()


def test_bounds_are_kept(sweep):
    frame = sweep.trials().loc[COMPLETE]
    middle = float(frame["connection_cost"].median())
    within = set(frame.index[frame["connection_cost"] <= middle])
    assert set(sweep.best(f"connection_cost <= {middle!r}", n=9).index) == within


# Networks


@pytest.mark.parametrize("trial", COMPLETE)
@pytest.mark.parametrize("replicate", [0, 1])
def test_a_network_has_the_score_that_was_recorded(sweep, replicates, trial, replicate):
    network = sweep.network(trial, replicate)
    recorded = replicates[trial].iloc[replicate]
    assert network.seed == recorded["seed"] == 1 + replicate
    assert network.score() == recorded["score"]
    metrics = measure(network.population, network.task)
    assert {name: values.item() for name, values in metrics.items()} == pytest.approx(
        recorded[list(METRICS)].to_dict(), rel=1e-5, abs=1e-7
    )


def test_the_history_ends_with_the_best_replicate(sweep, replicates):
    history = sweep.history(2)
    assert [entry.step for entry in history] == [0, 20, 40]
    best = int(replicates[2]["test_loss"].idxmin())
    assert torch.equal(history[-1].population.flat, sweep.network(2, best).population.flat.float())


@pytest.mark.parametrize(
    ("trial", "replicate", "message"),
    [
        (99, 0, "trial must be between 0 and 7, got 99"),
        (-1, 0, "trial must be between 0 and 7, got -1"),
        (1, 0, "trial must be complete, got trial 1, which is FAIL"),
        (6, 0, "trial must be complete, got trial 6, which is RUNNING"),
        (0, 2, "replicate must be between 0 and 1, got 2"),
        (0, -1, "replicate must be between 0 and 1, got -1"),
    ],
)
def test_a_network_that_does_not_exist(sweep, trial, replicate, message):
    with pytest.raises(BadInputError, match=f"^{message}$"):
        sweep.network(trial, replicate)


# Copies


def test_a_trial_is_exported(sweep, finished, tmp_path):
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


def test_exporting_again_overwrites(sweep, tmp_path):
    sweep.export(2, tmp_path)
    (tmp_path / "config.yaml").write_text("other")
    sweep.export(0, tmp_path)
    assert (tmp_path / "config.yaml").read_text() != "other"
    assert torch.equal(load_population(tmp_path / "weights.safetensors").flat[:1], sweep.network(0).population.flat)


def test_a_trial_that_is_not_complete_is_not_exported(sweep, tmp_path):
    with pytest.raises(BadInputError, match="trial must be complete, got trial 1, which is FAIL"):
        sweep.export(1, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_written(sweep, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match=f"^folder must be writable, got {tmp_path}/file/x: Not a directory$"):
        sweep.export(0, tmp_path / "file" / "x")


def test_weights_that_mlflow_does_not_have_yet(new_store, tmp_path, small_spec):
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
def test_an_mlflow_that_cannot_be_read_is_an_error_of_one_line(finished, tmp_path, uri):
    (tmp_path / "no.db").write_text("no database " * 1000)
    elsewhere = Store(finished.folder, tracking_uri=uri.replace("FOLDER", str(tmp_path)))
    with pytest.raises(StoreError) as caught:
        open_sweep("small", elsewhere).network(0)
    assert str(caught.value).startswith("cannot read weights.safetensors from MLflow: ")
    assert "\n" not in str(caught.value)


def test_reading_creates_no_database(finished, tmp_path):
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


def test_a_sweep_that_does_not_exist(finished):
    with pytest.raises(BadInputError, match=r"^no sweep 'smal' in .*; there are: small$"):
        open_sweep("smal", finished)


def test_means_survive_the_study_to_the_last_bit(sweep, replicates):
    frame = sweep.trials()
    for trial, table in replicates.items():
        assert frame.loc[trial, "test_loss"] == np.mean(table["test_loss"].tolist())
        assert not math.isnan(frame.loc[trial, "test_loss_stderr"])
