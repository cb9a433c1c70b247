from sweeps.run.speed import NOISE, measure_speed

SEARCH = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 60, "hidden_width": 6, "relocate_every": 20}


def test_a_short_cohort_is_measured(small_spec):
    speed = measure_speed(small_spec(search=SEARCH, trials=24), 1)
    assert speed.network_steps_per_s > 0
    assert speed.network_s > 0
    assert speed.artifact_bytes > 1000, "weights and pictures"
    assert speed.uncertainty >= NOISE
    assert speed.source.startswith("a cohort of 6 networks, 60 steps")
