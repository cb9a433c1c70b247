"""Ray Tune's searcher, trainable and callback, called as Ray Tune does, without a Ray cluster."""

import json
import os
import pickle
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ray import cloudpickle, tune
from ray.tune.search import Searcher
from support.cohorts import THREE, cohort

from sweeps.run.tune import CohortSearcher, CohortTrainable, KeepLatest, evaluation_to_dict
from sweeps.spec.cohort import SavedCheckpoint


def test_a_result_is_plain_data(three):
    results = [evaluation_to_dict(evaluation) for evaluation in three]
    assert [r["done"] for r in results] == [False, False, False, True]
    last = results[-1]
    json.dumps({key: value for key, value in last.items() if key != "files"}, allow_nan=False)
    assert dict(last["files"]) == three[-1].files
    assert (last["step"], last["metrics"], last["device"]) == (40, list(three[-1].metrics), "cpu")
    assert [r["row_stderr"] for r in results] == [[], [], [], list(three[-1].row_stderr)]


def config(cohort):
    return {"cohort": cohort.to_dict()}


def test_a_step_trains_up_to_the_next_evaluation(three):
    trainable = CohortTrainable(config(THREE))
    for evaluation in three:
        result = trainable.step()
        assert result["metrics"] == list(evaluation.metrics)
        assert result["done"] is evaluation.last


def test_a_trainable_continues_from_a_checkpoint_in_another_process(three, tmp_path):
    first, second = CohortTrainable(config(THREE)), CohortTrainable(config(THREE))
    first.step()
    first.save_checkpoint(str(tmp_path))
    second.load_checkpoint(str(tmp_path))
    assert second.step()["metrics"] == list(three[1].metrics)
    rest = [second.step() for _ in three[2:]]
    assert rest[-1]["files"] == list(three[-1].files.items()), "weights, pictures and the complete history"


class Poison:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_trainable_is_restored_without_unpickling(three, tmp_path):
    first, second = CohortTrainable(config(THREE)), CohortTrainable(config(THREE))
    folder, unpickled = tmp_path / "checkpoint", tmp_path / "unpickled"
    folder.mkdir()
    first.step()
    first.save_checkpoint(str(folder))
    (folder / "_dict_checkpoint.pkl").write_bytes(pickle.dumps(Poison(unpickled)))
    record = SimpleNamespace(checkpoint=tune.Checkpoint(str(folder)), metrics={})
    second.restore(record)
    assert not unpickled.exists()
    assert second.step()["metrics"] == list(three[1].metrics)


def test_a_checkpoint_does_not_carry_the_last_result_again(tmp_path):
    trainable = CohortTrainable(config(THREE))
    trainable.train()
    assert trainable.save(str(tmp_path)).metrics == {}


def test_a_storage_that_refuses_checkpoints_is_tried_less_and_less_often(tmp_path):
    asked, saves, refuses = [], [], True

    class Refused(CohortTrainable):
        def save_checkpoint(self, checkpoint_dir):
            asked.append(len(saves))
            if refuses:
                raise OSError("no\nrights")

    trainable = Refused(config(THREE))
    assert trainable.step()["checkpoint_problem"] is None
    for _ in range(14):
        saves.append(trainable.save(str(tmp_path)).checkpoint)
    assert (saves, asked) == ([None] * 14, [0, 2, 6])
    assert trainable.step()["checkpoint_problem"] == "no rights"
    refuses = False
    assert trainable.save(str(tmp_path)).checkpoint is not None
    assert trainable.step()["checkpoint_problem"] is None


def test_only_the_latest_checkpoint_of_a_cohort_is_kept():
    deleted = []
    keep = KeepLatest(deleted.append)
    for name in ("a/checkpoint_000000", "b/checkpoint_000000", "b/checkpoint_000000", "a/checkpoint_000001"):
        keep.on_checkpoint(1, [], None, tune.Checkpoint(f"/launches/1/{name}"))
    assert deleted == ["a/checkpoint_000000"], "the latest stays, also when it is written again after a worker's death"


def test_some_trials_continue_from_the_checkpoint_of_another_launch(three, tmp_path):
    first = CohortTrainable(config(THREE))
    first.step()
    first.save_checkpoint(str(tmp_path))
    members = {90 + i: THREE.members[10 + i] for i in (2, 0)}
    saved = SavedCheckpoint(str(tmp_path), 10, (12, 10))
    second = CohortTrainable(config(replace(THREE, members=members, saved=saved)))
    for evaluation in three[1:]:
        result = second.step()
        assert result["step"] == evaluation.snapshot.step
        for metrics, index in zip(result["metrics"], (2, 0), strict=True):
            for name, values in evaluation.metrics[index].items():
                assert metrics[name] == pytest.approx(values, rel=1e-4, abs=1e-6), name
    assert [number for number, _ in result["files"]] == [92, 90]


