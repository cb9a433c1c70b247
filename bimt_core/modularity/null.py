"""Is a network more modular than its own weights in random places?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from bimt_core.modularity.graph import Connections, Transform, connections, edges_at
from bimt_core.modularity.methods import Method, best_partition, check_method
from bimt_core.modularity.partition import Edges, Ints
from bimt_core.wiring import ACTIVE, Wiring

Among = Literal["layer", "used"]
AMONG: tuple[Among, ...] = get_args(Among)
ROUNDING = 1e-12  # differences of Q that mean nothing


@dataclass(frozen=True)
class Null:
    """A network's Q beside that of networks whose weights are shuffled.

    Args:
        modularity: Q of the network, found with as many runs as that of each shuffled one.
        shuffled: Q of every shuffled network.
    """

    modularity: float
    shuffled: tuple[float, ...]

    @cached_property
    def mean(self) -> float:
        """Mean of the shuffled networks' Q."""
        return float(np.mean(self.shuffled))

    @cached_property
    def sd(self) -> float:
        """Their standard deviation, of a sample (n - 1)."""
        return float(np.std(self.shuffled, ddof=1))

    @property
    def z(self) -> float:
        """(Q - mean) / sd; 0 where all shuffled networks have the same Q."""
        return (self.modularity - self.mean) / self.sd if self.sd > ROUNDING else 0.0

    @property
    def p(self) -> float:
        """(1 + shuffled networks whose Q is at least the network's) / (1 + shuffled networks)."""
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
    """Q of a network and of networks whose weights are shuffled within each tensor.

    The entries of a tensor, the active and the others, are rearranged at random (Filan et al., Clusterability in neural
    networks, 2021), so every layer keeps its weights and its density, and only which neurons they connect is lost.

    Mind what the null is: where few weights are left, those of a network lead from its inputs to its outputs, while
    weights thrown among all neurons of a layer fall into many small pieces, whose Q is high; z is then far below 0
    however modular the network is. "used" throws them among the neurons that the network uses.

    More Louvain runs find a higher Q. So the network itself has as many runs as every shuffled one, and its Q here can
    be below that of `communities`, which has ten.

    Args:
        wiring: The network's wiring.
        tensors: Named tensors of one network (no leading dimension).
        transform: See `weight_graph`.
        method: See `communities`.
        among: The entries that are rearranged: "layer" is all of a tensor, "used" those between neurons that have an
            active weight in the network.
        n: Number of shuffled networks, at least 2.
        seed: Of the shuffling.
        seeds: Louvain runs for each.
        threshold: |w| above which a weight is active.

    Returns:
        Q of all. A network without active weights has 0 everywhere, z = 0 and p = 1.

    Raises:
        ValueError: If `among` is unknown, there are fewer than 2 shuffled networks, or as `weight_graph` and
            `communities` do.
    """
    check_method(method, seeds)
    if among not in AMONG:
        raise ValueError(f"among must be one of {', '.join(AMONG)}, got {among!r}")
    if n < 2:
        raise ValueError(f"n must be at least 2, got {n}")
    parts, random = connections(wiring, tensors, transform, threshold=threshold), np.random.default_rng(seed)
    room = [np.arange(len(part.target)) for part in parts] if among == "layer" else _between_used(parts)
    own = _modularity(parts, [part.active for part in parts], method, seeds)
    shuffled = [_modularity(parts, _shuffled(parts, room, random), method, seeds) for _ in range(n)]
    return Null(own, tuple(shuffled))


def _between_used(parts: Sequence[Connections]) -> list[Ints]:
    """The entries of each tensor between neurons that have an active weight."""
    used = np.unique(np.concatenate([end[part.active] for part in parts for end in (part.target, part.source)]))
    return [(np.isin(part.target, used) & np.isin(part.source, used)).nonzero()[0] for part in parts]


def _shuffled(parts: Sequence[Connections], room: Sequence[Ints], random: np.random.Generator) -> list[Ints]:
    """Where the active weights of each tensor end when the entries are rearranged."""
    sizes = [len(part.strength) for part in parts]
    return [at[random.choice(len(at), size, replace=False)] for at, size in zip(room, sizes, strict=True)]


def _modularity(parts: Sequence[Connections], places: Sequence[Ints], method: Method, seeds: int) -> float:
    one, other, weight = edges_at(parts, places)
    if not len(weight):
        return 0.0
    nodes, ends = np.unique(np.concatenate([one, other]), return_inverse=True)
    edges = Edges(len(nodes), ends[: len(one)], ends[len(one) :], weight)
    return edges.modularity(best_partition(edges, method, seeds))
