"""The model against counting by hand."""

import dataclasses
import math

import pytest

from sweeps.errors import BadInputError
from sweeps.run import plan
from sweeps.run.plan import apply_model, compute_driver_rates, estimate_suggestions, make_plan
from sweeps.run.speed import Speed
from sweeps.spec.parts import Confirm
from sweeps.store import Store

SPEED = Speed(1000.0, 0.25, 10.0, 100, 0.2, "said")
SEARCH = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 1000}


@pytest.fixture
def spec(small_spec):
    """20 trials of 2 networks with 1000 steps: 1.25 s per network at 1000 network-steps/s; cohorts of 3 trials."""
    return small_spec(search=SEARCH, trials=20, cohort_size=5, sampler="random")


def seconds(found):
    return {e.workers: 3600 * e.hours for e in found.expected}


def test_hours_are_those_of_whole_cohorts_after_the_start(spec):
    found = apply_model(spec, None, SPEED, (1, 2, 3, 7, 100))
    # 20 trials and the baseline are 42 networks: 7 cohorts of 6 networks, 7.5 s each, 10 s to start
    assert seconds(found) == pytest.approx({1: 62.5, 2: 40, 3: 32.5, 7: 17.5, 100: 17.5})
    assert [e.bound for e in found.expected] == ["workers", "workers", "workers", "cohorts", "cohorts"]
    assert (3600 * found.expected[0].hours_low, 3600 * found.expected[0].hours_high) == pytest.approx((62.5 / 1.2, 75))


def test_the_confirmation_comes_after_the_search(spec):
    confirmed = spec.model_copy(update={"confirm": Confirm(replicates=4)})
    counts = apply_model(confirmed, None, SPEED, (1,)).counts
    assert counts.confirmation == 4 * (counts.front + 1) > 0
    one, many = seconds(apply_model(confirmed, None, SPEED, (1, 100))).values()
    assert one == pytest.approx(10 + 1.25 * (42 + counts.confirmation))
    assert many == pytest.approx(10 + 2 * 7.5), "one round for the search, one for the confirmation"


def test_networks_and_cohorts_are_counted(spec):
    one = apply_model(spec, None, SPEED, (1,))
    assert (one.trials, one.networks, one.cohorts, one.steps) == (20, 42, 7, 1000)
    assert (one.counts.search, one.counts.baseline, one.counts.raised, one.counts.confirmation) == (40, 2, 0, 0)
    assert (one.artifact_bytes, one.useful_workers, one.bound) == (4200, 7, "cohorts")
    unknown = dataclasses.replace(SPEED, artifact_bytes=None)
    assert apply_model(spec, None, unknown, (1,)).artifact_bytes is None


def test_concurrent_cohorts_limit_the_speed(small_spec):
    changes = {"trials": 8, "cohort_size": 2, "sampler": "random"}
    limited = apply_model(small_spec(**changes, concurrent_cohorts=2), None, SPEED, (1, 2, 4))
    free = apply_model(small_spec(**changes), None, SPEED, (1, 2, 4))
    assert [e.bound for e in limited.expected] == ["workers", "concurrent_cohorts", "concurrent_cohorts"]
    assert [e.hours for e in limited.expected] == [e.hours for e in (*free.expected[:2], free.expected[1])]
    assert (limited.useful_workers, limited.bound) == (2, "concurrent_cohorts")


def test_workers_beyond_the_drivers_rate_do_not_help(small_spec):
    spec = small_spec(search=SEARCH, trials=5000, cohort_size=5, sampler="random")
    rates = compute_driver_rates(spec, None, 5)
    slowest = min(rates, key=rates.__getitem__)
    found = apply_model(spec, None, SPEED, (1, 1000))
    assert found.bound == found.expected[1].bound == slowest
    assert found.useful_workers == math.ceil(rates[slowest] * 2.5 * 5001 / 5001)
    assert 3600 * found.expected[1].hours == pytest.approx(10 + 5001 / rates[slowest])


def test_a_worker_waits_for_suggestions_that_take_longer_than_the_end_of_a_cohort(spec, monkeypatch):
    monkeypatch.setattr(plan, "SUGGESTING_S", {"random": (0.3, 0.1, 1e-4)})
    found = apply_model(spec, None, SPEED, (1,))
    assert (found.sampler, found.suggestion_s) == ("random", pytest.approx(1.5))
    waiting_s = 3 * 1.5 - 0.1 * 7.5  # of 3 trials; 90 % of a cohort must be over
    assert seconds(found)[1] == pytest.approx(62.5 + 7 * waiting_s)
    monkeypatch.setattr(plan, "SUGGESTING_S", {"random": (0.1, 0.0, 0.0)})
    assert seconds(apply_model(spec, None, SPEED, (1,)))[1] == pytest.approx(62.5)


def test_the_sampler_depends_on_the_time_of_a_trial(small_spec):
    auto = small_spec(search=SEARCH, sampler="auto")
    assert estimate_suggestions(auto, 1e4)[0] == "gp"
    assert estimate_suggestions(auto, 1e-4)[0] == "tpe"
    variants = {"vanilla": {"cost_weight": 0.0}, "BIMT": {"relocation": "greedy"}}
    compared = small_spec(search={"steps": 40}, variants=variants, trials=None)
    assert estimate_suggestions(compared, 1.0)[1] == 0.0


@pytest.mark.parametrize("sampler", ["gp", "tpe", "nsga2", "random", "qmc"])
def test_the_cost_of_every_sampler_is_known(small_spec, sampler):
    few, many = (estimate_suggestions(small_spec(sampler=sampler, trials=n), 1.0) for n in (20, 2000))
    assert few[0] == many[0] == sampler
    assert 0 <= few[1] <= many[1]


def test_evaluations_and_slow_storages_cost_driver_time(small_spec):
    def rate(part, storage=None, **changes):
        return compute_driver_rates(small_spec(search=SEARCH, **changes), storage, 5)[part]

    study = "study and Ray Tune"
    assert rate(study) > rate(study, "sqlite:///x.db")
    assert rate(study, "postgresql+psycopg://h/x") == rate(study, "postgresql://h/x")
    assert rate(study, evaluations=1) > rate(study, evaluations=20)
    assert rate("MLflow", evaluations=1) > rate("MLflow", evaluations=20)


def test_bad_input(spec, tmp_path):
    with pytest.raises(BadInputError, match="workers must be at least 1, got 0"):
        make_plan(spec, Store.resolve(tmp_path), [4, 0])
