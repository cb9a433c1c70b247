"""Fixtures of tests of the service: stores whose MLflow database is created only once, and small sweeps in them."""

import shutil
from pathlib import Path

import pytest

from sweeps.store import Store
from sweeps.study.statistics import summarize_replicates
from sweeps.study.study import SweepStudy
from sweeps.tracking.reading import create_database
from sweeps.tracking.records import SweepRecords, describe_sweep
from sweeps.tracking.run_writer import Target
from sweeps.tracking.spool import Spool
from sweeps.tracking.writer import drain
from sweeps.worker.cohort import run_cohort


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory):
    """An MLflow database without runs; creating one takes seconds, copying it none."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    create_database(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def new_store(empty_mlflow):
    """Creates a store in a folder, ready for sweeps of a name."""

    def create(folder: Path, name: str = "small", **locations) -> Store:
        store = Store.resolve(folder, **locations)
        store.prepare(name)
        shutil.copy(empty_mlflow, store.folder / "mlflow.db")
        return store

    return create


@pytest.fixture(scope="session")
def finished(new_store, small_spec, tmp_path_factory):
    """Store of a sweep that ran without Ray: trials 0, 2 and 4 are complete, 1 failed, 3 was cut off and retried as 4.

    Trial 5 was cut off, 6 runs, and 7 waits to retry 5. Read only.
    """
    store = new_store(tmp_path_factory.mktemp("a finished sweep"))
    search = {
        "cost_weight": {"low": 1e-4, "high": 1e-1, "log": True},
        "move_moments": {"choices": [True]},
        "steps": 40,
        "hidden_width": 6,
        "relocate_every": 15,
    }
    study = SweepStudy.launch(store, small_spec(search=search, constraints=["score >= 0.1"], sampler="random", seed=1))
    spool = _start_spool(store, study)
    _run_trials(study, spool, [study.ask() for _ in range(3)], failed=1)
    study.interrupt(study.ask().number, "its driver died")
    _run_trials(study, spool, [study.ask()])
    numbers = [study.ask().number, study.ask().number]
    study.interrupt(numbers[0], "its driver died")
    front, records = [trial.number for trial in study.front()], SweepRecords(study.spec, study.sweep_id)
    for trial in study.trials():
        if trial.state == "COMPLETE":
            spool.add(records.describe_front_mark(trial, on_front=trial.number in front))
    _drain(store, study, spool)
    return store


@pytest.fixture(scope="session")
def compared(new_store, small_spec, tmp_path_factory):
    """Store of a sweep of three variants and three seeds that ran without Ray; the variant L1 failed. Read only."""
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
    spool = _start_spool(store, study)
    for failed in (None, None, 2):
        _run_trials(study, spool, [study.ask()], failed=failed)
    assert study.ask() is None
    _drain(store, study, spool)
    return store


def _start_spool(store, study):
    spool = Spool(store.work_folder("small") / "spool")
    spool.add(SweepRecords(study.spec, study.sweep_id).describe_sweep_start())
    return spool


def _run_trials(study, spool, trials, failed=None):
    spec, records = study.spec, SweepRecords(study.spec, study.sweep_id)
    *_, last = run_cohort(spec.cohort({trial.number: trial.params for trial in trials}))
    result = {"step": last.snapshot.step, "host": "a host", "device": "cpu"}
    for trial, metrics in zip(trials, last.metrics, strict=True):
        number = trial.number
        spool.add(records.describe_trial_start(trial))
        if number == failed:
            spool.add(records.describe_trial_failure(number, "replicate 0 diverged", {}))
            study.fail(number, "replicate 0 diverged")
            continue
        spool.add(records.describe_trial_end(number, metrics, result, last.files[number]))
        study.complete(number, *summarize_replicates(metrics))


def _drain(store, study, spool):
    target = Target(store.mlflow_uri, "small", str(store.artifacts), describe_sweep(study.spec))
    assert drain(target, spool.folder) is None
    assert spool.entries() == []
