"""Complete sweeps with real Ray, Optuna and MLflow, short because of few optimiser steps."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow
import psutil
import pytest
import ray
import yaml
from support.processes import kill_family

from sweeps import BadInputError, Store, SweepSpec, launch, open_sweep, parse_spec, read_specs
from sweeps.run import dispatch, finish
from sweeps.run import driver as driver_module
from sweeps.run import tune as tune_module
from sweeps.run.agenda import ConfirmRequest
from sweeps.run.state import Status
from sweeps.run.tune import CohortTrainable
from sweeps.study.storage import list_sweep_names
from sweeps.study.study import SweepStudy
from sweeps.worker.artifacts import spread_evenly
from sweeps.worker.checkpoint import delete_folder, find_checkpoints

pytestmark = pytest.mark.usefixtures("local_ray")


@pytest.fixture(autouse=True)
def _full_cohorts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search of so few trials would have cohorts of one otherwise."""
    monkeypatch.setattr(dispatch, "ROUNDS", 1)


@pytest.fixture
def store(tmp_path: Path, new_store: Callable[[Path, str], Store]) -> Store:
    return new_store(tmp_path / "a folder with spaces", "short")


PUBLISHED = {"relocation": "greedy", "move_moments": False}  # so that the baseline trains with the others
SPACE = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}}


def spec_of(**changes: Any) -> SweepSpec:
    """A sweep of two-moons networks that train for few steps: the baseline and five trials in two cohorts."""
    data: dict[str, Any] = {
        "name": "short",
        "task": "two_moons",
        "search": SPACE | PUBLISHED | {"steps": 60, "relocate_every": 20},
        "objectives": [
            {"metric": "val_loss", "direction": "minimize"},
            {"metric": "connection_cost", "direction": "minimize"},
        ],
        "trials": 5,
        "replicates": 2,
        "cohort_size": 3,
        "evaluations": 3,
        "sampler": "random",
    }
    return parse_spec(data | changes)


ONE_COHORT: dict[str, Any] = {
    "search": {"steps": 60, "relocate_every": 20},
    "variants": {"weak": {"cost_weight": 1e-3}, "strong": {"cost_weight": 5e-3}},
    "trials": 2,
}


def runs_of(store: Store, name: str = "short") -> list[Any]:
    client = mlflow.MlflowClient(store.mlflow_uri)
    return list(client.search_runs([client.get_experiment_by_name(name).experiment_id]))


def trial_runs(store: Store, *roles: str) -> list[Any]:
    """Runs of trials with these roles; by default of the search."""
    return [run for run in runs_of(store) if run.data.tags["bimt.role"] in (roles or ("search",))]


def assert_runs(store: Store, front: list[int], ordered: list[int]) -> Any:
    """Checks the runs of a sweep of five trials and their confirmations; returns that of the sweep."""
    trials = open_sweep("short", store).trials()
    parent = next(run for run in runs_of(store) if run.data.tags["bimt.role"] == "sweep")
    children = trial_runs(store, "search", "baseline")
    animated = spread_evenly(ordered, finish.MAX_ANIMATED)
    assert parent.info.status == "FINISHED"
    assert len(children) == 6
    client = mlflow.MlflowClient(store.mlflow_uri)
    for run in children:
        number = int(run.data.tags["bimt.trial"])
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.metrics["mean/connection_cost"] == pytest.approx(trials.loc[number, "connection_cost"])
        if run.data.tags["bimt.role"] == "search":
            assert run.data.tags["bimt.front"] == ("yes" if number in front else "no")
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "mean/modularity")]
        assert sorted(set(steps)) == [20, 40, 60]
        assert {item.path for item in client.list_artifacts(run.info.run_id)} >= {
            "config.yaml",
            "diagrams",
            "history.safetensors",
            "replicates.json",
            "weights.safetensors",
        }
        drawn = {item.path for item in client.list_artifacts(run.info.run_id, "figures")}
        on_front = {"figures/decision_regions.png", "figures/ablation_table.png", "figures/training.gif"}
        if number not in animated:
            on_front -= {"figures/training.gif"}
        assert drawn == (on_front if number in front else set())
    confirmations = {int(run.data.tags["bimt.of"]): run for run in trial_runs(store, "confirmation")}
    (baseline,) = trial_runs(store, "baseline")
    assert set(confirmations) == {int(baseline.data.tags["bimt.trial"]), *front}
    for run in confirmations.values():
        assert (run.info.status, run.data.tags["bimt.seeds"]) == ("FINISHED", "2, 3, 4")
    return parent


