import json
import math
import time
from dataclasses import replace

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.cohorts import THREE, cohort, trained

from bimt_core import METRICS, deserialize_population, initialise, load_task, measure, start, train
from bimt_core.networks import to_dict
from sweeps.spec.recipe import recipe
from sweeps.worker.artifacts import pick_best_and_median
from sweeps.worker.checkpoint import read_checkpoint, write_checkpoint
from sweeps.worker.cohort import CohortSpec, Member, evaluation_steps, find_failure
from sweeps.worker.history import deserialize_history


def same_bits(one, other):
    return torch.equal(one.view(torch.uint8), other.view(torch.uint8))


# Reports


@given(st.integers(1, 30_000), st.integers(1, 60))
def test_reports_are_spread_evenly_and_cover_the_last_step(steps, evaluations):
    at = evaluation_steps(steps, evaluations)
    assert at[-1] == steps
    assert at[0] >= 1
    assert len(at) == min(steps, evaluations)
    gaps = [b - a for a, b in zip([0, *at], at, strict=False)]
    assert max(gaps) - min(gaps) <= 1
    assert min(gaps) >= 1


def test_a_cohort_reports_at_its_points(three):
    assert [report.snapshot.step for report in three] == [10, 20, 30, 40]
    assert [report.last for report in three] == [False, False, False, True]
    assert [bool(report.files) for report in three] == [False, False, False, True]


def test_figures_are_those_of_each_members_own_networks(three):
    last = three[-1]
    population = last.snapshot.population
    values = measure(population, load_task("two_moons"), louvain_seeds=10)
    assert len(last.figures) == 3
    for member, figures in enumerate(last.figures):
        assert list(figures) == list(METRICS)
        for name in METRICS:
            assert figures[name] == values[name][2 * member : 2 * member + 2].tolist()


def test_a_cohort_trains_what_its_members_ask_for(three):
    task = load_task("two_moons")
    recipes = [recipe(task, member.params) for member in THREE.members]
    snapshot = start(initialise(recipes[0].network, [3, 4] * 3, dtype=task.dtype))
    per_network = [r.per_network for r in recipes for _ in range(2)]
    (alone,) = train(snapshot, task, per_network, recipes[0].shared, [40])
    assert same_bits(alone.population.flat, three[-1].snapshot.population.flat)
    first, second, third = (figures["connection_cost"] for figures in three[-1].figures)
    assert max(second) < min(first)
    assert first != third


def test_time_is_accounted_for():
    before = time.perf_counter()
    evaluations = trained(THREE)
    wall = time.perf_counter() - before
    assert all(list(report.seconds) == ["training", "measuring", "drawing"] for report in evaluations)
    spent = sum(sum(report.seconds.values()) for report in evaluations)
    assert 0.5 * wall < spent <= wall
    assert all(report.seconds["training"] > 0 for report in evaluations)


def test_a_cohort_says_of_itself_what_is_needed_to_train_it_elsewhere():
    data = json.loads(json.dumps(THREE.as_dict()))
    assert CohortSpec.from_dict(data) == THREE
    spec = cohort({"cost_phases": [[0.0, 1.0], [0.5, 2.0]]})
    again = CohortSpec.from_dict(json.loads(json.dumps(spec.as_dict())))
    assert trained(again)[-1].figures == trained(spec)[-1].figures


# What is left of a trial


def test_a_trial_leaves_weights_configuration_and_diagrams(three):
    files = three[-1].files
    assert list(files) == [10, 11, 12]
    for number, of_trial in files.items():
        kinds = ("best.png", "all_replicates.svg", "sketch.svg", "interactive.html")
        names = [f"diagrams/{kind}" for kind in kinds]
        assert sorted(of_trial) == sorted(["weights.safetensors", "history.safetensors", "config.yaml", *names])
        assert all(of_trial[name].startswith(b"\x89PNG") for name in names if name.endswith("png"))
        assert all(b"<svg" in of_trial[name] for name in names if name.endswith("svg"))
        first = 2 * (number - 10)
        weights = deserialize_population(of_trial["weights.safetensors"])
        assert same_bits(weights.flat, three[-1].snapshot.population.flat[first : first + 2])


def test_the_configuration_names_every_setting(three):
    config = yaml.safe_load(three[-1].files[11]["config.yaml"])
    r = recipe(load_task("two_moons"), THREE.members[1].params)
    assert (config["task"], config["data_seed"], config["seeds"]) == ("two_moons", None, [3, 4])
    assert config["per_network"] == vars(r.per_network)
    assert config["shared"].items() >= {"steps": 40, "relocation": "assignment", "move_moments": True}.items()
    assert config["searched"] == dict(THREE.members[1].params)
    assert config["network"] == json.loads(json.dumps(to_dict(r.network)))


def test_a_trial_leaves_the_history_of_its_best_replicate(three):
    last = three[-1]
    for index, (number, files) in enumerate(last.files.items()):
        best, _ = pick_best_and_median(last.figures[index])
        moments = deserialize_history(files["history.safetensors"], last.snapshot.population.network)
        assert [moment.step for moment in moments] == [0, *(report.snapshot.step for report in three)]
        for moment, report in zip(moments[1:], three, strict=True):
            (own,) = report.snapshot.population.flat[[2 * (number - 10) + best]]
            assert same_bits(moment.population.flat[0], own.float())
            labels = report.snapshot.population.output_labels[2 * (number - 10) + best]
            assert moment.population.output_labels[0].tolist() == labels.tolist()


