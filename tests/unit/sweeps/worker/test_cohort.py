import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.cohorts import QUICK, THREE, cohort, train_all

from bimt_core import METRICS, deserialize_population, initialise, load_task, measure, start, train
from bimt_core.networks import to_dict
from sweeps.spec.cohort import Member
from sweeps.spec.parts import Objective
from sweeps.worker.artifacts import pick_best_and_median
from sweeps.worker.checkpoint import read_checkpoint, write_checkpoint
from sweeps.worker.cohort import evaluation_steps, find_failure
from sweeps.worker.history import deserialize_history


def same_bits(one, other):
    return torch.equal(one.view(torch.uint8), other.view(torch.uint8))


# Evaluations


@given(st.integers(1, 30_000), st.integers(1, 60))
def test_evaluations_are_spread_evenly_and_include_the_last_step(steps, evaluations):
    at = evaluation_steps(steps, evaluations)
    assert at[-1] == steps
    assert at[0] >= 1
    assert len(at) == min(steps, evaluations)
    gaps = [b - a for a, b in zip([0, *at], at, strict=False)]
    assert max(gaps) - min(gaps) <= 1
    assert min(gaps) >= 1


def test_a_cohort_is_evaluated_at_its_points(three):
    assert [evaluation.snapshot.step for evaluation in three] == [10, 20, 30, 40]
    assert [evaluation.last for evaluation in three] == [False, False, False, True]
    assert [bool(evaluation.files) for evaluation in three] == [False, False, False, True]


def test_metrics_are_those_of_each_members_own_networks(three):
    last = three[-1]
    population = last.snapshot.population
    values = measure(population, load_task("two_moons"), louvain_seeds=10)
    assert len(last.metrics) == 3
    for member, metrics in enumerate(last.metrics):
        assert list(metrics) == list(METRICS)
        for name in METRICS:
            assert metrics[name] == values[name][2 * member : 2 * member + 2].tolist()


def test_a_cohort_trains_its_members_recipes(three):
    task = load_task("two_moons")
    recipes = THREE.recipes
    snapshot = start(initialise(recipes[0].network, [3, 4] * 3, dtype=task.dtype))
    per_network = [r.per_network for r in recipes for _ in range(2)]
    (alone,) = train(snapshot, task, per_network, recipes[0].shared, [40])
    assert same_bits(alone.population.flat, three[-1].snapshot.population.flat)
    first, second, third = (metrics["connection_cost"] for metrics in three[-1].metrics)
    assert max(second) < min(first)
    assert first != third


def test_the_time_of_each_activity_is_counted():
    before = time.perf_counter()
    evaluations = train_all(THREE)
    wall = time.perf_counter() - before
    assert all(list(evaluation.seconds) == ["training", "measuring", "drawing"] for evaluation in evaluations)
    spent = sum(sum(evaluation.seconds.values()) for evaluation in evaluations)
    assert 0.5 * wall < spent <= wall
    assert all(evaluation.seconds["training"] > 0 for evaluation in evaluations)


# Members


UNEQUAL = {3: Member(QUICK, (5,)), 8: Member(QUICK | {"cost_weight": 3e-3}, (7, 8, 9)), 5: Member(QUICK, (2, 6))}


@pytest.fixture(scope="module")
def unequal():
    """The last evaluation of a cohort whose members have one, three and two networks, on other data."""
    *_, last = train_all(replace(THREE, members=UNEQUAL, data_seed=4))
    return last


def test_members_may_have_different_numbers_of_networks(unequal):
    values = measure(unequal.snapshot.population, load_task("two_moons", 4), louvain_seeds=10)
    for metrics, rows in zip(unequal.metrics, (slice(0, 1), slice(1, 4), slice(4, 6)), strict=True):
        assert metrics == {name: values[name][rows].tolist() for name in METRICS}
    assert list(unequal.files) == [3, 8, 5]
    for number, rows in ((3, [0]), (8, [1, 2, 3]), (5, [4, 5])):
        weights = deserialize_population(unequal.files[number]["weights.safetensors"])
        assert same_bits(weights.flat, unequal.snapshot.population.flat[rows])
        config = yaml.safe_load(unequal.files[number]["config.yaml"])
        assert (config["seeds"], config["data_seed"]) == (list(UNEQUAL[number].seeds), 4)
        assert b"<svg" in unequal.files[number]["diagrams/all_replicates.svg"]


def test_each_network_is_trained_from_its_own_seed_on_the_cohorts_data(unequal):
    task, r = load_task("two_moons", 4), THREE.spec.recipe(QUICK)
    snapshot = start(initialise(r.network, [5, 7, 8, 9, 2, 6], dtype=task.dtype))
    costs = [r.per_network] + [replace(r.per_network, cost_weight=3e-3)] * 3 + [r.per_network] * 2
    (alone,) = train(snapshot, task, costs, r.shared, [40])
    assert same_bits(alone.population.flat, unequal.snapshot.population.flat)


def test_networks_do_not_depend_on_the_members_they_train_with(unequal):
    *_, alone = train_all(replace(THREE, members={8: UNEQUAL[8]}, data_seed=4))
    torch.testing.assert_close(
        alone.snapshot.population.flat, unequal.snapshot.population.flat[1:4], rtol=1e-4, atol=1e-5
    )


