"""Growth of the cost: of training with networks and steps, of relocation with networks and width.

    python benchmarks/scaling.py [--json]

One core. Rows:

- population of n: network-steps per second of populations of 1 to 1024, against one network in the reference loop.
- twice the steps, twice the networks: seconds against those of once as many. The ratio should be 2.
- width n: milliseconds of a relocation round per network, for 16-n-n-16, against the narrowest network.
- exponent of the width: slope of the power law through these points, against the expected 2.2.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from _printing import Row, measure_seconds, run
from _reference_loop import train_new_network

from bimt_core import MLP, SharedHyperparameters, Task, initialise, load_task, relocate, start, train
from bimt_core.relocate import Method

POPULATIONS = (1, 4, 16, 64, 256, 1024)
NETWORK_STEPS = 12_800  # per timing
REFERENCE_STEPS = 200
WIDTHS = (25, 50, 100, 200, 400)
METHODS: tuple[Method, ...] = ("greedy", "assignment")
REPEATS = 3


def prepare_training(task: Task, networks: int, steps: int) -> Callable[[], object]:
    """Returns a function that trains a population."""
    begin, shared = (
        start(initialise(task.network, range(networks), dtype=task.dtype)),
        SharedHyperparameters(steps=steps),
    )
    per_network = [task.per_network] * networks
    return lambda: next(train(begin, task, per_network, shared, {steps}, compiled=True))


def compare_populations(name: str) -> Iterator[Row]:
    task = load_task(name, published=True)
    lengths = [max(NETWORK_STEPS // n, 10) for n in POPULATIONS]
    contenders = [partial(train_new_network, task, REFERENCE_STEPS)]
    contenders += map(partial(prepare_training, task), POPULATIONS, lengths)
    measure_seconds(contenders, 1)  # compiles
    baseline, *times = measure_seconds(contenders, REPEATS)
    for networks, length, seconds in zip(POPULATIONS, lengths, times, strict=True):
        before, after = REFERENCE_STEPS / baseline, networks * length / seconds
        yield Row(f"{name}, population of {networks}", "network-steps/s", before, after, after / before)


def compare_doubling(name: str) -> Iterator[Row]:
    task = load_task(name, published=True)
    for what, networks, steps in (("steps", 64, 800), ("networks", 128, 400)):
        contenders = [prepare_training(task, 64, 400), prepare_training(task, networks, steps)]
        measure_seconds(contenders, 1)
        before, after = measure_seconds(contenders, REPEATS)
        yield Row(f"{name}, twice the {what}", "s", before, after, after / before)


def compare_widths() -> Iterator[Row]:
    for method in METHODS:
        times: list[float] = []
        for n in WIDTHS:
            network = MLP((16, n, n, 16))
            population = initialise(network, range(max(1, 1600 // n)))
            contender = partial(relocate, network.wiring, population.flat, method, top_k=30)
            contender()
            times.append(measure_seconds([contender], REPEATS)[0] / len(population))
            yield Row(f"{method}, width {n}", "ms/network", 1e3 * times[0], 1e3 * times[-1], times[-1] / times[0])
        exponent = fit_slope([math.log(n) for n in WIDTHS], [math.log(s) for s in times])
        yield Row(f"{method}, exponent of the width", "", 2.2, exponent, exponent / 2.2)


def fit_slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Fits a straight line by least squares."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    pairs = list(zip(x, y, strict=True))
    return sum((a - mean_x) * (b - mean_y) for a, b in pairs) / sum((a - mean_x) ** 2 for a, _ in pairs)


def rows() -> Iterator[Row]:
    yield from compare_populations("independence")
    yield from compare_populations("two_moons")
    yield from compare_doubling("independence")
    yield from compare_widths()


if __name__ == "__main__":
    run(__doc__, rows)
