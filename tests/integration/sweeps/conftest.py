"""What tests of the service share: small sweeps, and stores whose MLflow database is made only once."""

import shutil
from pathlib import Path

import pytest

from sweeps.store import Store
from sweeps.study.study import SweepStudy
from sweeps.tracking import records
from sweeps.tracking.reading import create_database
from sweeps.tracking.run_writer import Target
from sweeps.tracking.tracker import Tracker


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory):
    """An MLflow database without runs; making one takes seconds, copying it none."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    create_database(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def new_store(empty_mlflow):
    """Makes a store in a folder, ready for sweeps of a name."""

    def make(folder: Path, name: str = "small", **where) -> Store:
        store = Store.resolve(folder, **where)
        store.prepare(name)
        shutil.copy(empty_mlflow, store.folder / "mlflow.db")
        return store

    return make


@pytest.fixture(scope="session")
def finished(new_store, small_spec, tmp_path_factory):
    """The store of a sweep that ran without Ray: trials 0, 2 and 4 are complete, 1 failed, 3 was cut off and is now 4.

    Trial 5 waits and trial 6 runs. Read only.
    """
    store = new_store(tmp_path_factory.mktemp("a finished sweep"))
    search = {
        "cost_weight": {"low": 1e-4, "high": 1e-1, "log": True},
        "move_moments": {"choices": [True]},
        "steps": 40,
        "hidden_width": 6,
        "relocate_every": 15,
    }
    spec = small_spec(search=search, constraints=["score >= 0.1"], sampler="random", seed=1)
    study = SweepStudy.launch(store, spec)
    target = Target(store.mlflow_uri, spec.name, str(store.artifacts), records.describe_sweep(spec))
    tracker = Tracker(target, store.work_folder("small") / "spool")
    tracker.record(records.describe_sweep_start(spec, study.sweep_id))
    _run_trials(study, tracker, [study.ask() for _ in range(3)], failed=1)
    study.interrupt(study.ask().number, "its driver died")
    _run_trials(study, tracker, [study.ask()])
    for number in (study.ask().number, study.ask().number):
        if number == 5:
            study.interrupt(number, "its driver died")
    for record in study.trials():
        if record.state == "COMPLETE":
            tracker.record(records.describe_front_mark(study.sweep_id, record, on_front=record.number in study.front()))
    assert tracker.close() == 0
    return store


@pytest.fixture(scope="session")
def compared(new_store, small_spec, tmp_path_factory):
    """The store of a sweep of two variants and three seeds that ran without Ray. Read only."""
    store = new_store(tmp_path_factory.mktemp("a comparison"))
    variants = {
        "vanilla": {"cost_weight": 0, "relocation": "none"},
        "BIMT": {"relocation": "greedy"},
        "L1": {"weight_factor": 0},
    }
    spec = small_spec(
        search={"steps": 40, "hidden_width": 6}, variants=variants, reference="BIMT", trials=None, replicates=3
    )
    study = SweepStudy.launch(store, spec)
    target = Target(store.mlflow_uri, spec.name, str(store.artifacts), records.describe_sweep(spec))
    tracker = Tracker(target, store.work_folder("small") / "spool")
    tracker.record(records.describe_sweep_start(spec, study.sweep_id))
    for failed in (None, None, 2):
        _run_trials(study, tracker, [study.ask()], failed=failed)
    assert study.ask() is None
    assert tracker.close() == 0
    return store


def _run_trials(study, tracker, attempts, failed=None):
    from sweeps.run.trainable import evaluation_to_dict  # loads ray
    from sweeps.worker.cohort import CohortSpec, Member, run_cohort

    spec = study.spec
    members = tuple(Member(attempt.number, attempt.params) for attempt in attempts)
    *_, last = run_cohort(CohortSpec(spec.task, spec.data_seed, members, tuple(spec.seeds), spec.evaluations))
    for attempt, figures in zip(attempts, last.figures, strict=True):
        tracker.record(records.describe_trial_start(spec, study.sweep_id, attempt))
        if attempt.number == failed:
            tracker.record(records.describe_trial_failure(study.sweep_id, attempt.number, "replicate 0 diverged", {}))
            study.fail(attempt.number, "replicate 0 diverged")
            continue
        files = last.files[attempt.number]
        tracker.record(
            records.describe_trial_end(spec, study.sweep_id, attempt.number, figures, evaluation_to_dict(last), files)
        )
        study.complete(attempt.number, *records.summarize_replicates(figures))
