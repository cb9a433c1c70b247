"""One relocation round of a network: recomputing the cost for every candidate exchange against the exact shortcut.

Plain is the published round, written plainly: the neurons of highest score of each layer are exchanged with every place
of the layer in turn, the whole network's cost is computed, and the exchange undone; the best one is kept. Ours is
`relocate` and the rearranging of the parameters, for a population of 32 at once, per network. Both greedy searches are
checked to end in the same arrangement. Milliseconds a network on one core; lower is better.
"""

from collections.abc import Iterator

import torch
from _plain import Network
from _plain import relocate as plain_relocate
from _report import Row, report, seconds

from bimt_core.population import Population, initialise
from bimt_core.relocate import Method, relocate
from bimt_core.tasks import Task, load_task

CASES = ("independence", "two_moons", "modular_addition", "permutation_s4")
METHODS: tuple[Method, ...] = ("greedy", "assignment")
NETWORKS = 32
REPEATS = 3


def ours(population: Population, method: Method, top_k: int) -> Population:
    return population.rearrange(relocate(population.network.wiring, population.flat, method, top_k=top_k))


def check(t: Task) -> None:
    """Both greedy searches end in the same arrangement, whose cost only differs by rounding."""
    t = t.cast(torch.float64)
    population = initialise(t.network, [t.model_seed], dtype=torch.float64)
    network = Network(t, population)
    plain_relocate(network, t)
    found = ours(population, "greedy", t.shared.relocate_top_k).tensors
    for number, layer in enumerate(network.layers):
        assert torch.equal(layer.weight, found[f"weight{number}"][0]), f"{t.name}: other arrangements"


def rows() -> Iterator[Row]:
    for name in CASES:
        t = load_task(name)
        check(t)
        top_k = t.shared.relocate_top_k
        population = initialise(t.network, range(NETWORKS), dtype=t.dtype)
        contenders = [lambda t=t, p=population: plain_relocate(Network(t, p), t)]
        contenders += [lambda p=population, m=method, k=top_k: ours(p, m, k) for method in METHODS]
        before, *times = seconds(contenders, REPEATS)
        for method, taken in zip(METHODS, times, strict=True):
            after = taken / NETWORKS
            yield Row(f"{name}, {method}", "ms/network", 1e3 * before, 1e3 * after, before / after)


if __name__ == "__main__":
    report(__doc__, rows)