def jackknife(population, task, rows, aggregate, metric):
    """Standard error of an aggregate by leaving out every 20th row, each in turn."""
    prefix = {"val": "validation", "test": "test"}[rows]
    inputs, targets = getattr(task, f"{prefix}_inputs"), getattr(task, f"{prefix}_targets")
    without = []
    for group in range(20):
        kept = [i for i in range(len(inputs)) if i % 20 != group]
        outputs = population.predict(inputs[kept])
        without.append(aggregate(getattr(task, metric)(outputs, targets[kept]).double().numpy()))
    return np.sqrt(19 / 20 * sum((value - np.mean(without)) ** 2 for value in without))


def test_errors_of_rows_are_those_of_a_jackknife(unequal):
    task, population = load_task("two_moons", 4), unequal.snapshot.population
    for errors, member in zip(unequal.row_stderr, (slice(0, 1), slice(1, 4), slice(4, 6)), strict=True):
        assert list(errors) == ["val_loss", "val_score", "test_loss", "test_score"]
        networks = population.select(range(member.start, member.stop))
        for name, error in errors.items():
            rows, metric = name.split("_")
            assert error == pytest.approx(jackknife(networks, task, rows, np.mean, metric), rel=1e-3, abs=1e-9), name
            assert 0 < error < 0.1


def test_errors_of_rows_are_those_of_the_objectives_aggregate():
    objectives = (Objective(metric="val_loss", direction="minimize", aggregate="median"),)
    spec = THREE.spec.model_copy(update={"objectives": objectives, "evaluations": 1})
    *_, last = train_all(replace(THREE, spec=spec, members={8: UNEQUAL[8]}))
    for rows in ("val", "test"):
        expected = jackknife(last.snapshot.population, load_task("two_moons"), rows, np.median, "loss")
        assert last.row_stderr[0][f"{rows}_loss"] == pytest.approx(expected, rel=1e-3)


def test_errors_of_rows_are_measured_at_the_end_only(three):
    assert [len(evaluation.row_stderr) for evaluation in three] == [0, 0, 0, 3]


# Artifacts of a trial


def test_a_trial_has_weights_configuration_and_diagrams(three):
    files = three[-1].files
    assert list(files) == [10, 11, 12]
    for number, artifacts in files.items():
        kinds = ("best.png", "all_replicates.svg", "sketch.svg", "interactive.html")
        names = [f"diagrams/{kind}" for kind in kinds]
        assert sorted(artifacts) == sorted(["weights.safetensors", "history.safetensors", "config.yaml", *names])
        assert all(artifacts[name].startswith(b"\x89PNG") for name in names if name.endswith("png"))
        assert all(b"<svg" in artifacts[name] for name in names if name.endswith("svg"))
        first = 2 * (number - 10)
        weights = deserialize_population(artifacts["weights.safetensors"])
        assert same_bits(weights.flat, three[-1].snapshot.population.flat[first : first + 2])


def test_the_configuration_has_every_hyperparameter(three):
    config = yaml.safe_load(three[-1].files[11]["config.yaml"])
    r = THREE.recipes[1]
    assert (config["task"], config["data_seed"], config["seeds"]) == ("two_moons", None, [3, 4])
    assert config["per_network"] == vars(r.per_network)
    assert config["shared"].items() >= {"steps": 40, "relocation": "assignment", "move_moments": True}.items()
    assert config["searched"] == THREE.members[11].params
    assert config["network"] == json.loads(json.dumps(to_dict(r.network)))


def test_a_trial_has_the_history_of_its_best_replicate(three):
    last = three[-1]
    for index, (number, files) in enumerate(last.files.items()):
        best, _ = pick_best_and_median(last.metrics[index])
        entries = deserialize_history(files["history.safetensors"], last.snapshot.population.network)
        assert [entry.step for entry in entries] == [0, *(evaluation.snapshot.step for evaluation in three)]
        for entry, evaluation in zip(entries[1:], three, strict=True):
            (own,) = evaluation.snapshot.population.flat[[2 * (number - 10) + best]]
            assert same_bits(entry.population.flat[0], own.float())
            labels = evaluation.snapshot.population.output_labels[2 * (number - 10) + best]
            assert entry.population.output_labels[0].tolist() == labels.tolist()


# Failures


NEIGHBOURS = ({"cost_weight": 1e-3}, {"cost_weight": 2e-3}, {"cost_weight": 3e-3})


@pytest.fixture(scope="module")
def healthy():
    return train_all(cohort(*NEIGHBOURS, evaluations=2))[-1]


