import dataclasses

import pytest

from sweeps.study.trial import Trial


def test_a_trial_that_waits_has_neither_results_nor_times():
    trial = Trial(3, "WAITING", {"steps": 40})
    assert (trial.attempt, trial.retry_of, trial.mean, trial.stderr) == (1, None, {}, {})
    assert (trial.feasible, trial.reason, trial.started, trial.ended) == (None, None, None, None)
    assert trial == Trial(3, "WAITING", {"steps": 40})
    assert trial.mean is not Trial(3, "WAITING", {"steps": 40}).mean


def test_a_trial_is_never_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Trial(3, "WAITING", {}).state = "RUNNING"
