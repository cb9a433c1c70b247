"""One relocation round of a network: recomputing the cost for every candidate exchange against the exact shortcut.

Plain is the published round, written plainly: the neurons of highest score of each layer are exchanged with every place
of the layer in turn, the whole network's cost is computed, and the exchange undone; the best one is kept. Ours is
`relocate` and the rearranging of the parameters, for a population of 32 at once, per network. Both greedy searches are
checked to end in the same arrangement. Milliseconds a network on one core; lower is better.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from _plain import Network
from _report import Row, report, seconds

from bimt_core.population import Population, initialise
from bimt_core.relocate import Method, relocate
from bimt_core.tasks import Task, task

CASES = ("independence", "two_moons", "modular_addition", "permutation_s4")
METHODS: tuple[Method, ...] = ("greedy", "assignment")
NETWORKS = 32
REPEATS = 3


@torch.no_grad()
def plain(network: Network, shape: tuple[int, ...], top_k: int) -> None:
    for row, n in enumerate(shape):
        for one in network.scores(row).argsort(descending=True, stable=True)[:top_k].tolist():
            costs = []
            for other in range(n):
                network.exchange(row, one, other)
                costs.append(network.cost().item())
                network.exchange(row, one, other)
            network.exchange(row, one, costs.index(min(costs)))


def ours(population: Population, method: Method, top_k: int) -> Population:
    return population.arranged(relocate(population.network.wiring, population.flat, method, top_k=top_k))


def check(t: Task) -> None:
    """Both greedy searches end in the same arrangement, whose cost only differs by rounding."""
    t = replace(t, inputs=t.inputs if t.network.vocabulary else t.inputs.double())
    population = initialise(t.network, [t.model_seed], dtype=torch.float64)
    network = Network(t, population)
    plain(network, t.network.shape, t.schedule.relocate_top_k)
    found = ours(population, "greedy", t.schedule.relocate_top_k).tensors
    for number, layer in enumerate(network.layers):
        assert torch.equal(layer.weight, found[f"weight{number}"][0]), f"{t.name}: other arrangements"


def rows() -> Iterator[Row]:
    for name in CASES:
        t = task(name)
        check(t)
        top_k, shape = t.schedule.relocate_top_k, t.network.shape
        population = initialise(t.network, range(NETWORKS), dtype=t.dtype)
        contenders = [lambda t=t, p=population, shape=shape, k=top_k: plain(Network(t, p), shape, k)]
        contenders += [lambda p=population, m=method, k=top_k: ours(p, m, k) for method in METHODS]
        before, *times = seconds(contenders, REPEATS)
        for method, taken in zip(METHODS, times, strict=True):
            after = taken / NETWORKS
            yield Row(f"{name}, {method}", "ms/network", 1e3 * before, 1e3 * after, before / after)


if __name__ == "__main__":
    report(__doc__, rows)
