"""The published runs in full, and the same with optimal relocation: python benchmarks/published.py

One network a task with the published data and seed, then `SEEDS` seeds of initial weights as one population.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from bimt_core import SharedHyperparameters, Task, initialise, load_task, measure, start, train

TASKS = ("independence", "feature_sharing", "compositionality", "two_moons")
SEEDS = 16
SHOWN = ("test_loss", "score", "connection_cost", "wiring_length", "active_weights", "modularity")


def main() -> None:
    torch.set_num_threads(1)
    print("| task | run | " + " | ".join(SHOWN) + " |")
    print("|---" * (len(SHOWN) + 2) + "|")
    for name in TASKS:
        t = load_task(name)
        ours = replace(t.shared, relocation="assignment", move_moments=True)
        report(name, "published seed, greedy", t, t.shared, [t.model_seed])
        report(name, f"{SEEDS} seeds, greedy as published", t, t.shared, range(SEEDS))
        report(name, f"{SEEDS} seeds, assignment, moments moved", t, ours, range(SEEDS))


def report(name: str, run: str, t: Task, shared: SharedHyperparameters, seeds: Sequence[int]) -> None:
    """Prints mean and standard error over the seeds."""
    population = initialise(t.network, seeds, dtype=t.dtype)
    (last,) = train(start(population), t, [t.per_network] * len(seeds), shared, [shared.steps])
    figures = measure(last.population, t)
    cells = []
    for metric in SHOWN:
        values = figures[metric]
        error = f" ±{values.std().item() / len(values) ** 0.5:.1g}" if len(values) > 1 else ""
        cells.append(f"{values.mean().item():.3g}{error}")
    print(f"| {name} | {run} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