def test_a_sweep_from_spec_to_results(store: Store) -> None:
    seen: list[Status] = []

    @contextmanager
    def watch(status: Callable[[], Status]) -> Iterator[None]:
        yield
        seen.append(status())

    summary = launch(spec_of(confirm={"replicates": 3}), store, watch=watch)
    sweep = open_sweep("short", store)
    trials, front = sweep.trials(), sweep.pareto().index.tolist()
    assert (summary.complete, summary.failed, summary.unwritten) == (5, 0, 0)
    assert (summary.finished, summary.gave_up, summary.stopped) == (True, False, False)
    assert summary.network_steps == (6 * 2 + (1 + len(front)) * 3) * 60
    assert sum(summary.worker_time.values()) == pytest.approx(1)
    assert min(summary.worker_time.values()) >= 0
    assert (seen[0].complete, seen[0].confirmed, seen[0].network_steps_left) == (5, 1 + len(front), 0)
    assert list(trials["state"]) == ["COMPLETE"] * 6
    assert {trial.number for trial in summary.front} == set(front)
    assert [(c.trial.role, c.confirmation.seeds) for c in summary.confirmed] == [
        ("baseline", (2, 3, 4)),
        *[("search", (2, 3, 4))] * len(front),
    ]
    assert {c.trial.number for c in summary.confirmed[1:]} == set(front)

    parent = assert_runs(store, front, sorted(front, key=lambda number: trials.loc[number, "val_loss"]))
    client = mlflow.MlflowClient(store.mlflow_uri)
    page = client.download_artifacts(parent.info.run_id, "report.html")
    assert '"name":"short"' in Path(page).read_text()
    assert Path(page).stat().st_size == pytest.approx(1e6 * summary.report_mb, rel=0.01)
    assert (summary.report_problem, len(sweep.sketches())) == (None, 6)
    number = int(sweep.best().index[0])
    steps = [entry.step for entry in sweep.history(number)]
    assert steps == [0, 20, 40, 60]
    scores = [sweep.network(number, replicate).score() for replicate in range(2)]
    assert sum(scores) / 2 == pytest.approx(trials.loc[number, "test_score"], abs=1e-12)
    fresh = [sweep.network(number, seed=seed).score() for seed in (2, 3, 4)]
    (confirmed,) = (c for c in summary.confirmed if c.trial.number == number)
    assert fresh == pytest.approx(list(confirmed.confirmation.networks["test_score"]), abs=1e-12)


