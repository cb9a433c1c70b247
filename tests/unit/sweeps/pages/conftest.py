"""Sweeps with given results, and their trials as charts take them."""

import pytest
from support.example_sweeps import create_sweep, example_spec

from sweeps.pages.charts import ChartedTrials
from sweeps.study.confirmation import judge_all_confirmed
from sweeps.study.front import select_front
from sweeps.study.gains import find_baseline


@pytest.fixture
def create(tmp_path, small_spec):
    """Creates a sweep with given results, baseline, confirmations and changes of the spec."""

    def create(results, *, baseline=None, confirmed=None, n_confirmed=4, **changes):
        spec = example_spec(small_spec, **changes)
        return create_sweep(tmp_path, spec, results, baseline=baseline, confirmed=confirmed, n_confirmed=n_confirmed)

    return create


@pytest.fixture
def chart():
    """Returns the trials of a sweep as charts take them."""

    def chart(sweep):
        frame, trials = sweep.trials(), sweep.completed_trials()
        complete = frame[frame["state"] == "COMPLETE"]
        baseline = find_baseline(trials)
        return ChartedTrials(
            complete[complete["role"] == "search"],
            [trial.number for trial in select_front(trials, sweep.spec.objectives)],
            complete.loc[[] if baseline is None else [baseline.number]],
        )

    return chart


@pytest.fixture
def judge():
    """Returns the confirmed trials of a sweep on its own data."""
    return lambda sweep: judge_all_confirmed(sweep.completed_trials(), sweep.spec).get(None, [])
