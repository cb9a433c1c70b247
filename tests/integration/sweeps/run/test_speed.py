import pytest

from sweeps.run.plan import make_plan
from sweeps.run.speed import read_logged_speed
from sweeps.store import Store
from sweeps.study.study import SweepStudy
from sweeps.tracking.records import SweepRecords
from sweeps.tracking.run_writer import Target
from sweeps.tracking.spool import Spool
from sweeps.tracking.writer import drain

SEARCH = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 1000}


@pytest.fixture
def spec(small_spec):
    """20 trials of 2 networks with 1000 steps, in cohorts of 3 trials."""
    return small_spec(search=SEARCH, trials=20, cohort_size=5, sampler="random")


def test_the_speed_that_an_earlier_sweep_logged_is_used(spec, new_store, tmp_path):
    store = new_store(tmp_path / "store", spec.name)
    assert read_logged_speed(spec, Store.resolve(tmp_path / "none")) is None
    study = SweepStudy.launch(store, spec)
    folder = store.work_folder(spec.name) / "spool"
    spool, records = Spool(folder), SweepRecords(spec, study.sweep_id)
    spool.add(records.describe_sweep_start())
    account = {"training": 0.5, "measuring": 0.1, "drawing": 0.1, "starting and waiting": 0.3}
    totals = {"trials": 20, "network_steps": 40_000, "wall_s": 100.0, "workers": 2}
    spool.add(records.describe_sweep_end([], account, totals, complete=True))
    drain(Target(store.mlflow_uri, spec.name, str(store.artifacts), ""), folder)
    speed = read_logged_speed(spec.model_copy(update={"name": "next"}), store)
    assert speed.network_steps_per_s == pytest.approx(40_000 / (0.5 * 200))
    assert (speed.network_s, speed.start_s) == pytest.approx((0.2 * 200 / 40, 30))
    assert speed.source == "logged by small"
    other = spec.model_copy(update={"task": "independence"})
    assert read_logged_speed(other, store) is None
    assert make_plan(spec, store, [2]).expected[0].hours == pytest.approx((30 + 4 * 6 * (1000 / 400 + 1)) / 3600)
