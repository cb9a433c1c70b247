"""Comparison of a network's modularity with that of shuffled weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from bimt_core.modularity.graph import Connections, Transform, connections, sum_edges
from bimt_core.modularity.methods import Method, best_partition, check_method
from bimt_core.modularity.partition import Edges, Ints
from bimt_core.wiring import ACTIVE, Wiring

Among = Literal["layer", "used"]
AMONG: tuple[Among, ...] = get_args(Among)
ROUNDING = 1e-12  # differences of Q up to this are rounding


@dataclass(frozen=True)
class Null:
    """Q of a network and of networks with its weights shuffled.

    Args:
        modularity: Q of the network, found with as many runs as that of each shuffled one.
        shuffled: Q of every shuffled network.
    """

    modularity: float
    shuffled: tuple[float, ...]

    @cached_property
    def mean(self) -> float:
        """Mean Q of the shuffled networks."""
        return float(np.mean(self.shuffled))

    @cached_property
    def sd(self) -> float:
        """Sample standard deviation (n - 1) of the shuffled networks' Q."""
        return float(np.std(self.shuffled, ddof=1))

    @property
    def z(self) -> float:
        """(Q - mean) / sd; 0 if all shuffled networks have the same Q."""
        return (self.modularity - self.mean) / self.sd if self.sd > ROUNDING else 0.0

    @property
    def p(self) -> float:
        """(1 + number of shuffled networks whose Q is at least the network's) / (1 + number of shuffled networks)."""
        as_high = sum(q >= self.modularity - ROUNDING for q in self.shuffled)
        return (1 + as_high) / (1 + len(self.shuffled))


def null_modularity(
    wiring: Wiring,
    tensors: Mapping[str, Tensor],
    transform: Transform = "layer_max",
    method: Method = "louvain",
    *,
    among: Among = "layer",
    n: int = 100,
    seed: int = 0,
    seeds: int = 1,
    threshold: float = ACTIVE,
) -> Null:
    """Computes Q of a network and of networks with the weights shuffled within each tensor.

    Each tensor's entries, active or not, are permuted at random (Filan et al., Clusterability in neural networks,
    2021). So every layer keeps its weights and its density, but not which neurons they connect.

    With few weights left, "layer" gives a z far below 0 however modular the network is: a network's weights lead from
    inputs to outputs, while weights shuffled among all neurons of a layer form many small components, whose Q is high.
    "used" shuffles among the neurons that the network uses.

    More Louvain runs find a higher Q. So the network itself has as many runs as every shuffled one, and its Q here can
    be below that of `communities`, which has ten. Without active weights every Q is 0, z = 0 and p = 1.

    Args:
        wiring: The network's wiring.
        tensors: Named tensors of one network (no leading dimension).
        transform: See `weight_graph`.
        method: See `communities`.
        among: Entries that are permuted: "layer", all of a tensor; "used", those between neurons that have an active
            weight in the network.
        n: Number of shuffled networks, at least 2.
        seed: Seed of the shuffling.
        seeds: Number of Louvain runs for each network.
        threshold: |w| above which a weight is active.

    Raises:
        ValueError: If `among` is unknown, n is below 2, or as for `weight_graph` and `communities`.

    Examples:
        >>> from bimt_core import MLP, initialise
        >>> one = initialise(MLP((4, 20, 20, 2)), seeds=[0])
        >>> tensors = {name: tensor[0] for name, tensor in one.tensors.items()}
        >>> null = null_modularity(one.network.wiring, tensors, n=10)
    """
    check_method(method, seeds)
    if among not in AMONG:
        raise ValueError(f"among must be one of {', '.join(AMONG)}, got {among!r}")
    if n < 2:
        raise ValueError(f"n must be at least 2, got {n}")
    parts, random = connections(wiring, tensors, transform, threshold=threshold), np.random.default_rng(seed)
    candidates = [np.arange(len(part.target)) for part in parts] if among == "layer" else _entries_between_used(parts)
    own = _modularity(parts, [part.active for part in parts], method, seeds)
    shuffled = [_modularity(parts, _draw_entries(parts, candidates, random), method, seeds) for _ in range(n)]
    return Null(own, tuple(shuffled))


def _entries_between_used(parts: Sequence[Connections]) -> list[Ints]:
    """The entries of each tensor between neurons that have an active weight."""
    used = np.unique(np.concatenate([end[part.active] for part in parts for end in (part.target, part.source)]))
    return [(np.isin(part.target, used) & np.isin(part.source, used)).nonzero()[0] for part in parts]


def _draw_entries(parts: Sequence[Connections], candidates: Sequence[Ints], random: np.random.Generator) -> list[Ints]:
    """Draws an entry for each active weight of each tensor."""
    sizes = [len(part.strength) for part in parts]
    return [at[random.choice(len(at), size, replace=False)] for at, size in zip(candidates, sizes, strict=True)]


def _modularity(parts: Sequence[Connections], entries: Sequence[Ints], method: Method, seeds: int) -> float:
    one, other, weight = sum_edges(parts, entries)
    if not len(weight):
        return 0.0
    nodes, ends = np.unique(np.concatenate([one, other]), return_inverse=True)
    edges = Edges(len(nodes), ends[: len(one)], ends[len(one) :], weight)
    return edges.modularity(best_partition(edges, method, seeds))