# Failures


NEIGHBOURS = ({"cost_weight": 1e-3}, {"cost_weight": 2e-3}, {"cost_weight": 3e-3})


@pytest.fixture(scope="module")
def healthy():
    return trained(cohort(*NEIGHBOURS, evaluations=2))[-1]


@pytest.mark.parametrize(
    ("place", "change"),
    [(0, {"learning_rate": 1e30}), (1, {"cost_weight": 1e300, "learning_rate": 1e38}), (2, {"learning_rate": 1e30})],
)
def test_a_trial_that_diverges_fails_and_leaves_its_neighbours_alone(healthy, place, change):
    params = list(NEIGHBOURS)
    params[place] = change
    report = trained(cohort(*params, evaluations=2))[-1]
    assert list(report.failures) == [10 + place]
    assert report.failures[10 + place].startswith("replicate 0 diverged: its train_loss is ")
    assert sorted(report.files[10 + place]) == ["config.yaml", "weights.safetensors"]
    for member in {0, 1, 2} - {place}:
        rows = slice(2 * member, 2 * member + 2)
        for one, other in (
            (report.snapshot.population.flat, healthy.snapshot.population.flat),
            (report.snapshot.population.input_labels, healthy.snapshot.population.input_labels),
            (report.snapshot.moments.first, healthy.snapshot.moments.first),
            (report.snapshot.moments.second, healthy.snapshot.moments.second),
        ):
            assert same_bits(one[rows], other[rows])
        assert report.figures[member] == healthy.figures[member]
        assert report.files[10 + member] == healthy.files[10 + member]
    assert not same_bits(report.snapshot.population.flat, healthy.snapshot.population.flat)


def test_a_trial_that_loses_all_its_weights_fails_at_the_end():
    doomed = {"cost_weight": 100.0, "learning_rate": 9e-4, "layer_distance": 10.0}
    kept = {"cost_weight": 0.0, "learning_rate": 9e-4, "layer_distance": 10.0}
    evaluations = trained(cohort(doomed, kept, seeds=(0,), evaluations=2, steps=1500))
    assert evaluations[-1].failures == {10: "replicate 0 lost all its weights"}
    assert evaluations[-1].figures[0]["active_weights"] == [0.0]
    assert evaluations[0].failures == {}
    assert "diagrams/best.png" not in evaluations[-1].files[10]
    assert "diagrams/best.png" in evaluations[-1].files[11]


def test_why_a_trial_fails_names_the_replicate():
    fine = {name: [1.0, 1.0, 1.0] for name in METRICS}
    assert find_failure(fine, last=True) is None
    assert find_failure(fine | {"score": [1.0, 1.0, -math.inf]}, last=True) == "replicate 2 diverged: its score is -inf"
    assert (
        find_failure(fine | {"test_loss": [1.0, math.nan, 1.0]}, last=False)
        == "replicate 1 diverged: its test_loss is nan"
    )
    empty = fine | {"active_weights": [1.0, 0.0, 1.0]}
    assert find_failure(empty, last=True) == "replicate 1 lost all its weights"
    assert find_failure(empty, last=False) is None


# Going on


@pytest.mark.parametrize("at", [0, 2])
def test_a_cohort_goes_on_as_if_it_had_never_stopped(three, tmp_path, at):
    network = three[at].snapshot.population.network
    write_checkpoint(tmp_path, three[at].snapshot, three[at].history, [5, 6, 7])
    rest = trained(THREE, *read_checkpoint(tmp_path, network))
    assert [report.snapshot.step for report in rest] == [report.snapshot.step for report in three[at + 1 :]]
    for again, report in zip(rest, three[at + 1 :], strict=True):
        assert again.figures == report.figures
        assert again.files == report.files
        assert same_bits(again.snapshot.population.flat, report.snapshot.population.flat)
        assert same_bits(again.snapshot.moments.second, report.snapshot.moments.second)


def test_a_cohort_that_was_trained_already_is_only_measured(three, tmp_path):
    network = three[-1].snapshot.population.network
    write_checkpoint(tmp_path, three[-1].snapshot, three[-1].history, [5, 6, 7])
    (report,) = trained(THREE, *read_checkpoint(tmp_path, network))
    assert report.last
    assert report.figures == three[-1].figures
    assert report.files == three[-1].files


# Numbers and compiling


@pytest.mark.parametrize(("dtype", "expected"), [(None, torch.float32), ("float64", torch.float64)])
def test_a_cohort_trains_in_the_numbers_asked_for(dtype, expected):
    *_, last = trained(replace(THREE, dtype=dtype))
    assert last.snapshot.population.flat.dtype == expected
    assert deserialize_population(last.files[10]["weights.safetensors"]).flat.dtype == expected
    assert yaml.safe_load(last.files[10]["config.yaml"])["dtype"] == dtype


def test_tokens_can_be_trained_in_float32():
    spec = CohortSpec("permutation_s4", None, (Member(0, {"steps": 3}),), (0,), 1, dtype="float32")
    *_, last = trained(spec)
    assert last.snapshot.population.flat.dtype == torch.float32
    assert last.failures == {}


def test_a_compiled_cohort_ends_where_a_plain_one_does(three):
    *_, last = trained(replace(THREE, compiled=True))
    torch.testing.assert_close(last.snapshot.population.flat, three[-1].snapshot.population.flat, rtol=1e-3, atol=1e-4)
