"""The published runs in full, and the same with this package's default relocation.

    python benchmarks/published.py [TASK ...]

Trains, for each task, one network with the published data and seed, then 16 seeds of initial weights as one population
with greedy and with assignment relocation. Prints a Markdown table of mean ± standard error over the seeds. Takes three
minutes.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from _printing import make_parser

from bimt_core import SharedHyperparameters, Task, initialise, load_task, measure, start, train

TASKS = ("independence", "feature_sharing", "compositionality", "two_moons")
SEEDS = 16
METRICS = ("test_loss", "test_score", "connection_cost", "wiring_length", "active_weights", "modularity")


def main() -> None:
    parser = make_parser(__doc__, json=False)
    parser.add_argument("tasks", nargs="*", metavar="TASK", default=TASKS, help=f"of {', '.join(TASKS)}")
    torch.set_num_threads(1)
    tasks = parser.parse_args().tasks
    print("| task | run | " + " | ".join(METRICS) + " |")
    print("|---" * (len(METRICS) + 2) + "|")
    for name in tasks:
        task = load_task(name, published=True)
        ours = replace(task.shared, relocation="assignment", move_moments=True)
        train_and_print("published seed, greedy", task, task.shared, [task.model_seed])
        train_and_print(f"{SEEDS} seeds, greedy as published", task, task.shared, range(SEEDS))
        train_and_print(f"{SEEDS} seeds, assignment, moments moved", task, ours, range(SEEDS))


def train_and_print(run: str, task: Task, shared: SharedHyperparameters, seeds: Sequence[int]) -> None:
    population = initialise(task.network, seeds, dtype=task.dtype)
    (last,) = train(start(population), task, [task.per_network] * len(seeds), shared, [shared.steps])
    metrics = measure(last.population, task)
    cells = []
    for name in METRICS:
        values = metrics[name]
        error = f" ±{values.std().item() / len(values) ** 0.5:.1g}" if len(values) > 1 else ""
        cells.append(f"{values.mean().item():.3g}{error}")
    print(f"| {task.name} | {run} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
