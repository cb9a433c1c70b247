from sweeps.study.sampling.observation import Observation


def test_a_trial_without_results_needs_no_more_than_its_hyperparameters():
    running = Observation({"x": 1.0})
    assert (running.values, running.stderr, running.violations) == (None, None, ())
