"""Relocation: exchanging neurons within their set so that connections get shorter.

If no two neurons of a set are connected, its cost with all other sets fixed is a sum over its neurons. C[j, k], the
cost of neuron j at place k, is one matrix product per connected set (`place_costs`). Exchanging j and k changes the
cost by C[j,k] + C[k,j] - C[j,j] - C[k,k], and the best order of the whole set is a linear assignment problem.

In a recurrent set the two exchanged neurons may be connected to each other. These two weights have the same length
before and after, so the formula is wrong by 2 S[j,k] D[j,k], with S[j,k] = |W[j,k]| + |W[k,j]| and D the distances of
the places.

All methods process all networks of a population at once and visit the sets from input to output. Only weights matter:
biases cost the same at every place. Costs are always float64: in float32 an exchange and its reversal can both seem to
lower the cost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from bimt_core.wiring import Neurons, Wiring

Method = Literal["assignment", "exchange", "greedy", "none"]
METHODS: tuple[Method, ...] = get_args(Method)

MIN_GAIN = 1e-9  # smaller fractions of the wiring cost of a set are rounding


def relocate(wiring: Wiring, flat: Tensor, method: Method, *, top_k: int = 5, rounds: int = 1) -> dict[str, Tensor]:
    """Finds an order of every movable set of neurons that lowers the wiring cost.

    The wiring cost is the sum over weights of R(|W| * d), the part of the connection cost that depends on the places of
    neurons, without the weight factor. As in the published code, neurons are also relocated if the weight factor is 0.

    - "greedy" is the published method. The `top_k` strongest neurons, chosen once per set, are each exchanged with the
      neuron that lowers the cost most.
    - "exchange" does so with all neurons repeatedly, until no exchange lowers the cost.
    - "assignment" solves the linear assignment problem of the whole set (Jonker-Volgenant, scipy) and is optimal for
      that set. In a recurrent set, where the problem is quadratic, its solution is used if it is better, and exchanges
      follow.
    - "none" moves nothing.

    In a set with blocks (attention heads) neurons stay in their block, and whole blocks are moved too.

    Args:
        wiring: The network's wiring.
        flat: Parameters, shape (networks, n_parameters). Networks with parameters that are not finite stay unchanged.
        method: "assignment", "exchange", "greedy" or "none".
        top_k: Neurons per set that "greedy" tries to move.
        rounds: Maximal number of visits of all sets; relocation ends when a visit moves nothing.

    Returns:
        Present place of the neuron that goes to each place, int64, shape (networks, n), for each set that was visited;
        see `parameter_order`.

    Raises:
        ValueError: If the method is unknown.

    Examples:
        >>> from bimt_core import MLP, initialise
        >>> population = initialise(MLP((4, 6, 2)), seeds=[0, 1, 2])
        >>> order = relocate(population.network.wiring, population.flat, "assignment")
        >>> moved = population.rearrange(order)
    """
    if method not in METHODS:
        raise ValueError(f"relocation must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "none":
        return {}
    finite = flat.isfinite().all(1, keepdim=True)
    magnitude = _magnitudes(wiring, flat.detach().where(finite, 0.0).double())
    movable = [neurons for neurons in wiring.neurons if neurons.movable]
    order: dict[str, Tensor] = {}
    for _ in range(rounds):
        moved = False
        for neurons in movable:
            layer = _Layer.from_wiring(wiring, magnitude, neurons)
            best = _find_order(layer, method, top_k).where(finite, layer.stay)
            moved |= not torch.equal(best, layer.stay)
            order[neurons.name] = order.get(neurons.name, layer.stay).gather(1, best)
            magnitude = _move(wiring, magnitude, neurons.name, best)
        if not moved:
            break
    return order


def place_costs(wiring: Wiring, magnitude: Mapping[str, Tensor], neurons: Neurons) -> Tensor:
    """Computes C[j, k], the cost of neuron j at place k if all others stay at their places; shape (networks, n, n).

    Args:
        wiring: The wiring.
        magnitude: |W| summed over folds, shape (networks, n target, n source), for every weight.
        neurons: The set of neurons.
    """
    some = next(iter(magnitude.values()))
    cost = some.new_zeros(len(some), len(neurons), len(neurons))
    for wire in wiring.weights:
        w = _off_diagonal(magnitude[wire.tensor]) if wire.is_recurrent else magnitude[wire.tensor]
        target, source = wire.ends
        for end, other_end, weights in ((target, source, w), (source, target, w.mT)):
            if end.neurons == neurons.name:
                distance = wiring.distances(wiring[other_end.neurons], neurons).to(w)
                cost = cost + wiring.scale(wire) * (weights @ distance)
    return cost


@dataclass(frozen=True, eq=False)
class _Layer:
    """Quantities that determine the best order of one set of neurons, for every network.

    Args:
        cost: C of `place_costs`, shape (networks, n, n).
        strength: sum |W_in| + sum |W_out| of each neuron, shape (networks, n).
        tie: S, the connections within the set, shape (networks, n, n); None if there are none.
        distance: D, the distances of the places, shape (n, n); used with `tie` only.
        blocks: Number of blocks.
    """

    cost: Tensor
    strength: Tensor
    tie: Tensor | None
    distance: Tensor
    blocks: int

    @staticmethod
    def from_wiring(wiring: Wiring, magnitude: Mapping[str, Tensor], neurons: Neurons) -> "_Layer":
        cost = place_costs(wiring, magnitude, neurons)
        strength, tie = cost.new_zeros(cost.shape[:2]), None
        for wire in wiring.weights:
            w = magnitude[wire.tensor]
            for axis, end in enumerate(wire.ends):
                if end.neurons == neurons.name:
                    strength = strength + w.sum(2 - axis)
            if wire.is_recurrent and wire.ends[0].neurons == neurons.name:
                both = wiring.scale(wire) * _off_diagonal(w + w.mT)
                tie = both if tie is None else tie + both
        return _Layer(cost, strength, tie, wiring.distances(neurons, neurons).to(cost), neurons.blocks)

    @property
    def stay(self) -> Tensor:
        """Order in which nothing moves, shape (networks, n)."""
        networks, n = self.strength.shape
        return torch.arange(n, device=self.strength.device).repeat(networks, 1)

    def rearrange(self, order: Tensor) -> "_Layer":
        """Moves the neurons to other places."""
        rows, columns = order.unsqueeze(2).expand_as(self.cost), order.unsqueeze(1).expand_as(self.cost)
        cost, tie = self.cost.gather(1, rows), self.tie
        if tie is not None:
            before = tie.gather(1, rows)
            tie = before.gather(2, columns)
            cost = cost + (tie - before) @ self.distance
        return _Layer(cost, self.strength.gather(1, order), tie, self.distance, self.blocks)

    def total_cost(self) -> Tensor:
        """Computes the wiring cost of all weights of this set, each counted once; shape (networks,)."""
        cost = self.cost.diagonal(dim1=1, dim2=2).sum(1)
        return cost if self.tie is None else cost - (self.tie * self.distance).sum((1, 2)) / 2

    def blocks_as_neurons(self) -> "_Layer":
        """Treats each block as one neuron, in which all neurons keep their order."""
        cost = self.block_costs().diagonal(dim1=2, dim2=4).sum(-1)
        return _Layer(cost, self.strength.unflatten(1, (self.blocks, -1)).sum(2), None, self.distance, 1)

    def block_costs(self) -> Tensor:
        """Groups C by block, shape (networks, blocks, n / blocks, blocks, n / blocks)."""
        shape = self.blocks, self.strength.shape[1] // self.blocks
        cost: Tensor = self.cost.unflatten(2, shape).unflatten(1, shape)
        return cost


def _find_order(layer: _Layer, method: Method, top_k: int) -> Tensor:
    """Present place of the neuron that goes to each place, shape (networks, n)."""
    if method == "greedy":
        return _visit(layer, top_k)
    if method == "exchange":
        return _exchange_repeatedly(layer)
    order = _keep_if_better(layer, _assign(layer))
    return order if layer.tie is None else order.gather(1, _exchange_repeatedly(layer.rearrange(order)))


def _keep_if_better(layer: _Layer, order: Tensor) -> Tensor:
    """The order for networks whose cost it lowers; nothing moves in the others."""
    before, after = layer.total_cost(), layer.rearrange(order).total_cost()
    return order.where((before - after > MIN_GAIN * before).unsqueeze(1), layer.stay)


def _exchange_repeatedly(layer: _Layer) -> Tensor:
    """Visits all neurons until no exchange lowers the cost."""
    order = stay = layer.stay
    while True:
        best = _keep_if_better(layer, _visit(layer, stay.shape[1], min_gain=MIN_GAIN))
        if torch.equal(best, stay):
            return order
        order, layer = order.gather(1, best), layer.rearrange(best)


def _visit(layer: _Layer, top_k: int, *, min_gain: float | None = None) -> Tensor:
    """Greedy exchanges of neurons within their blocks, then of whole blocks."""
    order = _exchange_greedily(layer, top_k, min_gain)
    if layer.blocks == 1:
        return order
    blocks = _exchange_greedily(layer.rearrange(order).blocks_as_neurons(), layer.blocks, min_gain)
    size = order.shape[1] // layer.blocks
    return order.gather(1, (blocks.unsqueeze(2) * size + torch.arange(size, device=blocks.device)).flatten(1))


def _exchange_greedily(layer: _Layer, top_k: int, min_gain: float | None) -> Tensor:
    """Published method: places are chosen by strength before any exchange; equal gains go to the first place.

    With `min_gain`, only changes by more than that fraction of the set's cost count.
    """
    order, row = layer.stay, torch.arange(len(layer.strength), device=layer.strength.device)
    cost, distance = layer.cost.clone(), layer.distance
    tie = None if layer.tie is None else layer.tie.clone()
    block = order[0] // (order.shape[1] // layer.blocks)
    for place in layer.strength.argsort(dim=1, descending=True, stable=True)[:, :top_k].unbind(1):
        here = cost.diagonal(dim1=1, dim2=2)
        change = cost[row, place] + cost[row, :, place] - here - here[row, place].unsqueeze(1)
        if tie is not None:
            change = change + 2 * tie[row, place] * distance[place]
        if layer.blocks > 1:
            change = change.masked_fill(block != block[place].unsqueeze(1), torch.inf)
        other = change.argmin(1)
        if min_gain is not None:
            other = other.where(change[row, other] < -min_gain * here.sum(1), place)
        if tie is not None:
            pull = tie[row, :, place] - tie[row, :, other]
            cost += pull.unsqueeze(2) * (distance[other] - distance[place]).unsqueeze(1)
            _exchange_rows(tie.mT, row, place, other)
            _exchange_rows(tie, row, place, other)
        _exchange_rows(cost, row, place, other)
        _exchange_rows(order, row, place, other)
    return order


def _exchange_rows(tensor: Tensor, row: Tensor, one: Tensor, other: Tensor) -> None:
    tensor[row, one], tensor[row, other] = tensor[row, other], tensor[row, one]


def _assign(layer: _Layer) -> Tensor:
    """Cheapest order, without regard to connections within the set; blocks get the best order for their new place."""
    costs = layer.block_costs()
    return torch.stack([_assign_network(cost) for cost in costs.cpu().numpy()]).to(costs.device)


def _assign_network(cost: npt.NDArray[np.floating]) -> Tensor:
    blocks, size = cost.shape[:2]
    within = [[_solve(cost[block, :, place]) for place in range(blocks)] for block in range(blocks)]
    order, _ = _solve(np.array([[total for _, total in row] for row in within]))
    return torch.cat([block * size + within[block][place][0] for place, block in enumerate(order.tolist())])


def _solve(cost: npt.NDArray[np.floating]) -> tuple[Tensor, float]:
    """Cheapest order and its cost."""
    neuron, place = linear_sum_assignment(cost)
    return torch.from_numpy(place.argsort()), float(cost[neuron, place].sum())


def _off_diagonal(w: Tensor) -> Tensor:
    """Removes connections of neurons to themselves, which have length 0 at every place."""
    return w - torch.diag_embed(w.diagonal(dim1=1, dim2=2))


def _magnitudes(wiring: Wiring, flat: Tensor) -> dict[str, Tensor]:
    tensors = wiring.tensors(flat.abs())
    magnitude = {}
    for wire in wiring.weights:
        target, source = wire.ends
        folded = tensors[wire.tensor].unflatten(1, (target.folds, -1)).unflatten(3, (source.folds, -1))
        magnitude[wire.tensor] = folded.sum((1, 3))
    return magnitude


def _move(wiring: Wiring, magnitude: Mapping[str, Tensor], name: str, order: Tensor) -> dict[str, Tensor]:
    moved = dict(magnitude)
    for wire in wiring.weights:
        for axis, end in enumerate(wire.ends):
            if end.neurons == name:
                w = moved[wire.tensor]
                moved[wire.tensor] = w.gather(1 + axis, order.unsqueeze(2 - axis).expand_as(w))
    return moved
