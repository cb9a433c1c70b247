"""Modularity of one network: networkx against ours.

    python benchmarks/modularity.py [--json]

Reference and ours find the same communities, which is checked. Rows per network:

- louvain: one run of Louvain's method on a graph.
- evaluation: from the tensors to Q with one run, as at an evaluation during training. The reference fills a networkx
  graph weight by weight.
- last evaluation: the same with ten runs.
- null: the same with one run, for the network and 20 shuffled ones.

Targets are 50 ms for an evaluation of a pruned 4-20-20-2 network and 2 s for a pruned 784-100-100-10 network.
Milliseconds per network on one core; lower is better.
"""

from collections.abc import Callable, Iterator, Mapping

import networkx as nx
import torch
from _printing import Row, measure_seconds, run
from torch import Tensor

from bimt_core import MLP
from bimt_core.modularity import louvain, null_modularity, weight_graph
from bimt_core.modularity.graph import to_edges
from bimt_core.modularity.partition import louvain_partition
from bimt_core.wiring import Wiring, is_active

CASES = (
    ((4, 20, 20, 2), 0.05),
    ((4, 20, 20, 2), 1.0),
    ((784, 100, 100, 10), 0.02),
    ((784, 100, 100, 10), 0.05),
    ((784, 100, 100, 10), 1.0),
)  # shape, share of the weights that are not 0
RUNS = 10  # of Louvain at the last evaluation
SHUFFLED = 20
MANY_WEIGHTS = 10_000  # networks with more are measured once, and only at an evaluation
Tensors = Mapping[str, Tensor]


def make_network(shape: tuple[int, ...], density: float) -> tuple[Wiring, Tensors]:
    """Creates a network and keeps this share of each tensor's weights, the largest."""
    mlp = MLP(shape)
    tensors = mlp.wiring.tensors(mlp.initial_parameters(torch.Generator().manual_seed(0), torch.float32))
    for wire in mlp.wiring.weights:
        weight = tensors[wire.tensor]
        weight[weight.abs() < weight.abs().flatten().quantile(1 - density)] = 0.0
    return mlp.wiring, tensors


def reference_graph(wiring: Wiring, tensors: Tensors) -> nx.Graph:
    """Builds the graph of |w| / layer maximum, weight by weight."""
    graph = nx.Graph()
    for wire in wiring.weights:
        target, source = (end.neurons for end in wire.ends)
        weight = tensors[wire.tensor].abs()
        largest, active = weight.max().item(), is_active(weight).tolist()
        for row, sizes in enumerate(weight.tolist()):
            for column, size in enumerate(sizes):
                if active[row][column]:
                    graph.add_edge((target, row), (source, column), weight=size / largest)
    return graph


def reference_modularity(wiring: Wiring, tensors: Tensors, runs: int) -> float:
    graph = reference_graph(wiring, tensors)
    partitions = [nx.community.louvain_communities(graph, seed=seed) for seed in range(runs)]
    return max(nx.community.modularity(graph, partition) for partition in partitions)


def reference_null(wiring: Wiring, tensors: Tensors) -> list[float]:
    values = [reference_modularity(wiring, tensors, 1)]
    for _ in range(SHUFFLED):
        shuffled = {name: t.take(torch.randperm(t.numel()).view(t.shape)) for name, t in tensors.items()}
        values.append(reference_modularity(wiring, shuffled, 1))
    return values


def check(wiring: Wiring, tensors: Tensors) -> None:
    """Checks that the first run finds networkx's communities."""
    expected = nx.community.louvain_communities(reference_graph(wiring, tensors), seed=0)
    communities = louvain(weight_graph(wiring, tensors), seeds=1)
    assert set(communities.members) == set(map(frozenset, expected)), "communities differ"


def compare(
    wiring: Wiring, tensors: Tensors, *, small: bool
) -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    """Yields name, reference and ours of each measurement."""
    graph = weight_graph(wiring, tensors)
    edges = to_edges(graph)
    yield (
        "louvain",
        lambda: nx.community.louvain_communities(graph, seed=0),
        lambda: louvain_partition(edges, 0),
    )
    yield (
        "evaluation",
        lambda: reference_modularity(wiring, tensors, 1),
        lambda: louvain(weight_graph(wiring, tensors), seeds=1),
    )
    if not small:
        return
    yield (
        "last evaluation",
        lambda: reference_modularity(wiring, tensors, RUNS),
        lambda: louvain(weight_graph(wiring, tensors), seeds=RUNS),
    )
    yield "null", lambda: reference_null(wiring, tensors), lambda: null_modularity(wiring, tensors, n=SHUFFLED)


def rows() -> Iterator[Row]:
    for shape, density in CASES:
        wiring, tensors = make_network(shape, density)
        check(wiring, tensors)
        n = sum(int(is_active(tensors[wire.tensor]).sum()) for wire in wiring.weights)
        small = n <= MANY_WEIGHTS
        for name, reference, ours in compare(wiring, tensors, small=small):
            before, after = measure_seconds([reference, ours], 5 if small else 1)
            yield Row(
                f"{'-'.join(map(str, shape))}, {n} weights, {name}", "ms", 1e3 * before, 1e3 * after, before / after
            )


if __name__ == "__main__":
    run(__doc__, rows)
