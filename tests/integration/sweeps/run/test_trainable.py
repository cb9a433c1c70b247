"""Ray Tune's view of a cohort, without Ray."""

import json
import os
import pickle
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ray import tune
from support.cohorts import THREE, cohort

from sweeps.run.trainable import CohortTrainable, KeepLast, evaluation_to_dict
from sweeps.worker.checkpoint import SavedCheckpoint
from sweeps.worker.cohort import Member


def test_a_result_is_plain_data(three):
    results = [evaluation_to_dict(report) for report in three]
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
    left = SavedCheckpoint(str(tmp_path), 10, (old[2], old[0]))
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
    trainable = CohortTrainable(of(cohort({"cost_weight": 1e-3}, steps=10)))
    trainable.step()
    assert trainable.reset_config(of(THREE))
    assert trainable.step()["figures"] == list(three[0].figures)


def test_a_cohort_that_raises_reports_why():
    result = CohortTrainable(of(cohort({"cost_weight": -1.0}))).step()
    assert result["done"]
    assert result["error"] == "ValueError: cost_weight must be at least 0, got -1.0"
    assert result["traceback"].startswith("Traceback")
