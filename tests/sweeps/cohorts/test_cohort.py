import json
import math
import os
import pickle
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ray import tune

from bimt_core import METRICS, from_bytes, initialise, measure, start, task, train
from bimt_core.networks import to_dict
from sweeps.cohorts.checkpoint import Left, read_checkpoint, write_checkpoint
from sweeps.cohorts.cohort import (
    CohortSpec,
    Member,
    failure,
    report_steps,
    run_cohort,
)
from sweeps.cohorts.history import from_safetensors
from sweeps.cohorts.pictures import best_and_median
from sweeps.cohorts.trainable import CohortTrainable, KeepLast, result_of
from sweeps.specs.recipe import recipe

QUICK = {"steps": 40, "relocate_every": 15, "hidden_width": 6}
HARMLESS = {"cost_weight": 1e-3}


def cohort(*changes, seeds=(3, 4), reports=4, **common):
    """A cohort of quick trials; the first is number 10."""
    members = tuple(Member(10 + i, QUICK | common | change) for i, change in enumerate(changes))
    return CohortSpec("two_moons", None, members, seeds, reports)


def trained(spec, snapshot=None, history=()):
    return list(run_cohort(spec, snapshot, history))


THREE = cohort({"cost_weight": 0.0}, {"cost_weight": 3e-3, "weight_factor": 2.0}, {"learning_rate": 1e-2})


@pytest.fixture(scope="module")
def three():
    """Reports of a cohort of three trials with two replicates each."""
    return trained(THREE)


def same_bits(one, other):
    return torch.equal(one.view(torch.uint8), other.view(torch.uint8))


# Reports


@given(st.integers(1, 30_000), st.integers(1, 60))
def test_reports_are_spread_evenly_and_cover_the_last_step(steps, reports):
    at = report_steps(steps, reports)
    assert at[-1] == steps
    assert at[0] >= 1
    assert len(at) == min(steps, reports)
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
    values = measure(population, task("two_moons"), louvain_seeds=10)
    assert len(last.figures) == 3
    for member, figures in enumerate(last.figures):
        assert list(figures) == list(METRICS)
        for name in METRICS:
            assert figures[name] == values[name][2 * member : 2 * member + 2].tolist()


def test_a_cohort_trains_what_its_members_ask_for(three):
    the_task = task("two_moons")
    recipes = [recipe(the_task, member.params) for member in THREE.members]
    snapshot = start(initialise(recipes[0].network, [3, 4] * 3, dtype=the_task.dtype))
    knobs = [r.knobs for r in recipes for _ in range(2)]
    (alone,) = train(snapshot, the_task, knobs, recipes[0].schedule, [40])
    assert same_bits(alone.population.flat, three[-1].snapshot.population.flat)
    first, second, third = (figures["connection_cost"] for figures in three[-1].figures)
    assert max(second) < min(first)
    assert first != third


def test_time_is_accounted_for():
    before = time.perf_counter()
    reports = trained(THREE)
    wall = time.perf_counter() - before
    assert all(list(report.seconds) == ["training", "measuring", "drawing"] for report in reports)
    spent = sum(sum(report.seconds.values()) for report in reports)
    assert 0.8 * wall < spent <= wall
    assert all(report.seconds["training"] > 0 for report in reports)


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
        weights = from_bytes(of_trial["weights.safetensors"])
        assert same_bits(weights.flat, three[-1].snapshot.population.flat[first : first + 2])


def test_the_configuration_names_every_setting(three):
    config = yaml.safe_load(three[-1].files[11]["config.yaml"])
    r = recipe(task("two_moons"), THREE.members[1].params)
    assert (config["task"], config["data_seed"], config["seeds"]) == ("two_moons", None, [3, 4])
    assert config["knobs"] == vars(r.knobs)
    assert config["schedule"].items() >= {"steps": 40, "relocation": "assignment", "move_moments": True}.items()
    assert config["searched"] == dict(THREE.members[1].params)
    assert config["network"] == json.loads(json.dumps(to_dict(r.network)))


