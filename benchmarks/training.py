"""Training throughput: one network in an ordinary torch loop against a population trained at once.

    python benchmarks/training.py [--json]

The reference follows the paper's description of its notebooks: modules, torch.optim.AdamW, a connection cost that is
computed from positions and differentiated automatically, and the test loss at every step. Ours is `bimt_core.train`,
which evaluates only on demand. Neither relocates. Network-steps per second on one core; higher is better.
"""

from collections.abc import Callable, Iterator
from functools import partial

from _printing import Row, measure_seconds, run
from _reference_loop import train_new_network

from bimt_core.hyperparameters import SharedHyperparameters
from bimt_core.population import initialise
from bimt_core.tasks import Task, load_task
from bimt_core.train import start, train

CASES = {"independence": 300, "two_moons": 300, "modular_addition": 6}  # steps of the reference per repeat
POPULATIONS = (1, 32, 128)
REPEATS = 5


def train_population(task: Task, steps: int, networks: int) -> None:
    begin = start(initialise(task.network, range(networks), dtype=task.dtype))
    shared = SharedHyperparameters(steps=steps, relocation="none")
    next(train(begin, task, [task.per_network] * networks, shared, {steps}))


def rows() -> Iterator[Row]:
    for name, steps in CASES.items():
        task = load_task(name, published=True)
        lengths = [max(steps // max(networks // 8, 1), 2) for networks in POPULATIONS]
        contenders: list[Callable[[], None]] = [partial(train_new_network, task, steps)]
        contenders += [partial(train_population, task, *case) for case in zip(lengths, POPULATIONS, strict=True)]
        measure_seconds(contenders, 1)  # warm up
        baseline, *times = measure_seconds(contenders, REPEATS)
        for networks, length, seconds in zip(POPULATIONS, lengths, times, strict=True):
            before, after = steps / baseline, networks * length / seconds
            yield Row(f"{name}, population of {networks}", "network-steps/s", before, after, after / before)


if __name__ == "__main__":
    run(__doc__, rows)
