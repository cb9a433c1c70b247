"""Whole published runs, training and relocation: one network in the plain loop against a population of 128.

Both are measured in turns over stretches of a run, each from one relocation to the next, and scaled to its published
number of steps; the plain loop evaluates the test loss at every step and the whole connection cost for every candidate
exchange, ours neither. What compiling took, once, with empty caches, is added to ours. Seconds a network on one core;
lower is better.
"""

import os
import tempfile
import time
from collections.abc import Iterator

from _plain import Network, relocate, steps
from _report import Row, report, seconds

from bimt_core import Snapshot, Task, initialise, load_task, start, train

CASES = {"independence": 5, "two_moons": 5, "permutation_s4": 3, "modular_addition": 1}  # stretches measured
NETWORKS = 128


def plain(t: Task, network: Network) -> None:
    for _ in steps(network, t, t.shared.relocate_every):
        pass
    relocate(network, t)


def ours(t: Task) -> Iterator[Snapshot]:
    """A snapshot after the first step, then one after every relocation."""
    begin = start(initialise(t.network, range(NETWORKS), dtype=t.dtype))
    every = t.shared.relocate_every
    return train(begin, t, [t.per_network] * NETWORKS, t.shared, {1, *range(every, t.shared.steps, every)})


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as empty:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty
        for name, repeats in CASES.items():
            t = load_task(name)
            network, snapshots = Network(t, initialise(t.network, [0], dtype=t.dtype)), ours(t)
            begin = time.perf_counter()
            next(snapshots)
            compiling = time.perf_counter() - begin
            next(snapshots)
            stretch = [lambda t=t, n=network: plain(t, n), lambda s=snapshots: next(s)]
            before, after = seconds(stretch, repeats)
            stretches = t.shared.steps / t.shared.relocate_every
            whole, each = before * stretches, (after * stretches + compiling) / NETWORKS
            yield Row(f"{name}, {t.shared.steps} steps", "s/network", whole, each, whole / each)


if __name__ == "__main__":
    report(__doc__, rows)