def test_trials_with_different_numbers_of_networks_continue_from_a_checkpoint(tmp_path):
    seeds = {10: (5,), 11: (7, 8, 9), 12: (2, 6)}
    members = {number: replace(member, seeds=seeds[number]) for number, member in THREE.members.items()}
    first = CohortTrainable(config(replace(THREE, members=members, data_seed=4)))
    first.step()
    first.save_checkpoint(str(tmp_path))
    saved = SavedCheckpoint(str(tmp_path), 10, (12, 11))
    rest = {90: members[12], 91: members[11]}
    second = CohortTrainable(config(replace(THREE, members=rest, data_seed=4, saved=saved)))
    expected, found = first.step(), second.step()
    for metrics, index in zip(found["metrics"], (2, 1), strict=True):
        for name, values in expected["metrics"][index].items():
            assert metrics[name] == pytest.approx(values, rel=1e-4, abs=1e-6), name


def test_a_reused_worker_keeps_nothing_of_its_last_cohort(three):
    trainable = CohortTrainable(config(cohort({"cost_weight": 1e-3}, steps=10)))
    trainable.step()
    assert trainable.reset_config(config(THREE))
    assert trainable.step()["metrics"] == list(three[0].metrics)


def test_a_cohort_that_raises_returns_the_traceback():
    result = CohortTrainable(config(cohort({"cost_weight": -1.0}))).step()
    assert result["done"]
    assert result["error"] == "ValueError: cost_weight must be at least 0, got -1.0"
    assert result["traceback"].startswith("Traceback")


class StubDispatcher:
    """Hands out as many cohorts as asked for, and notes what it is told."""

    def __init__(self, cohorts, share):
        self.cohorts, self.shares, self.n_training, self.told = cohorts, share, 0, []

    def share(self):
        return self.shares

    def start(self, cohort_id):
        if not self.cohorts:
            return None
        self.cohorts, self.n_training = self.cohorts - 1, self.n_training + 1
        return THREE

    def tell_evaluation(self, cohort_id, result):
        self.told.append(("evaluation", cohort_id))

    def _end(self, kind, cohort_id):
        self.n_training -= 1
        self.told.append((kind, cohort_id))

    def tell_end(self, cohort_id, result):
        self._end("end", cohort_id)

    def tell_loss(self, cohort_id, reason, traceback=""):
        self._end(reason, cohort_id)

    def tell_stop(self, cohort_id):
        self._end("stop", cohort_id)


def test_the_searcher_hands_out_cohorts_until_there_are_no_more():
    dispatcher = StubDispatcher(2, share=9)
    searcher = CohortSearcher(dispatcher, print)
    assert searcher.suggest("a") == config(THREE)
    assert searcher.suggest("b") == config(THREE)
    assert searcher.suggest("c") is None, "cohorts still train, and may be lost"
    searcher.on_trial_complete("a", {"done": True})
    searcher.on_trial_complete("b", {"done": True})
    assert searcher.suggest("c") == Searcher.FINISHED
    assert not searcher.freed_workers


def test_the_searcher_passes_on_every_kind_of_end_and_deletes_only_what_has_ended():
    dispatcher, deleted = StubDispatcher(5, share=9), []
    searcher = CohortSearcher(dispatcher, deleted.append)
    for cohort_id in "abcde":
        searcher.suggest(cohort_id)
    searcher.on_trial_result("a", {"step": 1})
    searcher.on_trial_complete("a", {"done": True})
    searcher.on_trial_complete("b", {"error": "OSError: no", "traceback": "long", "done": True})
    searcher.on_trial_complete("c", error=True)
    searcher.on_trial_complete("d", {"step": 1})
    searcher.on_trial_complete("e")
    died = "its worker process died"
    ends = [("end", "a"), ("OSError: no", "b"), (died, "c"), ("stop", "d"), (died, "e")]
    assert dispatcher.told == [("evaluation", "a"), *ends]
    assert deleted == ["a", "b"], "the others may continue from their checkpoints"


def test_the_searcher_keeps_to_its_share():
    dispatcher = StubDispatcher(9, share=2)
    searcher = CohortSearcher(dispatcher, print)
    assert [searcher.suggest(cohort_id) for cohort_id in "ab"] == [config(THREE)] * 2
    assert searcher.suggest("c") is None
    dispatcher.shares = 1
    assert searcher.suggest("c") == Searcher.FINISHED, "Ray Tune would keep the second worker"
    assert searcher.freed_workers
    again = CohortSearcher(StubDispatcher(9, share=1), print)
    assert again.suggest("c") == config(THREE)
    assert again.suggest("d") is None


def test_nothing_is_pickled_with_the_searcher_or_the_callback():
    class Secret:
        def __reduce__(self):
            raise AssertionError("pickled")

    cloudpickle.dumps(CohortSearcher(Secret(), Secret()))
    cloudpickle.dumps(KeepLatest(Secret()))
