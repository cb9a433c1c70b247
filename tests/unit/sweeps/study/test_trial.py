import dataclasses

import pytest

from sweeps.study.trial import Confirmation, Trial


def test_a_trial_that_waits_has_neither_results_nor_times():
    trial = Trial(3, "WAITING", {"steps": 40})
    assert (trial.attempt, trial.retry_of, trial.values, trial.stderr) == (1, None, {}, {})
    assert (trial.role, trial.of, trial.seeds, trial.networks) == ("search", None, (), {})
    assert (trial.feasible, trial.reason, trial.started, trial.ended) == (None, None, None, None)
    assert trial == Trial(3, "WAITING", {"steps": 40})
    assert trial.values is not Trial(3, "WAITING", {"steps": 40}).values


def test_a_trial_is_never_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Trial(3, "WAITING", {}).state = "RUNNING"


def test_a_trial_is_confirmed_by_networks_on_the_sweeps_own_data():
    confirmation = Confirmation((5, 6), {}, {}, {}, {})
    empty = Confirmation((), {}, {}, {}, {}, ("diverged",))
    for confirmations, confirmed in (
        ({}, None),
        ({7: confirmation}, None),
        ({None: empty}, None),
        ({None: confirmation, 7: empty}, confirmation),
    ):
        assert Trial(0, "COMPLETE", {}, confirmations=confirmations).confirmed is confirmed
