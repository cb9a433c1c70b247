"""Fixtures of tests of the service: stores whose MLflow database is created only once, and small sweeps in them."""

import shutil
from pathlib import Path

import pytest
from support.example_sweeps import draw_params

from sweeps.run.cohorts import form_cohorts
from sweeps.store import Store
from sweeps.study.study import SweepStudy
from sweeps.tracking.notes import describe_sweep
from sweeps.tracking.reading import create_database
from sweeps.tracking.records import SweepRecords
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
    spec = small_spec(search=search, constraints=["val_score >= 0.1"], sampler="random", seed=1)
    study = SweepStudy.launch(store, spec)
    spool = _start_spool(store, study)
    params = draw_params(spec, 5)
    _run_trials(study, spool, [study.start_search(p, "random") for p in params[:3]], failed=1)
    study.interrupt(study.start_search(params[3], "random").number, "its driver died")
    _run_trials(study, spool, study.start_waiting())
    numbers = [study.start_search(p, "random").number for p in (params[4], params[0])]
    study.interrupt(numbers[0], "its driver died")
    _mark_front(study, spool)
    _drain(store, study, spool)
    return store


@pytest.fixture(scope="session")
def confirmed(new_store, small_spec, tmp_path_factory):
    """Store of a sweep that ran without Ray and is confirmed: 0 is the baseline, 1 and 2 are trials of the search.

    Trial 3 adds two networks to 1, and 4, 5 and 6 confirm 0, 1 and 2 with two networks each, 7 trial 1 with a third
    one. 8 confirms trial 1 on other data. Trials 1 and 2 are on the front. Read only.
    """
    store = new_store(tmp_path_factory.mktemp("a confirmed sweep"))
    search = {"cost_weight": {"low": 1e-4, "high": 1e-1, "log": True}, "steps": 40, "relocate_every": 15}
    spec = small_spec(search=search, max_replicates=4, confirm={"replicates": 2}, trials=2)
    study = SweepStudy.launch(store, spec)
    spool = _start_spool(store, study)
    baseline = study.start_networks("baseline", spec.seeds)
    _run_trials(study, spool, [baseline, *(study.start_search({"cost_weight": w}, "random") for w in (1e-4, 1e-1))])
    _run_trials(study, spool, [study.start_networks("replicates", (2, 3), 1)])
    seeds = spec.confirmation_seeds(3)
    _run_trials(study, spool, [study.start_networks("confirmation", seeds[:2], of) for of in (0, 1, 2)])
    _run_trials(study, spool, [study.start_networks("confirmation", seeds[2:], 1)])
    _run_trials(study, spool, [study.start_networks("confirmation", seeds[:2], 1, data_seed=7)])
    _mark_front(study, spool)
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
    _run_trials(study, spool, study.start_waiting(), failed=2)
    _drain(store, study, spool)
    return store


def _start_spool(store, study):
    spool = Spool(store.work_folder("small") / "spool")
    spool.add(SweepRecords(study.spec, study.sweep_id).describe_sweep_start())
    return spool


def _run_trials(study, spool, trials, failed=None):
    """Trains trials and completes them, except for a number that fails."""
    spec, records = study.spec, SweepRecords(study.spec, study.sweep_id)
    known = {trial.number: trial for trial in study.known_entries()}
    for cohort in form_cohorts(spec, trials, compiled=False, checkpoints={}, retry_of={}):
        *_, last = run_cohort(cohort)
        result = {"step": last.snapshot.step, "host": "a host", "device": "cpu"}
        for number, networks, row_stderr in zip(cohort.members, last.metrics, last.row_stderr, strict=True):
            trial = known[number]
            spool.add(records.describe_trial_start(trial, None if trial.of is None else known[trial.of]))
            if number == failed:
                spool.add(records.describe_trial_failure(number, "replicate 0 diverged", {}))
                study.fail(number, "replicate 0 diverged")
                continue
            completed = study.complete(number, networks, row_stderr)
            entry = next(entry for entry in study.known_entries() if entry.number == number)
            spool.add(records.describe_trial_end(entry, result, last.files[number]))
            if completed.number != number:
                spool.add(records.describe_added_networks(completed))


def _mark_front(study, spool):
    front, records = [trial.number for trial in study.front()], SweepRecords(study.spec, study.sweep_id)
    for trial in study.trials():
        if trial.state == "COMPLETE" and trial.role == "search":
            spool.add(records.describe_front_mark(trial, on_front=trial.number in front))


def _drain(store, study, spool):
    target = Target(store.mlflow_uri, "small", str(store.artifacts), describe_sweep(study.spec))
    assert drain(target, spool.folder) is None
    assert spool.entries() == []
