"""Modularity of a network: its weight graph, communities and Newman's Q."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import networkx as nx
from torch import Tensor

from bimt_core.wiring import Wiring

Transform = Literal["layer_max", "raw"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
ACTIVE = 1e-3  # |weight| above which a weight counts as active, as in the paper's edge counts

Node = tuple[str, int]  # (name of the set of neurons, place)


@dataclass(frozen=True)
class Communities:
    """A partition of a weight graph.

    Args:
        modularity: Newman's Q of the partition.
        members: The communities, largest first; ties in order of the first neuron.
    """

    modularity: float
    members: tuple[frozenset[Node], ...]

    def __len__(self) -> int:
        return len(self.members)


def weight_graph(wiring: Wiring, tensors: Mapping[str, Tensor], transform: Transform = "layer_max") -> nx.Graph:
    """The undirected graph of active weights between neurons; isolated neurons are left out.

    Args:
        wiring: The network's wiring.
        tensors: Named tensors of one network (no leading dimension). Folds of a neuron add up.
        transform: Edge weight: "raw" is |w|; "layer_max" is |w| / the largest |w| of its tensor, which is what the
            connectivity diagram draws.

    Returns:
        Graph whose nodes are (set of neurons, place) and whose edges carry "weight".

    Raises:
        ValueError: If the transform is unknown.
    """
    if transform not in TRANSFORMS:
        raise ValueError(f"transform must be one of {', '.join(TRANSFORMS)}, got {transform!r}")
    graph = nx.Graph()
    for wire in wiring.weights:
        target, source = wire.ends
        strength = tensors[wire.tensor].detach().abs()
        active = strength * (strength > ACTIVE)
        if transform == "layer_max" and active.any():
            active = active / active.max()
        folded = active.unflatten(0, (target.folds, -1)).unflatten(2, (source.folds, -1)).sum((0, 2)).cpu()
        rows, columns = folded.nonzero(as_tuple=True)
        for row, column, weight in zip(rows.tolist(), columns.tolist(), folded[rows, columns].tolist(), strict=True):
            graph.add_edge((target.neurons, row), (source.neurons, column), weight=weight)
    return graph


def louvain(graph: nx.Graph, *, seeds: int = 10) -> Communities:
    """The partition of highest Newman modularity among several Louvain runs.

    Q = sum over communities c of [ W_c / m - (k_c / 2m)^2 ], with m the total edge weight, W_c that inside the
    community and k_c the summed weighted degree (Newman 2004); Louvain: Blondel et al. 2008.

    Args:
        graph: Weighted graph.
        seeds: Number of runs, with seeds 0, 1, ...; the best is kept.

    Returns:
        Communities; none, with Q = 0, for a graph without edges.
    """
    if not graph.number_of_edges():
        return Communities(0.0, ())
    best: tuple[float, list[set[Node]]] = (-1.0, [])
    for seed in range(seeds):
        partition = nx.community.louvain_communities(graph, seed=seed)
        best = max(best, (nx.community.modularity(graph, partition), partition), key=lambda found: found[0])
    members = sorted((frozenset(c) for c in best[1]), key=lambda c: (-len(c), min(c)))
    return Communities(best[0], tuple(members))
