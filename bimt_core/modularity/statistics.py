"""Sizes and lengths of each tensor's weights, and the layers that communities extend over."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from bimt_core.modularity.graph import absolute_weights, check_threshold
from bimt_core.modularity.methods import Communities
from bimt_core.modularity.partition import Floats
from bimt_core.wiring import ACTIVE, Wire, Wiring


@dataclass(frozen=True)
class TensorStatistics:
    """The weights of one tensor.

    Args:
        tensor: Name of the tensor.
        source: Set of neurons that it reads.
        target: Set of neurons that it writes.
        entries: Number of weights.
        active: Number of active weights.
        size: Sum of |w| over all weights.
        length: Sum of |w| * d over all weights, with d the in-layer distance (to its power).
        mean_length: Mean d of the active weights; 0 if none is active.
        correlation: Pearson correlation of |w| and d over all weights: below 0 if long weights are small. NaN if |w|
            or d is constant.
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
    """Size of one community.

    Args:
        size: Number of neurons.
        layers: Number of its neurons in every set of neurons, 0 included, in the order of the wiring.
    """

    size: int
    layers: Mapping[str, int]


def tensor_statistics(
    wiring: Wiring, tensors: Mapping[str, Tensor], *, threshold: float = ACTIVE
) -> list[TensorStatistics]:
    """Computes size and length of the weights of every tensor that connects neurons, in the order of the wiring.

    Args:
        wiring: The network's wiring.
        tensors: Named tensors of one network (no leading dimension).
        threshold: |w| above which a weight is active.

    Raises:
        ValueError: If the threshold is negative or not finite, or a weight is not finite.

    Examples:
        >>> from bimt_core import MLP, initialise
        >>> one = initialise(MLP((4, 20, 2)), seeds=[0])
        >>> [row.entries for row in tensor_statistics(one.network.wiring, {k: v[0] for k, v in one.tensors.items()})]
        [80, 40]
    """
    check_threshold(threshold)
    return [_statistics(wiring, wire, tensors[wire.tensor], threshold) for wire in wiring.weights]


def _statistics(wiring: Wiring, wire: Wire, weight: Tensor, threshold: float) -> TensorStatistics:
    target, source = (end.neurons for end in wire.ends)
    sizes = absolute_weights(wire.tensor, weight)
    active, size = sizes > threshold, sizes.astype(np.float64)
    distance: Floats = wiring.lengths(wire).double().numpy().ravel()
    is_constant = np.ptp(size) == 0 or np.ptp(distance) == 0
    return TensorStatistics(
        wire.tensor,
        source,
        target,
        entries=len(size),
        active=int(active.sum()),
        size=float(size.sum()),
        length=float(size @ distance),
        mean_length=float(distance[active].mean()) if active.any() else 0.0,
        correlation=math.nan if is_constant else float(np.corrcoef(size, distance)[0, 1]),
    )


def community_statistics(wiring: Wiring, communities: Communities) -> list[CommunityStatistics]:
    """Counts the neurons of every community in each set of neurons.

    Args:
        wiring: The network's wiring.
        communities: Communities of the network's weight graph.

    Examples:
        >>> from bimt_core import MLP
        >>> members = frozenset({("hidden1", 0), ("hidden1", 1), ("output", 1)})
        >>> community_statistics(MLP((4, 20, 2)).wiring, Communities(0.0, (members,)))
        [CommunityStatistics(size=3, layers={'input': 0, 'hidden1': 2, 'output': 1})]
    """
    counts = [Counter(name for name, _ in members) for members in communities.members]
    return [CommunityStatistics(count.total(), {n.name: count[n.name] for n in wiring.neurons}) for count in counts]