def test_the_latest_checkpoint_of_a_cohort_is_kept_while_it_trains(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[str] = []
    for module in (finish, tune_module):
        monkeypatch.setattr(module, "delete_folder", lambda uri: (deleted.append(uri), delete_folder(uri)))
    launch(spec_of(**ONE_COHORT), store)
    sweep, cohort = deleted.pop(), deleted.pop()
    assert sweep == store.checkpoint_folder("short")
    assert Path(cohort).name.startswith("cohort_")
    assert deleted == [f"{cohort}/checkpoint_000000", f"{cohort}/checkpoint_000001"]


def test_a_sweep_completes_without_checkpoints(store: Store) -> None:
    class NoRights(CohortTrainable):
        def save_checkpoint(self, checkpoint_dir: str) -> None:
            super().save_checkpoint(checkpoint_dir)
            raise PermissionError("no such\nright")

    summary = launch(spec_of(**ONE_COHORT), store, trainable=NoRights)
    assert (summary.complete, summary.failed) == (2, 0)
    assert summary.checkpoints_problem == "some could not be kept: no such right"


def test_a_sweep_completes_if_checkpoints_cannot_be_deleted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(uri: str) -> None:
        raise OSError("no such right")

    monkeypatch.setattr(finish, "delete_folder", refuse)
    summary = launch(spec_of(trials=2), store)
    assert (summary.complete, summary.report_problem) == (2, None)
    assert summary.checkpoints_problem is not None
    assert summary.checkpoints_problem.endswith("could not be deleted: no such right")


def test_a_sweep_completes_if_pictures_cannot_be_drawn(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **how: object) -> dict[str, bytes]:
        raise ValueError("no ink")

    monkeypatch.setattr(finish, "draw_front_trial", fail)
    summary = launch(spec_of(trials=2), store)
    assert (summary.complete, summary.report_problem) == (2, None)
    client = mlflow.MlflowClient(store.mlflow_uri)
    (run, *_) = (run for run in trial_runs(store) if run.data.tags["bimt.front"] == "yes")
    assert "no ink" in Path(client.download_artifacts(run.info.run_id, "figures/error.txt")).read_text()


def test_launching_again_continues(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    launch(spec_of(trials=2), store)
    before = open_sweep("short", store).trials()

    def fail(*_: Any) -> str:
        raise RuntimeError("no\nink")

    with monkeypatch.context() as broken:
        broken.setattr(finish, "render_report", fail)
        again = launch(spec_of(trials=2), store)
    assert (again.complete, again.network_steps, again.worker_time) == (2, 0, {})
    assert (again.report_mb, again.report_problem) == (0.0, "RuntimeError: no ink")
    parent = next(run for run in runs_of(store) if run.data.tags["bimt.role"] == "sweep")
    assert parent.data.metrics["worker_time/training"] > 0, "the account of the first launch stays"
    raised = launch(spec_of(trials=5), store)
    after = open_sweep("short", store).trials()
    assert raised.complete == 5
    assert raised.network_steps == 3 * 2 * 60
    assert after.loc[before.index].equals(before)
    assert len(trial_runs(store)) == 5
    assert len(trial_runs(store, "baseline")) == 1

    with pytest.raises(BadInputError, match="seed was 0, is 7"):
        launch(spec_of(trials=5, seed=7), store)
    with pytest.raises(BadInputError, match="trials can only be raised from 5, got 4"):
        launch(spec_of(trials=4), store)


def test_a_network_that_diverges_fails_its_trial_only(store: Store) -> None:
    search = SPACE | PUBLISHED | {"learning_rate": {"choices": [1e-3, 1e30]}, "steps": 60}
    starts = [{"learning_rate": 1e30}, {"learning_rate": 1e-3}]
    spec = spec_of(search=search, trials=4, cohort_size=4, max_failed=50, start_from=starts)
    summary = launch(spec, store)
    trials = open_sweep("short", store).trials().query("role == 'search'")
    assert summary.complete == 4
    assert summary.failed == (trials["state"] == "FAIL").sum() > 0
    failed = trials[trials["state"] == "FAIL"]
    assert set(failed["learning_rate"]) == {1e30}
    assert failed["reason"].str.contains("diverged").all()
    assert set(trials.loc[trials["state"] == "COMPLETE", "learning_rate"]) == {1e-3}
    statuses = {int(run.data.tags["bimt.trial"]): run.info.status for run in trial_runs(store)}
    assert all(statuses[number] == "FAILED" for number in failed.index)


def test_a_sweep_whose_trials_all_fail_gives_up(store: Store) -> None:
    spec = spec_of(search={"learning_rate": 1e30, "steps": 20}, trials=3, max_failed=4)
    summary = launch(spec, store)
    assert summary.gave_up
    assert (summary.complete, list(summary.front)) == (0, [])
    assert summary.failed >= 4


def test_a_sweep_gives_up_also_when_some_trials_are_complete(store: Store) -> None:
    search = SPACE | PUBLISHED | {"learning_rate": {"choices": [1e-3, 1e30]}, "steps": 20}
    starts = [{"learning_rate": rate, "cost_weight": 1e-3} for rate in (1e-3, 1e30)]
    summary = launch(spec_of(search=search, trials=6, start_from=starts, max_failed=1), store)
    assert 0 < summary.complete < 6
    assert summary.failed > 0
    assert summary.gave_up, "launching again would not continue by itself"


CULPRIT = {"weight_factor": 3.0}  # the hyperparameter of a trial that something happens to


def spec_with_culprit(**changes: Any) -> SweepSpec:
    """A sweep whose second trial is the culprit."""
    search = SPACE | PUBLISHED | {"weight_factor": {"choices": [1.0, 3.0]}, "steps": 60}
    starts = [{"weight_factor": 1.0}, CULPRIT, {"weight_factor": 1.0, "cost_weight": 5e-3}]
    return spec_of(search=search, start_from=starts, trials=3, **changes)


def test_a_member_that_raises_fails_alone(store: Store) -> None:
    class Faulty(CohortTrainable):
        def step(self) -> dict[str, Any]:
            if any(member.params["weight_factor"] == 3.0 for member in self._cohort.members.values()):
                return {"error": "ZeroDivisionError: culprit", "traceback": "the whole trace", "done": True}
            return super().step()

    summary = launch(spec_with_culprit(max_failed=50), store, trainable=Faulty)
    trials = open_sweep("short", store).trials()
    assert summary.complete == 3
    assert 1 in trials.index[trials["state"] == "FAIL"]
    assert set(trials.loc[trials["state"] == "FAIL", "weight_factor"]) == {3.0}
    assert 3.0 not in set(trials.loc[trials["state"] == "COMPLETE", "weight_factor"])
    assert (trials.loc[trials["state"] == "FAIL", "reason"] == "ZeroDivisionError: culprit").all()


def test_a_worker_that_dies_is_replaced(store: Store, tmp_path: Path) -> None:
    """Killed once after a checkpoint: Ray Tune continues from there, and no step is recorded twice."""
    marker = tmp_path / "died"

    class Mortal(CohortTrainable):
        def step(self) -> dict[str, Any]:
            if self._snapshot is not None and self._snapshot.step == 40 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().step()

    summary = launch(spec_of(**ONE_COHORT), store, trainable=Mortal)
    assert marker.exists()
    assert (summary.complete, summary.failed) == (2, 0)
    assert summary.network_steps == 2 * 2 * 60
    client = mlflow.MlflowClient(store.mlflow_uri)
    for run in trial_runs(store):
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "mean/val_score")]
        assert steps == [20, 40, 60]


