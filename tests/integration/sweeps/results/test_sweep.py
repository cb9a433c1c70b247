import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from bimt_core import METRICS, measure
from sweeps.errors import BadInputError, StoreError
from sweeps.results.sweep import list_sweeps, open_sweep
from sweeps.store import Store
from sweeps.study.study import SweepStudy

COMPLETE = [0, 2, 4]


@pytest.fixture(scope="module")
def sweep(finished):
    return open_sweep("small", finished)


@pytest.fixture(scope="module")
def answer(confirmed):
    """A confirmed sweep."""
    return open_sweep("small", confirmed)


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
    first = ["role", "state", "attempt", "retry_of", "networks", "confirmed", "bimodal"]
    searched = ["cost_weight", "move_moments", "steps", "hidden_width", "relocate_every"]
    rest = ["feasible", "reason", "started", "ended"]
    assert sweep.trials().columns.tolist() == [*first, *searched, *metrics, *rest]


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
        if complete.loc[other, "val_score"] >= complete.loc[one, "val_score"]
        and complete.loc[other, "connection_cost"] < complete.loc[one, "connection_cost"]
    }
    front = sweep.pareto()
    assert set(front.index) == set(COMPLETE) - dominated
    assert front["val_score"].is_monotonic_decreasing
    columns = sweep.trials().columns.tolist()
    assert front.columns.tolist()[: len(columns)] == columns
    assert set(front["still_on_front"]) == {"not confirmed"}
    assert front["searched_val_score"].equals(front["val_score"].rename("searched_val_score"))


def test_a_sweep_without_complete_trials_has_empty_frames(new_store, tmp_path, small_spec):
    store = new_store(tmp_path)
    study = SweepStudy.launch(store, small_spec())
    sweep = open_sweep("small", store)
    for frame in (sweep.trials(), sweep.pareto(), sweep.best(), sweep.baseline(), sweep.confirmation()):
        assert len(frame) == 0
    assert len(sweep.networks()) == len(sweep.network_front()) == 0
    assert "val_score" in sweep.pareto().columns
    study.start_search({"cost_weight": 1e-3}, "random")
    assert sweep.trials()["state"].tolist() == ["RUNNING"]
    assert len(sweep.pareto()) == len(sweep.best(by="modularity")) == len(sweep.networks()) == 0


# The best


def test_the_best_come_first(sweep):
    for by, metric in METRICS.items():
        if by.startswith("test"):
            continue
        values = sorted(sweep.trials().loc[COMPLETE, by], reverse=metric.direction == "maximize")
        for n in (1, 2, 9):
            best = sweep.best(by=by, n=n)
            assert best[by].tolist() == values[:n]
            assert set(best["state"]) == {"COMPLETE"}
    assert sweep.best().index.tolist() == sweep.best(by="val_score").index.tolist()


def test_bounds_are_kept(sweep):
    frame = sweep.trials().loc[COMPLETE]
    middle = float(frame["connection_cost"].median())
    within = set(frame.index[frame["connection_cost"] <= middle])
    assert set(sweep.best(f"connection_cost <= {middle!r}", n=9).index) == within


# Confirmed values


def test_the_front_has_confirmed_values(answer):
    front, searched = answer.pareto(), answer.trials()
    assert set(front.index) == {1, 2}
    assert front["confirmed"].to_dict() == {1: 3, 2: 2}
    assert set(front["still_on_front"]) <= {"yes", "no", "unsure"}
    networks = answer.networks()
    for trial in (1, 2):
        own = networks[(networks["trial"] == trial) & networks["data_seed"].isna()]
        for metric in METRICS:
            for phase, frame in (("confirmation", front), ("search", searched)):
                values = own.loc[own["phase"] == phase, metric]
                assert frame.loc[trial, metric] == pytest.approx(values.mean(), rel=1e-12)
                assert frame.loc[trial, f"{metric}_stderr"] == pytest.approx(values.sem(), rel=1e-9, abs=1e-15)
        assert front.loc[trial, "searched_val_score"] == searched.loc[trial, "val_score"]
    assert answer.best(n=9)["confirmed"].gt(0).all()


def test_the_baseline_is_marked_and_not_on_the_front(answer):
    assert answer.trials()["role"].to_dict() == {0: "baseline", 1: "search", 2: "search"}
    baseline = answer.baseline()
    assert baseline.index.tolist() == [0]
    assert baseline.loc[0, ["role", "still_on_front", "confirmed"]].tolist() == ["baseline", "baseline", 2]
    assert 0 not in [*answer.pareto().index, *answer.best(n=9).index]


