"""Where the weights of a network run: figures of every tensor, and how communities spread over the layers."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from bimt_core.modularity.graph import check_threshold, finite_sizes
from bimt_core.modularity.methods import Communities
from bimt_core.modularity.partition import Floats
from bimt_core.wiring import ACTIVE, Wire, Wiring


@dataclass(frozen=True)
class TensorStatistics:
    """The weights of one tensor.

    Args:
        tensor: Its name.
        source: The neurons it reads.
        target: The neurons it writes.
        entries: Number of weights.
        active: Number of active ones.
        size: Sum of |w| over all weights.
        length: Sum of |w| * d over all weights, d being the in-layer distance (to its power).
        mean_length: Mean d of the active weights; 0 where there is none.
        correlation: Pearson's, of |w| and d over all weights: below 0 where long weights are small. NaN where one of
            the two is the same everywhere.
    """

    tensor: str
    source: str
    target: str
    entries: int
    active: int
    size: float
    length: float
    mean_length: float
    correlation: float


@dataclass(frozen=True)
class CommunityStatistics:
    """One community.

    Args:
        size: Number of neurons.
        layers: How many of them are in each set of neurons, those without any included, in the order of the wiring.
    """

    size: int
    layers: Mapping[str, int]


def tensor_statistics(
    wiring: Wiring, tensors: Mapping[str, Tensor], *, threshold: float = ACTIVE
) -> list[TensorStatistics]:
    """Size and length of the weights of every tensor that connects neurons.

    Args:
        wiring: The network's wiring.
        tensors: Named tensors of one network (no leading dimension).
        threshold: |w| above which a weight is active.

    Returns:
        One a weight tensor, in the order of the wiring.

    Raises:
        ValueError: If the threshold is negative or not finite, or a weight is not finite.
    """
    check_threshold(threshold)
    return [_statistics(wiring, wire, tensors[wire.tensor], threshold) for wire in wiring.weights]


def _statistics(wiring: Wiring, wire: Wire, weight: Tensor, threshold: float) -> TensorStatistics:
    target, source = (end.neurons for end in wire.ends)
    sizes = finite_sizes(wire.tensor, weight)
    active, size = sizes > threshold, sizes.astype(np.float64)
    distance: Floats = wiring.lengths(wire).double().numpy().ravel()
    return TensorStatistics(
        wire.tensor,
        source,
        target,
        entries=len(size),
        active=int(active.sum()),
        size=float(size.sum()),
        length=float(size @ distance),
        mean_length=float(distance[active].mean()) if active.any() else 0.0,
        correlation=_correlation(size, distance),
    )


def _correlation(one: Floats, other: Floats) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return math.nan
    return float(np.corrcoef(one, other)[0, 1])


def community_statistics(wiring: Wiring, communities: Communities) -> list[CommunityStatistics]:
    """How many neurons of each layer every community has.

    Args:
        wiring: The network's wiring.
        communities: Found in the network's weight graph.

    Returns:
        One a community, in their order.
    """
    rows = []
    for members in communities.members:
        found = Counter(name for name, _ in members)
        rows.append(CommunityStatistics(len(members), {n.name: found[n.name] for n in wiring.neurons}))
    return rows
