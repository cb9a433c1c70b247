"""The published systems beyond formulas, over several seeds of initial weights.

    python benchmarks/systems.py [TASK ...]

Trains modular addition and permutations as published; in-context regression as published, with the error at the last
sequence index, where context helps; and digits without penalty, with L1, and with BIMT by assignment. Prints mean ±
standard error over the seeds, and counts and scores of every network.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from _printing import make_parser
from torch import Tensor

from bimt_core import Population, SharedHyperparameters, Task, initialise, load_task, measure, start, train
from bimt_core.wiring import is_active

SEEDS = {"permutation_s4": range(8), "in_context": range(8), "digits": range(8), "modular_addition": (4, 5)}
METRICS = ("test_loss", "test_score", "connection_cost", "active_weights", "modularity")
Run = tuple[SharedHyperparameters, float, float]  # with cost weight and weight factor


def list_runs(task: Task) -> dict[str, Run]:
    """Lists the runs of a task by name."""
    cost_weight, weight_factor = task.per_network.cost_weight, task.per_network.weight_factor
    if task.name != "digits":
        return {"as published": (task.shared, cost_weight, weight_factor)}
    without = replace(task.shared, relocation="none")
    ours = replace(task.shared, relocation="assignment", move_moments=True)
    return {
        "vanilla": (without, 0.0, 0.0),
        "L1": (without, cost_weight, 0.0),
        "BIMT, assignment": (ours, cost_weight, weight_factor),
    }


def train_networks(task: Task, run: Run, seeds: Sequence[int]) -> Population:
    shared, cost_weight, weight_factor = run
    per_network = replace(task.per_network, cost_weight=cost_weight, weight_factor=weight_factor)
    begin = start(initialise(task.network, seeds, dtype=task.dtype))
    (last,) = train(begin, task, [per_network] * len(seeds), shared, [shared.steps])
    return last.population


def format_metrics(population: Population, task: Task) -> list[str]:
    metrics = measure(population, task, louvain_seeds=3, transforms=["layer_max"])
    return [
        f"{name} {metrics[name].mean().item():.4g} ±{metrics[name].std().item() / len(population) ** 0.5:.1g}"
        for name in METRICS
    ]


def format_details(population: Population, task: Task) -> str:
    """Formats the values of every network that its task asks for."""
    if task.name == "in_context":
        return format_last_error(population, task)
    details = format_scores(population, task)
    return f"{details}; {format_embedding(population)}" if task.network.takes_tokens else details


def format_scores(population: Population, task: Task) -> str:
    scores = []
    for inputs, targets in ((task.inputs, task.targets), (task.test_inputs, task.test_targets)):
        scores.append([round(value, 3) for value in task.score(population.predict(inputs), targets).tolist()])
    return f"train {scores[0]} test {scores[1]}"


def format_embedding(population: Population) -> str:
    """Counts the embedding's neurons that an active weight reads, in any fold."""
    active = is_active(population.tensors["weight0"])
    counts = active.any(1).unflatten(1, (2, -1)).any(1).sum(1)
    return f"active embedding neurons {counts.tolist()}"


def format_last_error(population: Population, task: Task) -> str:
    error: Tensor = (population.predict(task.test_inputs) - task.test_targets)[:, :, -1, 0].square().mean(1)
    each = ", ".join(f"{value:.2e}" for value in error.tolist())
    return f"test MSE at the last index {error.mean():.3g} ±{error.std() / len(error) ** 0.5:.1g}: {each}"


def main() -> None:
    parser = make_parser(__doc__, json=False)
    parser.add_argument("tasks", nargs="*", metavar="TASK", default=list(SEEDS), help=f"of {', '.join(SEEDS)}")
    torch.set_num_threads(1)
    for name in parser.parse_args().tasks:
        task = load_task(name, published=True)
        for run_name, run in list_runs(task).items():
            begin = time.perf_counter()
            population = train_networks(task, run, SEEDS[name])
            seconds = time.perf_counter() - begin
            cells = [f"{name}, {run_name}, {len(population)} seeds", *format_metrics(population, task)]
            print(" | ".join([*cells, f"{seconds:.0f} s", format_details(population, task)]), flush=True)


if __name__ == "__main__":
    main()
