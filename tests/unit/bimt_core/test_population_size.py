from dataclasses import replace

import pytest

from bimt_core import load_task, population_size
from bimt_core.hyperparameters import SharedHyperparameters
from bimt_core.population_size import best_population_size, measure_throughput, network_bytes


@pytest.fixture
def speeds(monkeypatch):
    """Replaces the measurement by a function of the number of networks; returns the numbers it was called with."""
    sizes = []

    def set_speeds(speed):
        monkeypatch.setattr(
            population_size, "measure_throughput", lambda _task, _network, _shared, n: sizes.append(n) or speed(n)
        )
        return sizes

    return set_speeds


def best(most):
    moons = load_task("two_moons")
    return best_population_size(moons, moons.network, moons.shared, most=most)


def test_populations_grow_until_two_sizes_are_not_faster(speeds):
    sizes = speeds(lambda n: min(n, 16))
    assert best(1000) == 16
    assert sizes == [1, 2, 4, 8, 16, 32, 64]


def test_the_smallest_size_with_nearly_the_best_speed_is_chosen(speeds):
    speeds(lambda n: {1: 50, 2: 91, 4: 95, 8: 100}.get(n, 99))
    assert best(64) == 2


def test_sizes_never_exceed_memory(speeds):
    sizes = speeds(lambda n: n)
    assert best(11) == 11
    assert max(sizes) == 11
    assert best(1) == 1


def test_throughput_is_plausible():
    moons = load_task("two_moons")
    assert measure_throughput(moons, moons.network, moons.shared, 4) > 100


def test_memory_depends_on_rows_per_step_and_width():
    moons = load_task("two_moons")
    few = {"validation_inputs": moons.inputs[:1], "validation_targets": moons.targets[:1]}
    moons = replace(moons, **few, test_inputs=moons.inputs[:1], test_targets=moons.targets[:1])
    whole, batch = (network_bytes(moons, moons.network, SharedHyperparameters(batch_size=size)) for size in (0, 20))
    assert whole > 10 * batch / 2
    assert network_bytes(moons, moons.network.resize(40, None), SharedHyperparameters()) > whole


def test_memory_holds_the_outputs_that_are_measured():
    moons, shared = load_task("two_moons"), SharedHyperparameters(batch_size=20)
    inputs, targets = moons.test_inputs.repeat(10, 1), moons.test_targets.repeat(10)
    less = network_bytes(moons, moons.network, shared)
    for rows in ("validation", "test"):
        longer = replace(moons, **{f"{rows}_inputs": inputs, f"{rows}_targets": targets})
        assert network_bytes(longer, moons.network, shared) - less >= 18_000 * 2 * 4  # rows, outputs, bytes