def test_a_trial_leaves_the_history_of_its_best_replicate(three):
    last = three[-1]
    for index, (number, files) in enumerate(last.files.items()):
        best, _ = best_and_median(last.figures[index])
        moments = from_safetensors(files["history.safetensors"], last.snapshot.population.network)
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
    return trained(cohort(*NEIGHBOURS, reports=2))[-1]


@pytest.mark.parametrize(
    ("place", "change"),
    [(0, {"learning_rate": 1e30}), (1, {"cost_weight": 1e300, "learning_rate": 1e38}), (2, {"learning_rate": 1e30})],
)
def test_a_trial_that_diverges_fails_and_leaves_its_neighbours_alone(healthy, place, change):
    params = list(NEIGHBOURS)
    params[place] = change
    report = trained(cohort(*params, reports=2))[-1]
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
    reports = trained(cohort(doomed, kept, seeds=(0,), reports=2, steps=1500))
    assert reports[-1].failures == {10: "replicate 0 lost all its weights"}
    assert reports[-1].figures[0]["active_weights"] == [0.0]
    assert reports[0].failures == {}
    assert "diagrams/best.png" not in reports[-1].files[10]
    assert "diagrams/best.png" in reports[-1].files[11]


def test_why_a_trial_fails_names_the_replicate():
    fine = {name: [1.0, 1.0, 1.0] for name in METRICS}
    assert failure(fine, last=True) is None
    assert failure(fine | {"score": [1.0, 1.0, -math.inf]}, last=True) == "replicate 2 diverged: its score is -inf"
    assert (
        failure(fine | {"test_loss": [1.0, math.nan, 1.0]}, last=False) == "replicate 1 diverged: its test_loss is nan"
    )
    empty = fine | {"active_weights": [1.0, 0.0, 1.0]}
    assert failure(empty, last=True) == "replicate 1 lost all its weights"
    assert failure(empty, last=False) is None


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


# Ray Tune's view, without Ray


def test_a_result_is_plain_data(three):
    results = [result_of(report) for report in three]
    assert [r["done"] for r in results] == [False, False, False, True]
    last = results[-1]
    json.dumps({key: value for key, value in last.items() if key != "files"}, allow_nan=False)
    assert dict(last["files"]) == three[-1].files
    assert (last["step"], last["figures"], last["device"]) == (40, list(three[-1].figures), "cpu")


def of(spec):
    return {"cohort": spec.as_dict()}


def test_a_trainable_steps_through_the_reports(three):
    trainable = CohortTrainable(of(THREE))
    for report in three:
        result = trainable.step()
        assert result["figures"] == list(report.figures)
        assert result["done"] is report.last


def test_a_trainable_goes_on_in_another_process_from_its_checkpoint(three, tmp_path):
    first, second = CohortTrainable(of(THREE)), CohortTrainable(of(THREE))
    first.step()
    first.save_checkpoint(str(tmp_path))
    second.load_checkpoint(str(tmp_path))
    assert second.step()["figures"] == list(three[1].figures)
    rest = [second.step() for _ in three[2:]]
    assert rest[-1]["files"] == list(three[-1].files.items()), "weights, pictures and the whole history"


class Poison:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_trainable_is_restored_without_unpickling(three, tmp_path):
    first, second = CohortTrainable(of(THREE)), CohortTrainable(of(THREE))
    folder, bitten = tmp_path / "checkpoint", tmp_path / "bitten"
    folder.mkdir()
    first.step()
    first.save_checkpoint(str(folder))
    (folder / "_dict_checkpoint.pkl").write_bytes(pickle.dumps(Poison(bitten)))
    record = SimpleNamespace(checkpoint=tune.Checkpoint(str(folder)), metrics={})
    second.restore(record)
    assert not bitten.exists()
    assert second.step()["figures"] == list(three[1].figures)


