"""One relocation round: computing the cost for every candidate exchange against the exact closed form.

    python benchmarks/relocation.py [--json]

The reference is the published round: the strongest neurons of each layer are exchanged with every place of the layer in
turn, the cost of the whole network is computed, and the exchange is undone; the best exchange is kept. Ours is
`relocate` plus rearranging the parameters, for a population of 32 at once. Both greedy searches are checked to end in
the same arrangement. Milliseconds per network on one core; lower is better.
"""

from collections.abc import Iterator

import torch
from _printing import Row, measure_seconds, run
from _reference_loop import ReferenceNetwork
from _reference_loop import relocate as relocate_reference

from bimt_core.population import Population, initialise
from bimt_core.relocate import Method, relocate
from bimt_core.tasks import Task, load_task

CASES = ("independence", "two_moons", "modular_addition", "permutation_s4")
METHODS: tuple[Method, ...] = ("greedy", "assignment")
NETWORKS = 32
REPEATS = 3


def relocate_population(population: Population, method: Method, top_k: int) -> Population:
    return population.rearrange(relocate(population.network.wiring, population.flat, method, top_k=top_k))


def check(task: Task) -> None:
    """Checks in float64 that both greedy searches end in the same arrangement."""
    task = task.cast(torch.float64)
    population = initialise(task.network, [task.model_seed], dtype=torch.float64)
    network = ReferenceNetwork(task, population)
    relocate_reference(network, task)
    tensors = relocate_population(population, "greedy", task.shared.relocate_top_k).tensors
    for number, layer in enumerate(network.layers):
        assert torch.equal(layer.weight, tensors[f"weight{number}"][0]), f"{task.name}: arrangements differ"


def rows() -> Iterator[Row]:
    for name in CASES:
        task = load_task(name)
        check(task)
        top_k = task.shared.relocate_top_k
        population = initialise(task.network, range(NETWORKS), dtype=task.dtype)
        contenders = [lambda t=task, p=population: relocate_reference(ReferenceNetwork(t, p), t)]
        contenders += [lambda p=population, m=method, k=top_k: relocate_population(p, m, k) for method in METHODS]
        before, *times = measure_seconds(contenders, REPEATS)
        for method, seconds in zip(METHODS, times, strict=True):
            after = seconds / NETWORKS
            yield Row(f"{name}, {method}", "ms/network", 1e3 * before, 1e3 * after, before / after)


if __name__ == "__main__":
    run(__doc__, rows)