def test_a_worker_that_always_dies_fails_only_the_culprit(store: Store) -> None:
    class Cursed(CohortTrainable):
        def step(self) -> dict[str, Any]:
            if any(member.params["weight_factor"] == 3.0 for member in self._cohort.members.values()):
                os.kill(os.getpid(), signal.SIGKILL)
            return super().step()

    summary = launch(spec_with_culprit(max_failed=3), store, trainable=Cursed)
    trials = open_sweep("short", store).trials()
    assert summary.complete >= 2
    assert trials.loc[1, "state"] == "FAIL"
    assert 3.0 not in set(trials.loc[trials["state"] == "COMPLETE", "weight_factor"])
    assert not (trials["state"] == "RUNNING").any()


def trained_weights(store: Store, name: str) -> dict[str, bytes]:
    """Weights of all networks of a sweep's trials, and of their confirmations."""
    sweep = open_sweep(name, store)
    confirmed = [c.trial.number for c in sweep.confirmed_trials()]
    complete = [trial.number for trial in SweepStudy.open(store, name).trials() if trial.state == "COMPLETE"]
    phases = [*((number, "search") for number in complete), *((number, "confirmation") for number in confirmed)]
    return {f"{n} {phase}": sweep.population(n, phase)[0].flat.numpy().tobytes() for n, phase in phases}