def test_a_report_does_not_travel_again_with_its_checkpoint(tmp_path):
    trainable = CohortTrainable(of(THREE))
    trainable.train()
    assert trainable.save(str(tmp_path)).metrics == {}


def test_a_place_that_refuses_checkpoints_is_tried_again_less_and_less(tmp_path):
    asked, saves, refuses = [], [], True

    class Refused(CohortTrainable):
        def save_checkpoint(self, checkpoint_dir):
            asked.append(len(saves))
            if refuses:
                raise OSError("no\nrights")

    trainable = Refused(of(THREE))
    assert trainable.step()["unsaved"] is None
    for _ in range(14):
        saves.append(trainable.save(str(tmp_path)).checkpoint)
    assert (saves, asked) == ([None] * 14, [0, 2, 6])
    assert trainable.step()["unsaved"] == "no rights"
    refuses = False
    assert trainable.save(str(tmp_path)).checkpoint is not None
    assert trainable.step()["unsaved"] is None


def test_of_the_checkpoints_of_a_cohort_the_last_is_kept():
    dropped = []
    keep = KeepLast(dropped.append)
    for name in ("a/checkpoint_000000", "b/checkpoint_000000", "b/checkpoint_000000", "a/checkpoint_000001"):
        keep.on_checkpoint(1, [], None, tune.Checkpoint(f"/launches/1/{name}"))
    assert dropped == ["a/checkpoint_000000"], "written again, after a worker's death, it is the last still"


def test_some_trials_go_on_from_what_another_launch_left(three, tmp_path):
    first = CohortTrainable(of(THREE))
    first.step()
    first.save_checkpoint(str(tmp_path))
    old = [member.number for member in THREE.members]
    left = Left(str(tmp_path), 10, (old[2], old[0]))
    members = tuple(Member(90 + i, THREE.members[i].params) for i in (2, 0))
    second = CohortTrainable(of(replace(THREE, members=members, left=left)))
    for report in three[1:]:
        result = second.step()
        assert result["step"] == report.snapshot.step
        for figures, index in zip(result["figures"], (2, 0), strict=True):
            for name, values in report.figures[index].items():
                assert figures[name] == pytest.approx(values, rel=1e-4, abs=1e-6), name
    assert [number for number, _ in result["files"]] == [92, 90]


def test_a_trainable_keeps_nothing_of_the_cohort_before(three):
    trainable = CohortTrainable(of(cohort(HARMLESS, steps=10)))
    trainable.step()
    assert trainable.reset_config(of(THREE))
    assert trainable.step()["figures"] == list(three[0].figures)


def test_a_cohort_that_raises_reports_why():
    result = CohortTrainable(of(cohort({"cost_weight": -1.0}))).step()
    assert result["done"]
    assert result["error"] == "ValueError: cost_weight must be at least 0, got -1.0"
    assert result["traceback"].startswith("Traceback")


# Numbers and compiling


@pytest.mark.parametrize(("dtype", "expected"), [(None, torch.float32), ("float64", torch.float64)])
def test_a_cohort_trains_in_the_numbers_asked_for(dtype, expected):
    *_, last = trained(replace(THREE, dtype=dtype))
    assert last.snapshot.population.flat.dtype == expected
    assert from_bytes(last.files[10]["weights.safetensors"]).flat.dtype == expected
    assert yaml.safe_load(last.files[10]["config.yaml"])["dtype"] == dtype


def test_tokens_can_be_trained_in_float32():
    spec = CohortSpec("permutation_s4", None, (Member(0, {"steps": 3}),), (0,), 1, dtype="float32")
    *_, last = trained(spec)
    assert last.snapshot.population.flat.dtype == torch.float32
    assert last.failures == {}


def test_a_compiled_cohort_ends_where_a_plain_one_does(three):
    *_, last = trained(replace(THREE, compiled=True))
    torch.testing.assert_close(last.snapshot.population.flat, three[-1].snapshot.population.flat, rtol=1e-3, atol=1e-4)
