"""Training throughput: one network in an ordinary torch loop against a population trained at once.

Plain is written as the paper describes its notebooks: modules, torch.optim.AdamW, the connection cost through automatic
differentiation with distances computed from positions, and the test loss at every step. Ours is `bimt_core.train`,
which evaluates only when asked. Neither relocates. Network-steps per second on one core; higher is better.
"""

from collections.abc import Callable, Iterator
from functools import partial

from _plain import Network
from _plain import steps as plain_steps
from _report import Row, report, seconds

from bimt_core.hyperparameters import SharedHyperparameters
from bimt_core.population import initialise
from bimt_core.tasks import Task, load_task
from bimt_core.train import start, train

CASES = {"independence": 300, "two_moons": 300, "modular_addition": 6}  # plain steps a repeat
POPULATIONS = (1, 32, 128)
REPEATS = 5


def plain(t: Task, n: int) -> None:
    for _ in plain_steps(Network(t, initialise(t.network, [0], dtype=t.dtype)), t, n):
        pass


def ours(t: Task, steps: int, networks: int) -> None:
    begin = start(initialise(t.network, range(networks), dtype=t.dtype))
    shared = SharedHyperparameters(steps=steps, relocation="none")
    next(train(begin, t, [t.per_network] * networks, shared, {steps}))


def rows() -> Iterator[Row]:
    for name, steps in CASES.items():
        t = load_task(name)
        lengths = [max(steps // max(networks // 8, 1), 2) for networks in POPULATIONS]
        contenders: list[Callable[[], None]] = [partial(plain, t, steps)]
        contenders += [partial(ours, t, length, n) for length, n in zip(lengths, POPULATIONS, strict=True)]
        seconds(contenders, 1)  # warm up
        baseline, *times = seconds(contenders, REPEATS)
        for networks, length, taken in zip(POPULATIONS, lengths, times, strict=True):
            before, after = steps / baseline, networks * length / taken
            yield Row(f"{name}, population of {networks}", "network-steps/s", before, after, after / before)


if __name__ == "__main__":
    report(__doc__, rows)