def test_a_confirmation_compares_searched_and_confirmed_values_with_the_baseline(answer):
    frame = answer.confirmation()
    assert frame.index.tolist() == list(itertools.product((0, 1, 2), ("val_score", "connection_cost")))
    cost = frame.xs("connection_cost", level="objective")
    assert cost["networks"].tolist() == [2, 3, 2]
    assert (cost["low"] < cost["confirmed"]).all() and (cost["confirmed"] < cost["high"]).all()
    assert math.isnan(cost.loc[0, "ratio"])
    assert cost.loc[2, "ratio"] == pytest.approx(cost.loc[2, "confirmed"] / cost.loc[0, "confirmed"])
    other = answer.confirmation(data_seed=7)
    assert other.index.unique("trial").tolist() == [1]
    assert other["networks"].tolist() == [2, 2]
    assert len(answer.confirmation(data_seed=8)) == 0


def test_every_network_is_a_row(answer):
    networks = answer.networks()
    seeds = networks.groupby(["trial", "phase"])["seed"].apply(list).to_dict()
    assert seeds == {
        (0, "search"): [0, 1],
        (0, "confirmation"): [4, 5],
        (1, "search"): [0, 1, 2, 3],
        (1, "confirmation"): [4, 5, 6, 4, 5],
        (2, "search"): [0, 1],
        (2, "confirmation"): [4, 5],
    }
    assert networks["data_seed"].dropna().tolist() == [7, 7]
    front = answer.network_front()
    assert front["data_seed"].isna().all()
    for _, one in front.iterrows():
        others = networks[networks["data_seed"].isna()]
        better = (others["val_score"] >= one["val_score"]) & (others["connection_cost"] < one["connection_cost"])
        assert not better.any()


def test_networks_of_all_phases_are_loaded(answer):
    for _, row in answer.networks().iterrows():
        data_seed = None if pd.isna(row["data_seed"]) else row["data_seed"]
        network = answer.network(row["trial"], seed=row["seed"], data_seed=data_seed)
        assert (network.seed, network.score()) == (row["seed"], row["test_score"])
    assert [answer.network(1, replicate).seed for replicate in range(4)] == [0, 1, 2, 3]
    assert answer.network(1, 1, data_seed=7).seed == 5
    population, _ = answer.population(1)
    confirmed, _ = answer.population(1, "confirmation")
    assert torch.equal(population.flat[3], answer.network(1, 3).population.flat[0])
    assert torch.equal(confirmed.flat[2], answer.network(1, seed=6).population.flat[0])
    assert answer.population(1, "confirmation", data_seed=7)[1] is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trial": 3}, "trial must not be one that adds networks to another, got 3: see trial 1"),
        ({"trial": 9}, "trial must be between 0 and 8, got 9"),
        ({"trial": 1, "replicate": 4}, "replicate must be between 0 and 3, got 4"),
        (
            {"trial": 1, "seed": 9},
            "seed must be that of a network of trial 1, one of 0, 1, 2, 3, 4, 5, 6, got 9",
        ),
        ({"trial": 1, "data_seed": 8}, "data_seed must be that of a confirmation of trial 1, got 8"),
    ],
)
def test_networks_that_a_confirmed_sweep_does_not_have(answer, options, message):
    with pytest.raises(BadInputError, match=f"^{message}$"):
        answer.network(**options)


# Networks


@pytest.mark.parametrize("trial", COMPLETE)
@pytest.mark.parametrize("replicate", [0, 1])
def test_a_network_has_the_score_that_was_recorded(sweep, replicates, trial, replicate):
    network = sweep.network(trial, replicate)
    recorded = replicates[trial].iloc[replicate]
    assert network.seed == recorded["seed"] == 1 + replicate
    assert network.score() == recorded["test_score"]
    metrics = measure(network.population, network.task)
    assert {name: values.item() for name, values in metrics.items()} == pytest.approx(
        recorded[list(METRICS)].to_dict(), rel=1e-5, abs=1e-7
    )


def test_the_history_ends_with_the_best_replicate(sweep, replicates):
    history = sweep.history(2)
    assert [entry.step for entry in history] == [0, 20, 40]
    best = int(replicates[2]["val_loss"].idxmin())
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


# MLflow


def test_weights_that_mlflow_does_not_have_yet(new_store, tmp_path, small_spec):
    store = new_store(tmp_path)
    study = SweepStudy.launch(store, small_spec())
    trial = study.start_search({"cost_weight": 1e-3}, "random")
    study.complete(trial.number, {name: [0.0, 0.0] for name in METRICS}, {})
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
        "small": {
            "task": "two_moons",
            "trials": 3,
            "complete": 3,
            "fail": 3,
            "running": 1,
            "waiting": 1,
            "confirmed": 0,
        }
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
