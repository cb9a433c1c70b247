import pytest

from bimt_core import load_task, population_size
from bimt_core.hyperparameters import SharedHyperparameters
from bimt_core.population_size import best_population, network_bytes, throughput


@pytest.fixture
def speeds(monkeypatch):
    """Stands in for the measurement: network-steps per second by population."""
    asked = []

    def set_speeds(by_size):
        monkeypatch.setattr(
            population_size, "throughput", lambda _task, _network, _schedule, n: asked.append(n) or by_size(n)
        )
        return asked

    return set_speeds


def best(most):
    moons = load_task("two_moons")
    return best_population(moons, moons.network, moons.shared, most=most)


def test_it_grows_while_that_is_worth_it(speeds):
    asked = speeds(lambda n: min(n, 16))
    assert best(1000) == 16
    assert asked == [1, 2, 4, 8, 16, 32, 64]


def test_the_smallest_that_is_nearly_as_fast_is_chosen(speeds):
    speeds(lambda n: {1: 50, 2: 91, 4: 95, 8: 100}.get(n, 99))
    assert best(64) == 2


def test_it_never_exceeds_memory(speeds):
    asked = speeds(lambda n: n)
    assert best(11) == 11
    assert max(asked) == 11
    assert best(1) == 1


def test_throughput_is_real():
    moons = load_task("two_moons")
    assert throughput(moons, moons.network, moons.shared, 4) > 100


def test_memory_grows_with_rows_and_not_in_batches():
    moons = load_task("two_moons")
    whole, batch = (network_bytes(moons, moons.network, SharedHyperparameters(batch_size=size)) for size in (0, 20))
    assert whole > 10 * batch / 2
    assert network_bytes(moons, moons.network.resized(40, None), SharedHyperparameters()) > whole
