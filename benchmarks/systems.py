"""The published systems beyond formulas, over several seeds of initial weights: python benchmarks/systems.py [TASK ...]

Modular addition and permutations as published; in-context regression as published, with the error at the last place,
where context helps; digits without penalty, with L1, and with BIMT by assignment. Figures are means with standard
errors over the seeds; where a count is asked for, every network's is shown.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bimt_core import Population, SharedHyperparameters, Task, initialise, load_task, measure, start, train
from bimt_core.modularity import ACTIVE

SEEDS = {"permutation_s4": range(8), "in_context": range(8), "digits": range(8), "modular_addition": (4, 5)}
SHOWN = ("test_loss", "score", "connection_cost", "active_weights", "modularity")


def trained(
    t: Task, shared: SharedHyperparameters, seeds: Sequence[int], cost_weight: float, weight_factor: float
) -> Population:
    per_network = replace(t.per_network, cost_weight=cost_weight, weight_factor=weight_factor)
    begin = start(initialise(t.network, seeds, dtype=t.dtype))
    (last,) = train(begin, t, [per_network] * len(seeds), shared, [shared.steps])
    return last.population


def show(name: str, run: str, population: Population, t: Task, taken: float, more: str) -> None:
    figures = measure(population, t, louvain_seeds=3, transforms=["layer_max"])
    cells = [f"{name}, {run}, {len(population)} seeds"]
    for metric in SHOWN:
        values = figures[metric]
        cells.append(f"{metric} {values.mean().item():.4g} ±{values.std().item() / len(values) ** 0.5:.1g}")
    print(" | ".join([*cells, f"{taken:.0f} s", more]), flush=True)


def active_embedding(population: Population, _: Task) -> str:
    """Neurons of the embedding that any active weight reads."""
    weight = population.tensors["weight0"].abs() > ACTIVE
    counts = weight.any(1).unflatten(1, (2, -1)).any(1).sum(1)
    return f"active embedding neurons {counts.tolist()}"


def last_place(population: Population, t: Task) -> str:
    error = (population.predict(t.test_inputs) - t.test_targets)[:, :, -1, 0].square().mean(1)
    return f"test MSE at the last place {error.mean():.3g} ±{error.std() / len(error) ** 0.5:.1g}: {told(error)}"


def told(values: Tensor) -> str:
    return ", ".join(f"{value:.2e}" for value in values.tolist())


def accuracies(population: Population, t: Task) -> str:
    train_score = t.score(population.predict(t.inputs), t.targets)
    test_score = t.score(population.predict(t.test_inputs), t.test_targets)
    return f"train {[round(v, 3) for v in train_score.tolist()]} test {[round(v, 3) for v in test_score.tolist()]}"


Extra = Callable[[Population, Task], str]


def main(names: Sequence[str]) -> None:
    torch.set_num_threads(1)
    for name in names:
        t = load_task(name)
        published = (t.shared, t.per_network.cost_weight, t.per_network.weight_factor)
        ours = replace(t.shared, relocation="assignment", move_moments=True)
        still = replace(t.shared, relocation="none")
        runs: dict[str, tuple[SharedHyperparameters, float, float]] = {"as published": published}
        if name == "digits":
            runs = {
                "vanilla": (still, 0.0, 0.0),
                "L1": (still, t.per_network.cost_weight, 0.0),
                "BIMT, assignment": (ours, t.per_network.cost_weight, t.per_network.weight_factor),
            }
        extras: list[Extra] = [accuracies]
        extras += [active_embedding] if t.network.takes_tokens else []
        extras = [last_place] if name == "in_context" else extras
        for run, (shared, cost_weight, weight_factor) in runs.items():
            begin = time.perf_counter()
            population = trained(t, shared, SEEDS[name], cost_weight, weight_factor)
            taken = time.perf_counter() - begin
            show(name, run, population, t, taken, "; ".join(extra(population, t) for extra in extras))


if __name__ == "__main__":
    main(sys.argv[1:] or list(SEEDS))
