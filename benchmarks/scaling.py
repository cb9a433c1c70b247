"""How cost grows: training with networks and steps, relocation with networks and width.

Training: network-steps per second of populations of 1 to 1024, against one network in the plain loop. Then seconds of
twice the steps against once, and of twice the networks. Relocation: milliseconds a network against the width of both
hidden layers of 16-n-n-16; the exponent is that of the power law through the measured points. One core.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from _plain import Network
from _plain import steps as plain_steps
from _report import Row, report, seconds

from bimt_core import MLP, SharedHyperparameters, Task, initialise, load_task, relocate, start, train
from bimt_core.relocate import Method

POPULATIONS = (1, 4, 16, 64, 256, 1024)
NETWORK_STEPS = 12_800  # of one timing
WIDTHS = (25, 50, 100, 200, 400)
METHODS: tuple[Method, ...] = ("greedy", "assignment")
REPEATS = 3


def trained(t: Task, networks: int, steps: int) -> Callable[[], object]:
    begin, shared = start(initialise(t.network, range(networks), dtype=t.dtype)), SharedHyperparameters(steps=steps)
    per_network = [t.per_network] * networks
    return lambda: next(train(begin, t, per_network, shared, {steps}, compiled=True))


def plain(t: Task, steps: int) -> None:
    for _ in plain_steps(Network(t, initialise(t.network, [0], dtype=t.dtype)), t, steps):
        pass


def populations(name: str) -> Iterator[Row]:
    t = load_task(name)
    lengths = [max(NETWORK_STEPS // n, 10) for n in POPULATIONS]
    contenders = [partial(plain, t, 200), *map(partial(trained, t), POPULATIONS, lengths)]
    seconds(contenders, 1)  # compiles
    baseline, *times = seconds(contenders, REPEATS)
    for networks, length, taken in zip(POPULATIONS, lengths, times, strict=True):
        before, after = 200 / baseline, networks * length / taken
        yield Row(f"{name}, population of {networks}", "network-steps/s", before, after, after / before)


def doublings(name: str) -> Iterator[Row]:
    t = load_task(name)
    cases = {"steps": ((64, 400), (64, 800)), "networks": ((64, 400), (128, 400))}
    for what, (once, twice) in cases.items():
        contenders = [trained(t, *once), trained(t, *twice)]
        seconds(contenders, 1)
        before, after = seconds(contenders, REPEATS)
        yield Row(f"{name}, twice the {what}", "s", before, after, after / before)


def widths() -> Iterator[Row]:
    for method in METHODS:
        taken = []
        for n in WIDTHS:
            network = MLP((16, n, n, 16))
            population = initialise(network, range(max(1, 1600 // n)))
            contender = partial(relocate, network.wiring, population.flat, method, top_k=30)
            contender()
            taken.append(seconds([contender], REPEATS)[0] / len(population))
            yield Row(f"{method}, width {n}", "ms/network", 1e3 * taken[0], 1e3 * taken[-1], taken[-1] / taken[0])
        exponent = slope([math.log(n) for n in WIDTHS], [math.log(s) for s in taken])
        yield Row(f"{method}, exponent of the width", "", 2.2, exponent, exponent / 2.2)


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of the straight line nearest to the points."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    pairs = list(zip(x, y, strict=True))
    return sum((a - mean_x) * (b - mean_y) for a, b in pairs) / sum((a - mean_x) ** 2 for a, _ in pairs)


def rows() -> Iterator[Row]:
    yield from populations("independence")
    yield from populations("two_moons")
    yield from doublings("independence")
    yield from widths()


if __name__ == "__main__":
    report(__doc__, rows)
