"""Whole published runs, training and relocation: one network in the reference loop against a population of 128.

    python benchmarks/runs.py [--json]

Both are measured in turns on parts of a run, each from one relocation to the next, and scaled to the published number
of steps. The reference evaluates the test loss at every step and the whole connection cost for every candidate
exchange; ours does neither. The time of compiling with an empty cache is added to ours once. Seconds per network on one
core; lower is better.
"""

import os
import tempfile
import time
from collections.abc import Iterator

from _printing import Row, measure_seconds, run
from _reference_loop import ReferenceNetwork, relocate, train_steps

from bimt_core import Snapshot, Task, initialise, load_task, start, train

CASES = {"independence": 5, "two_moons": 5, "permutation_s4": 3, "modular_addition": 1}  # parts that are measured
NETWORKS = 128


def train_reference(task: Task, network: ReferenceNetwork) -> None:
    for _ in train_steps(network, task, task.shared.relocate_every):
        pass
    relocate(network, task)


def train_population(task: Task) -> Iterator[Snapshot]:
    """Yields a snapshot after the first step, then one after every relocation."""
    begin = start(initialise(task.network, range(NETWORKS), dtype=task.dtype))
    every = task.shared.relocate_every
    snapshot_at = {1, *range(every, task.shared.steps, every)}
    return train(begin, task, [task.per_network] * NETWORKS, task.shared, snapshot_at)


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as empty:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty
        for name, repeats in CASES.items():
            task = load_task(name, published=True)
            network = ReferenceNetwork(task, initialise(task.network, [0], dtype=task.dtype))
            snapshots = train_population(task)
            begin = time.perf_counter()
            next(snapshots)
            compiling = time.perf_counter() - begin
            next(snapshots)
            contenders = [lambda t=task, n=network: train_reference(t, n), lambda s=snapshots: next(s)]
            before, after = measure_seconds(contenders, repeats)
            parts = task.shared.steps / task.shared.relocate_every
            reference, ours = before * parts, (after * parts + compiling) / NETWORKS
            yield Row(f"{name}, {task.shared.steps} steps", "s/network", reference, ours, reference / ours)


if __name__ == "__main__":
    run(__doc__, rows)