DRIVER = """
import sys
from pathlib import Path
from sweeps import Store, launch
from sweeps.run import dispatch
from sweeps.spec.files import read_spec
dispatch.ROUNDS = 1
launch(read_spec(Path(sys.argv[1])), Store(Path(sys.argv[2])))
"""


def test_a_driver_killed_in_the_confirmation_continues_to_the_same_weights(
    tmp_path: Path, new_store: Callable[[Path, str], Store]
) -> None:
    killed, whole = new_store(tmp_path / "killed", "short"), new_store(tmp_path / "whole", "short")
    spec = spec_of(
        search=SPACE | PUBLISHED | {"steps": 1000},
        confirm={"replicates": 3},
        concurrent_cohorts=1,
        evaluations=10,
        trials=3,
        resources={"compile": "never"},
    )
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(spec.model_dump(mode="json")))

    def confirms() -> bool:
        """Whether the front is being confirmed, beyond a first checkpoint."""
        if not killed.study_file("short").exists() or not (known := list_sweep_names(killed)):
            return False
        entries = SweepStudy.open(killed, known[0]).entries()
        running = {e.number for e in entries if e.state == "RUNNING" and e.role == "confirmation" and e.of != 0}
        saved = find_checkpoints(killed.checkpoint_folder("short"))
        return any(running & set(checkpoint.members) for checkpoint in saved)

    command = [sys.executable, "-c", DRIVER, str(file), str(killed.folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_for(confirms, process)
    finally:
        kill_family(process)
    entries = SweepStudy.open(killed, "short").entries()
    cut = [entry for entry in entries if entry.state == "RUNNING"]
    assert {entry.role for entry in cut} == {"confirmation"}
    assert sum(e.state == "COMPLETE" for e in entries if e.role == "search") == 3, "the search is over"

    summary = launch(spec, killed)
    assert summary.finished
    retries = {e.retry_of: e for e in SweepStudy.open(killed, "short").entries() if e.retry_of is not None}
    assert {number: (e.of, e.seeds) for number, e in retries.items()} == {e.number: (e.of, e.seeds) for e in cut}
    left = len([e for e in SweepStudy.open(killed, "short").entries() if e.number > max(e.number for e in entries)])
    assert summary.network_steps < left * 3 * 1000, "those that were cut off continued from their checkpoint"
    launch(spec, whole)
    assert trained_weights(killed, "short") == trained_weights(whole, "short")


def test_a_finished_sweep_is_confirmed_on_request(store: Store) -> None:
    spec = spec_of(trials=2)
    assert launch(spec, store).confirmed == []
    front = open_sweep("short", store).pareto().index.tolist()
    first = launch(spec, store, confirm=ConfirmRequest(2))
    assert [c.confirmation.seeds for c in first.confirmed] == [(2, 3)] * (1 + len(front))
    assert (first.finished, first.network_steps) == (True, 2 * (1 + len(front)) * 60)
    more = launch(spec, store, confirm=ConfirmRequest(3))
    assert [c.confirmation.seeds for c in more.confirmed] == [(2, 3, 4)] * (1 + len(front))
    assert more.network_steps == (1 + len(front)) * 60, "only one further network each"
    other = launch(spec, store, confirm=ConfirmRequest(2, data_seed=7))
    assert [c.confirmation.seeds for c in other.confirmed] == [(2, 3)] * (1 + len(front))
    assert other.network_steps == 2 * (1 + len(front)) * 60
    losses = [[c.objectives[0].confirmed for c in summary.confirmed] for summary in (first, other)]
    assert all(one != two for one, two in zip(*losses, strict=True)), "other data"
    again = launch(spec, store, confirm=ConfirmRequest(3))
    assert again.network_steps == 0
    assert [c.confirmation.seeds for c in again.confirmed] == [(2, 3, 4)] * (1 + len(front))


def test_a_small_sweep_does_not_wait_for_a_large_one(
    tmp_path: Path, new_store: Callable[[Path, str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sweeps on one cluster with two slots: the first gives up one of them."""

    class Slow(CohortTrainable):
        def step(self) -> dict[str, Any]:
            time.sleep(1)
            return super().step()

    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    store = new_store(tmp_path, "large")
    ended: list[str] = []

    def run(name: str, trials: int) -> None:
        resources = {"cpus": 1, "compile": "never"}
        launch(
            spec_of(name=name, trials=trials, cohort_size=1, evaluations=1, resources=resources), store, trainable=Slow
        )
        ended.append(name)

    large = threading.Thread(target=run, args=("large", 14))
    large.start()
    _until(lambda: _complete(store, "large") >= 2)
    run("small", 2)
    assert ended == ["small"]
    large.join()
    assert (_complete(store, "large"), _complete(store, "small")) == (14, 2)


def test_after_the_time_budget_the_rest_waits_for_the_next_launch(store: Store) -> None:
    class Slow(CohortTrainable):
        def step(self) -> dict[str, Any]:
            time.sleep(2)
            return super().step()

    summary = launch(spec_of(time_budget_s=1.0), store, trainable=Slow)
    trials = open_sweep("short", store).trials()
    assert summary.complete < 5
    assert not summary.finished
    assert not (trials["state"] == "RUNNING").any()
    assert (trials["state"] == "WAITING").any()
    assert not summary.stopped, "nobody stopped it"
    assert {run.info.status for run in trial_runs(store)} <= {"KILLED", "FINISHED"}


def test_records_are_written_later_if_mlflow_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    unreachable = Store(store.folder, tracking_uri=f"http://127.0.0.1:{port}")
    with monkeypatch.context() as impatient:
        impatient.setattr(driver_module, "MLFLOW_PATIENCE_S", 1.0)
        summary = launch(spec_of(trials=2), unreachable)
    assert summary.complete == 2
    assert summary.unwritten > 0
    assert summary.tracking_problem is not None
    assert launch(spec_of(trials=2), store).unwritten == 0
    assert {run.info.status for run in trial_runs(store)} == {"FINISHED"}
    assert open_sweep("short", store).network(0).score() >= 0
    assert launch(spec_of(trials=2), store).finished


def test_an_impossible_request_starts_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(BadInputError, match=r"cohort_size must be at most .* got 100000000"):
        launch(spec_of(cohort_size=100_000_000), store)
    with pytest.raises(BadInputError, match=r"resources.cpus must be at most this machine's \d+ cores, got 4096"):
        launch(spec_of(resources={"cpus": 4096}), store)
    with pytest.raises(BadInputError, match=r"sampler nsga2 needs at least \d+ trials, got 5"):
        launch(spec_of(sampler="nsga2"), store)
    with pytest.raises(BadInputError, match=r"no sweep 'another' in .*; there are: none"):
        launch(spec_of(start_from="another"), store)
    with pytest.raises(BadInputError, match=r"no sweep 'short' in .*; there are: none"):
        launch(spec_of(), store, confirm=ConfirmRequest(4))
    with pytest.raises(BadInputError, match=r"resources.gpus must be at most"):
        launch(spec_of(resources={"gpus": 4096}), store)
    assert not store.folder.exists()
    file = store.folder.parent / "file"
    file.touch()
    with pytest.raises(BadInputError, match="store folder must be writable"):
        launch(spec_of(), Store(file / "below"))


def test_the_next_launch_cleans_up_after_a_killed_driver(tmp_path: Path) -> None:
    """SIGKILL in the middle of a sweep in another process, possibly while MLflow creates its database."""
    store = Store(tmp_path / "store")
    long = spec_of(search=SPACE | PUBLISHED | {"steps": 1500}, evaluations=10)
    file = tmp_path / "long.yaml"
    file.write_text(yaml.safe_dump(long.model_dump(mode="json")))
    command = [sys.executable, "-m", "sweeps.cli", "launch", str(file), "--store", str(store.folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_for(lambda: _running(store) > 0, process)
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for orphan in family:  # Ray's processes end with their driver too, but take most of a minute
            with suppress(psutil.NoSuchProcess):
                orphan.kill()
    interrupted = open_sweep("short", store).trials()
    running = interrupted[interrupted["state"] == "RUNNING"]
    assert len(running) > 0

    summary = launch(long, store)
    trials = open_sweep("short", store).trials()
    assert summary.complete == (trials.query("role == 'search'")["state"] == "COMPLETE").sum() == 5
    assert not trials["state"].isin(["RUNNING", "WAITING"]).any()
    for number, cut in running.iterrows():
        assert trials.loc[number, "state"] == "FAIL"
        assert trials.loc[number, "reason"] == "its driver died"
        again = trials[trials["retry_of"] == number]
        assert len(again) == 1
        assert again.iloc[0]["attempt"] == 2
        assert again.iloc[0]["cost_weight"] == cut["cost_weight"]
        assert again.iloc[0]["role"] == cut["role"]
    assert not any(run.info.status == "RUNNING" for run in runs_of(store))


def test_a_stop_signal_ends_the_sweep_in_order_and_launching_continues(store: Store, tmp_path: Path) -> None:
    """The signal of `bimt stop`: trials are interrupted in the study, runs are closed, and checkpoints are kept."""
    steps = 2000
    long = spec_of(search=PUBLISHED | {"steps": steps}, trials=2, evaluations=20).model_dump(mode="json")
    file = tmp_path / "long.yaml"
    file.write_text(yaml.safe_dump({"name": "s", "each": long, "sweeps": [{"name": "short"}, {"name": "next"}]}))
    command = [sys.executable, "-m", "sweeps.cli", "launch", str(file), "--store", str(store.folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_for(lambda: bool(find_checkpoints(store.checkpoint_folder("s.short"))), process)
    process.send_signal(signal.SIGTERM)
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    out, err = process.communicate()
    watchdog.cancel()
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert "of 2 trials complete" in out
    assert "continues" in out
    trials = open_sweep("s.short", store).trials()
    assert not (trials["state"] == "RUNNING").any()
    assert not any(run.info.status == "RUNNING" for run in runs_of(store, "s.short"))
    with pytest.raises(BadInputError, match=r"no sweep 's\.next'"):
        open_sweep("s.next", store)

    saved = find_checkpoints(store.checkpoint_folder("s.short"))
    assert {number for checkpoint in saved for number in checkpoint.members} <= {
        *trials.index[trials["state"] == "FAIL"]
    }
    summary = launch(read_specs(file)[0], store)
    assert summary.complete == 2
    trained_before = sum(checkpoint.step * len(checkpoint.members) * 2 for checkpoint in saved)
    assert summary.network_steps <= 3 * 2 * steps - trained_before
    assert not Path(store.checkpoint_folder("s.short")).exists(), "a complete sweep needs no checkpoints"


def _running(store: Store, name: str = "short") -> int:
    try:
        states = open_sweep(name, store).trials()["state"]
    except BadInputError:
        return 0
    return int((states == "RUNNING").sum())


def _complete(store: Store, name: str) -> int:
    return open_sweep(name, store).counts()["complete"] if store.study_file(name).exists() else 0


def _until(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[Any], timeout_s: float = 90.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, "the driver ended before its time"
        assert time.monotonic() < deadline, "the driver did not start a trial in time"
        time.sleep(0.2)
