"""The model against counting by hand, and the speeds it starts from: measured, and logged by a real sweep."""

import dataclasses
import math

import pytest

from sweeps.errors import BadInputError
from sweeps.run.plan import NOISE, Speed, apply_model, compute_driver_rates, make_plan, measure_speed
from sweeps.store import Store

SPEED = Speed(1000.0, 0.5, 10.0, 100, 0.2, "said")
SEARCH = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 1000}


@pytest.fixture
def spec(small_spec):
    """20 trials of 2 networks with 1000 steps: 2.5 s each at 1000 network-steps/s; cohorts of 5."""
    return small_spec(search=SEARCH, trials=20, cohort_size=5)


def test_hours_are_those_of_whole_cohorts_after_the_start(spec):
    found = {e.workers: e for e in apply_model(spec, None, SPEED, (1, 2, 3, 4, 100)).expected}
    seconds = {n: 3600 * e.hours for n, e in found.items()}
    assert seconds == pytest.approx({1: 60, 2: 35, 3: 35, 4: 22.5, 100: 22.5})  # 4 cohorts of 12.5 s, 10 s to start
    assert [e.bound for e in found.values()] == ["workers", "workers", "workers", "cohorts", "cohorts"]
    assert (3600 * found[1].hours_low, 3600 * found[1].hours_high) == pytest.approx((50, 72))


def test_trials_networks_and_cohorts_are_counted(spec):
    one = apply_model(spec, None, SPEED, (1,))
    assert (one.trials, one.networks, one.cohorts, one.steps) == (20, 40, 4, 1000)
    assert (one.artifact_bytes, one.useful_workers, one.bound) == (2000, 4, "cohorts")
    unknown = dataclasses.replace(SPEED, artifact_bytes=None)
    assert apply_model(spec, None, unknown, (1,)).artifact_bytes is None


def test_concurrent_cohorts_limit_the_speed(small_spec):
    limited = apply_model(small_spec(trials=8, cohort_size=2, concurrent_cohorts=2), None, SPEED, (1, 2, 4))
    free = apply_model(small_spec(trials=8, cohort_size=2), None, SPEED, (1, 2, 4))
    assert [e.bound for e in limited.expected] == ["workers", "concurrent_cohorts", "concurrent_cohorts"]
    assert [e.hours for e in limited.expected] == [e.hours for e in (*free.expected[:2], free.expected[1])]
    assert (limited.useful_workers, limited.bound) == (2, "concurrent_cohorts")


def test_workers_beyond_the_drivers_rate_do_not_help(small_spec):
    spec = small_spec(search=SEARCH, trials=5000, cohort_size=5, sampler="random")
    rates = compute_driver_rates(spec, None, 5)
    slowest = min(rates, key=rates.__getitem__)
    found = apply_model(spec, None, SPEED, (1, 1000))
    assert found.bound == found.expected[1].bound == slowest
    assert found.useful_workers == math.ceil(rates[slowest] * 2.5)
    assert 3600 * found.expected[1].hours == pytest.approx(10 + 5000 / rates[slowest])


def test_trials_evaluations_and_slow_storages_cost_driver_time(small_spec):
    def rate(part, storage=None, **changes):
        return compute_driver_rates(small_spec(search=SEARCH, **changes), storage, 5)[part]

    study = "study and Ray Tune"
    assert rate(study, trials=10) > rate(study, trials=1000)
    assert rate(study, sampler="random") > rate(study)
    assert rate(study) > rate(study, "sqlite:///x.db")
    assert rate(study, "postgresql+psycopg://h/x") == rate(study, "postgresql://h/x")
    assert rate("MLflow", evaluations=1) > rate("MLflow", evaluations=20)


def test_a_short_cohort_is_measured(small_spec, tmp_path):
    spec = small_spec(search=SEARCH | {"hidden_width": 6, "relocate_every": 20, "steps": 60})
    speed = measure_speed(spec, 1)
    assert speed.network_steps_per_s > 0
    assert speed.trial_s > 0
    assert speed.artifact_bytes > 1000, "weights and pictures"
    assert speed.uncertainty >= NOISE
    assert speed.source.startswith("a cohort of 6 networks, 60 steps")


def test_bad_input(spec, tmp_path, monkeypatch, capsys):
    with pytest.raises(BadInputError, match="workers must be at least 1, got 0"):
        make_plan(spec, Store.resolve(tmp_path), [4, 0])
