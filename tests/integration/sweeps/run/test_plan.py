"""The model against counting by hand, and the speeds it starts from: measured, and logged by a real sweep."""

import dataclasses
import math

import pytest

from sweeps.cli.main import main
from sweeps.errors import BadInputError
from sweeps.run.plan import BUSY, Speed, driver_rates, logged_speed, make_plan, measured_speed, planned
from sweeps.store import Store
from sweeps.study.study import SweepStudy
from sweeps.tracking import records
from sweeps.tracking.run_writer import Target
from sweeps.tracking.tracker import Tracker

SPEED = Speed(1000.0, 0.5, 10.0, 100, 0.2, "said")
SEARCH = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 1000}


@pytest.fixture
def spec(small_spec):
    """20 trials of 2 networks with 1000 steps: 2.5 s each at 1000 network-steps/s; cohorts of 5."""
    return small_spec(search=SEARCH, trials=20, cohort_size=5)


def test_hours_are_whole_cohorts_after_the_start(spec):
    found = {e.workers: e for e in planned(spec, None, SPEED, (1, 2, 3, 4, 100)).expected}
    seconds = {n: 3600 * e.hours for n, e in found.items()}
    assert seconds == pytest.approx({1: 60, 2: 35, 3: 35, 4: 22.5, 100: 22.5})  # 4 cohorts of 12.5 s, 10 s to start
    assert [e.bound for e in found.values()] == ["workers", "workers", "workers", "cohorts", "cohorts"]
    assert (3600 * found[1].hours_low, 3600 * found[1].hours_high) == pytest.approx((50, 72))


def test_sizes_are_counted(spec):
    one = planned(spec, None, SPEED, (1,))
    assert (one.trials, one.networks, one.cohorts, one.steps) == (20, 40, 4, 1000)
    assert (one.artifact_bytes, one.useful_workers, one.bound) == (2000, 4, "cohorts")
    unknown = dataclasses.replace(SPEED, artifact_bytes=None)
    assert planned(spec, None, unknown, (1,)).artifact_bytes is None


def test_a_limit_of_concurrent_cohorts_holds(small_spec):
    limited = planned(small_spec(trials=8, cohort_size=2, concurrent_cohorts=2), None, SPEED, (1, 2, 4))
    free = planned(small_spec(trials=8, cohort_size=2), None, SPEED, (1, 2, 4))
    assert [e.bound for e in limited.expected] == ["workers", "concurrent_cohorts", "concurrent_cohorts"]
    assert [e.hours for e in limited.expected] == [e.hours for e in (*free.expected[:2], free.expected[1])]
    assert (limited.useful_workers, limited.bound) == (2, "concurrent_cohorts")


def test_beyond_the_drivers_rate_workers_do_not_help(small_spec):
    spec = small_spec(search=SEARCH, trials=5000, cohort_size=5, sampler="random")
    rates = driver_rates(spec, None, 5)
    slowest = min(rates, key=rates.__getitem__)
    found = planned(spec, None, SPEED, (1, 1000))
    assert found.bound == found.expected[1].bound == slowest
    assert found.useful_workers == math.ceil(rates[slowest] * 2.5)
    assert 3600 * found.expected[1].hours == pytest.approx(10 + 5000 / rates[slowest])


def test_more_trials_more_reports_and_slower_storages_cost_the_driver_more(small_spec):
    def rate(part, storage=None, **changes):
        return driver_rates(small_spec(search=SEARCH, **changes), storage, 5)[part]

    study = "study and Ray Tune"
    assert rate(study, trials=10) > rate(study, trials=1000)
    assert rate(study, sampler="random") > rate(study)
    assert rate(study) > rate(study, "sqlite:///x.db")
    assert rate(study, "postgresql+psycopg://h/x") == rate(study, "postgresql://h/x")
    assert rate("MLflow", evaluations=1) > rate("MLflow", evaluations=20)


def test_a_short_cohort_is_measured(small_spec, tmp_path):
    spec = small_spec(search=SEARCH | {"hidden_width": 6, "relocate_every": 20, "steps": 60})
    speed = measured_speed(spec, 1)
    assert speed.network_steps_per_s > 0
    assert speed.trial_s > 0
    assert speed.artifact_bytes > 1000, "weights and pictures"
    assert speed.uncertainty >= BUSY
    assert speed.source.startswith("a cohort of 6 networks, 60 steps")


def test_what_an_earlier_sweep_logged_is_used(spec, new_store, tmp_path):
    store = new_store(tmp_path / "store", spec.name)
    assert logged_speed(spec, Store.resolve(tmp_path / "none")) is None
    study = SweepStudy.launch(store, spec)
    tracker = Tracker(
        Target(store.mlflow_uri, spec.name, str(store.artifacts), ""), store.work_folder(spec.name) / "spool"
    )
    tracker.record(records.describe_sweep_start(spec, study.sweep_id))
    account = {"training": 0.5, "measuring": 0.1, "drawing": 0.1, "starting and waiting": 0.3}
    totals = {"trials": 20, "network_steps": 40_000, "wall_s": 100.0, "workers": 2}
    tracker.record(records.describe_sweep_end(spec, study.sweep_id, [], account, totals, complete=True))
    assert tracker.close() == 0
    speed = logged_speed(spec.model_copy(update={"name": "next"}), store)
    assert speed.network_steps_per_s == pytest.approx(40_000 / (0.5 * 200))
    assert (speed.trial_s, speed.start_s) == pytest.approx((0.2 * 200 / 20, 30))
    assert speed.source == "logged by small"
    other = spec.model_copy(update={"task": "independence"})
    assert logged_speed(other, store) is None
    assert make_plan(spec, store, [2]).expected[0].hours == pytest.approx((30 + 2 * 5 * (2000 / 400 + 2)) / 3600)


def test_bad_input(spec, tmp_path, monkeypatch, capsys):
    with pytest.raises(BadInputError, match="workers must be at least 1, got 0"):
        make_plan(spec, Store.resolve(tmp_path), [4, 0])
    for given, told in (("0", "workers must be at least 1, got 0"), ("2,x", "whole numbers such as 1,8,64, got '2,x'")):
        monkeypatch.setattr("sys.argv", ["bimt", "plan", "two_moons", "--workers", given, "--store", str(tmp_path)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert told in capsys.readouterr().err