@pytest.mark.parametrize(
    ("member", "change"),
    [(0, {"learning_rate": 1e30}), (1, {"cost_weight": 1e300, "learning_rate": 1e38}), (2, {"learning_rate": 1e30})],
)
def test_a_trial_that_diverges_fails_without_changing_the_others(healthy, member, change):
    params = list(NEIGHBOURS)
    params[member] = change
    failed = train_all(cohort(*params, evaluations=2))[-1]
    assert list(failed.failures) == [10 + member]
    assert failed.failures[10 + member].startswith("replicate 0 diverged: its train_loss is ")
    assert sorted(failed.files[10 + member]) == ["config.yaml", "weights.safetensors"]
    for other in {0, 1, 2} - {member}:
        rows = slice(2 * other, 2 * other + 2)
        for one, same in (
            (failed.snapshot.population.flat, healthy.snapshot.population.flat),
            (failed.snapshot.population.input_labels, healthy.snapshot.population.input_labels),
            (failed.snapshot.moments.first, healthy.snapshot.moments.first),
            (failed.snapshot.moments.second, healthy.snapshot.moments.second),
        ):
            assert same_bits(one[rows], same[rows])
        assert failed.metrics[other] == healthy.metrics[other]
        assert failed.files[10 + other] == healthy.files[10 + other]
    assert not same_bits(failed.snapshot.population.flat, healthy.snapshot.population.flat)


def test_a_trial_that_loses_all_its_weights_fails_at_the_end():
    doomed = {"cost_weight": 100.0, "learning_rate": 9e-4, "layer_distance": 10.0}
    healthy = {"cost_weight": 0.0, "learning_rate": 9e-4, "layer_distance": 10.0}
    evaluations = train_all(cohort(doomed, healthy, seed=0, replicates=1, evaluations=2, steps=1500))
    assert evaluations[-1].failures == {10: "replicate 0 lost all its weights"}
    assert evaluations[-1].metrics[0]["active_weights"] == [0.0]
    assert evaluations[0].failures == {}
    assert "diagrams/best.png" not in evaluations[-1].files[10]
    assert "diagrams/best.png" in evaluations[-1].files[11]


def test_the_reason_of_a_failure_names_the_replicate():
    fine = {name: [1.0, 1.0, 1.0] for name in METRICS}
    assert find_failure(fine, last=True) is None
    assert (
        find_failure(fine | {"val_score": [1.0, 1.0, -math.inf]}, last=True)
        == "replicate 2 diverged: its val_score is -inf"
    )
    assert (
        find_failure(fine | {"test_loss": [1.0, math.nan, 1.0]}, last=False)
        == "replicate 1 diverged: its test_loss is nan"
    )
    empty = fine | {"active_weights": [1.0, 0.0, 1.0]}
    assert find_failure(empty, last=True) == "replicate 1 lost all its weights"
    assert find_failure(empty, last=False) is None


# Continuing


def test_members_with_different_numbers_of_networks_continue(unequal, tmp_path):
    cohort = replace(THREE, members=UNEQUAL, data_seed=4)
    first, *_ = train_all(cohort)
    sizes = {number: len(member.seeds) for number, member in UNEQUAL.items()}
    write_checkpoint(tmp_path, first.snapshot, first.history, sizes)
    *_, last = train_all(cohort, *read_checkpoint(tmp_path, first.snapshot.population.network))
    assert last.metrics == unequal.metrics
    assert last.row_stderr == unequal.row_stderr
    assert last.files == unequal.files


@pytest.mark.parametrize("at", [0, 2])
def test_a_cohort_continues_as_if_it_had_never_stopped(three, tmp_path, at):
    network = three[at].snapshot.population.network
    write_checkpoint(tmp_path, three[at].snapshot, three[at].history, {5: 2, 6: 2, 7: 2})
    rest = train_all(THREE, *read_checkpoint(tmp_path, network))
    assert [again.snapshot.step for again in rest] == [before.snapshot.step for before in three[at + 1 :]]
    for again, before in zip(rest, three[at + 1 :], strict=True):
        assert again.metrics == before.metrics
        assert again.files == before.files
        assert same_bits(again.snapshot.population.flat, before.snapshot.population.flat)
        assert same_bits(again.snapshot.moments.second, before.snapshot.moments.second)


def test_a_cohort_that_was_already_trained_is_only_measured(three, tmp_path):
    network = three[-1].snapshot.population.network
    write_checkpoint(tmp_path, three[-1].snapshot, three[-1].history, {5: 2, 6: 2, 7: 2})
    (last,) = train_all(THREE, *read_checkpoint(tmp_path, network))
    assert last.last
    assert last.metrics == three[-1].metrics
    assert last.files == three[-1].files


# Precision


@pytest.mark.parametrize(("dtype", "expected"), [(None, torch.float32), ("float64", torch.float64)])
def test_a_cohort_trains_in_the_spec_s_precision(dtype, expected):
    *_, last = train_all(cohort({"cost_weight": 0.0}, evaluations=1, dtype=dtype))
    assert last.snapshot.population.flat.dtype == expected
    assert deserialize_population(last.files[10]["weights.safetensors"]).flat.dtype == expected
    assert yaml.safe_load(last.files[10]["config.yaml"])["dtype"] == dtype


def test_tokens_can_be_trained_in_float32():
    tokens = cohort({"steps": 3}, task="permutation_s4", replicates=1, evaluations=1, dtype="float32")
    *_, last = train_all(tokens)
    assert last.snapshot.population.flat.dtype == torch.float32
    assert last.failures == {}
