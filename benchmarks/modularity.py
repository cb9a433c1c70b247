"""Modularity of one network: networkx against ours.

Both start from the tensors of a network and end with Q, and find the same communities, which is checked. Plain fills a
graph weight by weight and runs networkx's Louvain. A report on the way has one run, the last one ten; a null is 20
shuffled networks and the network itself. Wanted are at most 50 ms for a report of a pruned 4-20-20-2 network and at
most 2 s for one of 784-100-100-10 whose small weights are 0. Milliseconds a network on one core; lower is better.
"""

from collections.abc import Callable, Iterator, Mapping

import networkx as nx
import torch
from _report import Row, report, seconds
from torch import Tensor

from bimt_core import MLP
from bimt_core.modularity import ACTIVE, louvain, null_modularity, weight_graph
from bimt_core.wiring import Wiring

CASES = (((4, 20, 20, 2), 0.05), ((4, 20, 20, 2), 1.0), ((784, 100, 100, 10), 0.05), ((784, 100, 100, 10), 1.0))
RUNS = 10  # of Louvain at the last report
SHUFFLED = 20
MOST_WEIGHTS = 10_000  # more than that are measured once, by one run
Tensors = Mapping[str, Tensor]


def network(shape: tuple[int, ...], density: float) -> tuple[Wiring, Tensors]:
    """A network of which this share of the weights is left, the largest."""
    mlp = MLP(shape)
    tensors = mlp.wiring.tensors(mlp.initial_parameters(torch.Generator().manual_seed(0), torch.float32))
    for wire in mlp.wiring.weights:
        weight = tensors[wire.tensor]
        weight[weight.abs() < weight.abs().flatten().quantile(1 - density)] = 0.0
    return mlp.wiring, tensors


def plain_graph(wiring: Wiring, tensors: Tensors) -> nx.Graph:
    """|w| / layer maximum, weight by weight."""
    graph = nx.Graph()
    for wire in wiring.weights:
        target, source = (end.neurons for end in wire.ends)
        weight = tensors[wire.tensor].abs()
        largest = weight.max().item()
        for row, sizes in enumerate(weight.tolist()):
            for column, size in enumerate(sizes):
                if size > ACTIVE:
                    graph.add_edge((target, row), (source, column), weight=size / largest)
    return graph


def plain(wiring: Wiring, tensors: Tensors, runs: int) -> float:
    graph = plain_graph(wiring, tensors)
    partitions = [nx.community.louvain_communities(graph, seed=seed) for seed in range(runs)]
    return max(nx.community.modularity(graph, partition) for partition in partitions)


def plain_null(wiring: Wiring, tensors: Tensors) -> list[float]:
    found = [plain(wiring, tensors, 1)]
    for _ in range(SHUFFLED):
        order = {name: torch.randperm(tensor.numel()).view(tensor.shape) for name, tensor in tensors.items()}
        found.append(plain(wiring, {name: tensor.take(order[name]) for name, tensor in tensors.items()}, 1))
    return found


def check(wiring: Wiring, tensors: Tensors) -> None:
    """The first run finds networkx's communities."""
    theirs = nx.community.louvain_communities(plain_graph(wiring, tensors), seed=0)
    found = louvain(weight_graph(wiring, tensors), seeds=1)
    assert set(found.members) == set(map(frozenset, theirs)), "other communities"


def rows() -> Iterator[Row]:
    for shape, density in CASES:
        wiring, tensors = network(shape, density)
        check(wiring, tensors)
        n = sum(int((tensors[wire.tensor].abs() > ACTIVE).sum()) for wire in wiring.weights)
        case = f"{'-'.join(map(str, shape))}, {n} weights"
        repeats = 1 if n > MOST_WEIGHTS else 5

        def row(what: str, before: Callable[[], object], after: Callable[[], object], case=case, n=repeats) -> Row:
            took = seconds([before, after], n)
            return Row(f"{case}, {what}", "ms", 1e3 * took[0], 1e3 * took[1], took[0] / took[1])

        yield row(
            "report",
            lambda w=wiring, t=tensors: plain(w, t, 1),
            lambda w=wiring, t=tensors: louvain(weight_graph(w, t), seeds=1),
        )
        if n > MOST_WEIGHTS:
            continue
        yield row(
            "last report",
            lambda w=wiring, t=tensors: plain(w, t, RUNS),
            lambda w=wiring, t=tensors: louvain(weight_graph(w, t), seeds=RUNS),
        )
        yield row(
            "null",
            lambda w=wiring, t=tensors: plain_null(w, t),
            lambda w=wiring, t=tensors: null_modularity(w, t, n=SHUFFLED),
        )


if __name__ == "__main__":
    report(__doc__, rows)
