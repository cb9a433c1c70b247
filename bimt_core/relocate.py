"""Relocation: rearranging the neurons of each set so that connections get shorter.

Where no two neurons of a set are connected, its cost with the neighbours fixed is a sum over its neurons: C[j, k], the
cost of neuron j at place k, comes from one matrix product a neighbour (`place_costs`). Exchanging j and k changes the
cost by C[j,k] + C[k,j] - C[j,j] - C[k,k], and the best arrangement of the whole set is a linear assignment problem.

In a recurrent set the two neurons of an exchange may be connected to each other. Those two weights are as long after the
exchange as before, which the formula misses by 2 S[j,k] D[j,k], with S[j,k] = |W[j,k]| + |W[k,j]| and D the distances of
the places.

All methods work on every network of a population at once and visit the sets from input to output. Nothing but weights
with a distance matters: biases cost the same in every place.
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

IMPROVES = 1e-9  # part of a network's wiring cost below which a change counts as rounding


def relocate(wiring: Wiring, flat: Tensor, method: Method, *, top_k: int = 5, rounds: int = 1) -> dict[str, Tensor]:
    """Finds a cheaper arrangement of every movable set of neurons, input to output.

    The wiring cost that is lowered is sum over weights of R(|W| * d): the part of the connection cost that depends on
    where neurons are, up to the weight factor. As in the published code it does not depend on the weight factor that
    the loss uses, so L1 + swap moves neurons too.

    Args:
        wiring: The network's wiring.
        flat: Parameters, shape (networks, n_parameters). Networks with parameters that are not finite stay as they are.
        method: "greedy" is the published method: the `top_k` neurons of highest score, chosen once for the set, are
            each exchanged with whichever place lowers the cost most. "exchange" does so with all neurons, again and
            again, until no exchange lowers the cost. "assignment" solves the linear assignment problem of the whole
            set (Jonker-Volgenant, scipy) and is never worse for the set at hand; a recurrent set, where the problem is
            quadratic, takes its solution where it is better and then exchanges. "none" moves nothing. Within blocks
            (attention heads) neurons stay in their block, and blocks are rearranged as wholes.
        top_k: How many neurons greedy tries in each set.
        rounds: How many times all sets are visited; it ends early when a visit of all moves nothing.

    Returns:
        For each set of neurons that was visited, which neuron goes to each place, int64, shape (networks, n); see
        `parameter_order`.

    Raises:
        ValueError: If the method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"relocation must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "none":
        return {}
    finite = flat.isfinite().all(1, keepdim=True)
    strength = _strengths(wiring, flat.detach().where(finite, 0.0))
    movable = [neurons for neurons in wiring.neurons if neurons.movable]
    stay = {neurons.name: torch.arange(len(neurons), device=flat.device).repeat(len(flat), 1) for neurons in movable}
    order = dict(stay)
    for _ in range(rounds):
        moved = False
        for neurons in movable:
            here = stay[neurons.name]
            best = _arrange(_Layer.of(wiring, strength, neurons), method, top_k).where(finite, here)
            moved = moved or not torch.equal(best, here)
            order[neurons.name] = order[neurons.name].gather(1, best)
            strength = _move(wiring, strength, neurons.name, best)
        if not moved:
            break
    return order


def place_costs(wiring: Wiring, strength: Mapping[str, Tensor], neurons: Neurons) -> Tensor:
    """C[j, k]: the wiring cost of neuron j, put at place k, with all other neurons where they are.

    Args:
        wiring: The wiring.
        strength: For every weight, |W| summed over folds, shape (networks, n target, n source).
        neurons: The set of neurons.

    Returns:
        Costs, shape (networks, n, n).
    """
    some = next(iter(strength.values()))
    cost = some.new_zeros(len(some), len(neurons), len(neurons))
    for wire in wiring.weights:
        w = strength[wire.tensor]
        target, source = (wiring[end.neurons] for end in wire.ends)
        distance = wiring.between(target, source).to(w)
        if wire.is_recurrent:
            w = _off_diagonal(w)
        if target is neurons:
            cost = cost + wiring.scale(wire) * (w @ distance.mT)
        if source is neurons:
            cost = cost + wiring.scale(wire) * (w.mT @ distance)
    return cost


@dataclass(frozen=True, eq=False)
class _Layer:
    """What the arrangement of one set of neurons depends on, for every network.

    Args:
        cost: C of `place_costs`, shape (networks, n, n).
        score: The paper's importance of a neuron, sum |W_in| + sum |W_out|, shape (networks, n).
        tie: S, how strongly two neurons of the set are connected, shape (networks, n, n); None where they never are.
        apart: D, the distances of the places, shape (n, n); read with `tie` only.
        blocks: Number of blocks.
    """

    cost: Tensor
    score: Tensor
    tie: Tensor | None
    apart: Tensor
    blocks: int

    @staticmethod
    def of(wiring: Wiring, strength: Mapping[str, Tensor], neurons: Neurons) -> "_Layer":
        cost = place_costs(wiring, strength, neurons)
        scores, tie = [], None
        for wire in wiring.weights:
            w = strength[wire.tensor]
            scores += [w.sum(2 - axis) for axis, end in enumerate(wire.ends) if end.neurons == neurons.name]
            if wire.is_recurrent and wire.ends[0].neurons == neurons.name:
                both = wiring.scale(wire) * _off_diagonal(w + w.mT)
                tie = both if tie is None else tie + both
        score = torch.stack(scores).sum(0) if scores else cost.new_zeros(cost.shape[:2])
        return _Layer(cost, score, tie, wiring.between(neurons, neurons).to(cost), neurons.blocks)

    @property
    def block(self) -> Tensor:
        """The block of each place, shape (n,)."""
        n = self.score.shape[1]
        return torch.arange(n, device=self.cost.device) // (n // self.blocks)

    def rearranged(self, order: Tensor) -> "_Layer":
        """The same set after its neurons went to other places."""
        n = self.score.shape[1]
        rows, columns = order.unsqueeze(2).expand(-1, n, n), order.unsqueeze(1).expand(-1, n, n)
        cost, tie, score = self.cost.gather(1, rows), self.tie, self.score.gather(1, order)
        if tie is not None:
            moved = tie.gather(1, rows).gather(2, columns)
            cost = cost + (moved - tie.gather(1, rows)) @ self.apart.mT
            tie = moved
        return _Layer(cost, score, tie, self.apart, self.blocks)

    def total(self) -> Tensor:
        """Wiring cost of the weights at this set, each counted once; shape (networks,)."""
        here = self.cost.diagonal(dim1=1, dim2=2).sum(1)
        return here if self.tie is None else here - (self.tie * self.apart).sum((1, 2)) / 2

    def of_blocks(self) -> "_Layer":
        """The blocks as if they were neurons, with every neuron keeping its place in its block."""
        size = self.score.shape[1] // self.blocks
        cost = self.cost.unflatten(1, (self.blocks, size)).unflatten(3, (self.blocks, size))
        blockwise = cost.diagonal(dim1=2, dim2=4).sum(-1)
        return _Layer(blockwise, self.score.unflatten(1, (self.blocks, size)).sum(2), None, self.apart, 1)


def _arrange(layer: _Layer, method: Method, top_k: int) -> Tensor:
    """Which neuron goes to each place, shape (networks, n)."""
    n = layer.score.shape[1]
    if method == "assignment":
        return _assignment(layer) if layer.tie is None else _recurrent_assignment(layer)
    everyone = n if method == "exchange" else top_k
    order = _exchange(layer, everyone) if method == "exchange" else _greedy(layer, top_k)
    if layer.blocks == 1:
        return order
    wholes = layer.rearranged(order).of_blocks()
    blocks = _exchange(wholes, layer.blocks) if method == "exchange" else _greedy(wholes, layer.blocks)
    return order.gather(1, _spread(blocks, n))


def _greedy(layer: _Layer, top_k: int, *, improves: float | None = None) -> Tensor:
    """Published exchange: places are picked by score before any exchange; ties go to the first place.

    With `improves`, only changes by more than that part of the network's cost count.
    """
    networks, n = layer.score.shape
    row = torch.arange(networks, device=layer.cost.device)
    order = torch.arange(n, device=layer.cost.device).repeat(networks, 1)
    cost, tie, apart = layer.cost.clone(), layer.tie, layer.apart
    if tie is not None:
        tie = tie.clone()
    block = layer.block
    elsewhere = block.unsqueeze(1) != block
    for place in layer.score.argsort(dim=1, descending=True, stable=True)[:, :top_k].unbind(1):
        stay = cost.diagonal(dim1=1, dim2=2)
        change = cost[row, place] + cost[row, :, place] - stay - stay[row, place].unsqueeze(1)
        if tie is not None:
            change = change + 2 * tie[row, place] * apart[place]
        if layer.blocks > 1:
            change = change.masked_fill(elsewhere[place], torch.inf)
        other = change.argmin(1)
        if improves is not None:
            other = torch.where(change[row, other] < -improves * stay.sum(1), other, place)
        if tie is not None:
            pull = tie[row, :, place] - tie[row, :, other]
            cost += pull.unsqueeze(2) * (apart[other] - apart[place]).unsqueeze(1)
            _exchange_rows(tie.mT, row, place, other)
        for rows in (cost, order, *([] if tie is None else [tie])):
            _exchange_rows(rows, row, place, other)
    return order


def _exchange_rows(of: Tensor, row: Tensor, one: Tensor, other: Tensor) -> None:
    here, there = of[row, one], of[row, other]
    of[row, one], of[row, other] = there, here


def _exchange(layer: _Layer, top_k: int) -> Tensor:
    """Rounds of best exchanges until none lowers the cost."""
    order = torch.arange(layer.score.shape[1], device=layer.cost.device).repeat(len(layer.score), 1)
    stay = order
    while True:
        best = _greedy(layer, top_k, improves=IMPROVES)
        if torch.equal(best, stay):
            return order
        order, layer = order.gather(1, best), layer.rearranged(best)


def _assignment(layer: _Layer) -> Tensor:
    """Optimal arrangement of each network's set; with blocks, every block optimally arranged in its optimal place."""
    networks, n = layer.score.shape
    size = n // layer.blocks
    costs = layer.cost.cpu().unflatten(1, (layer.blocks, size)).unflatten(3, (layer.blocks, size))
    order = torch.empty(networks, layer.blocks, size, dtype=torch.int64)
    for network, cost in enumerate(costs.numpy()):
        if layer.blocks == 1:
            order[network, 0] = _solve(cost[0, :, 0])[0]
            continue
        within = [[_solve(cost[block, :, place]) for place in range(layer.blocks)] for block in range(layer.blocks)]
        wholes = torch.tensor([[total for _, total in row] for row in within], dtype=torch.float64)
        for place, block in enumerate(_solve(wholes.numpy())[0].tolist()):
            order[network, place] = block * size + within[block][place][0]
    return order.flatten(1).to(layer.score.device)


def _solve(cost: npt.NDArray[np.floating]) -> tuple[Tensor, float]:
    """Which neuron goes to each place at least cost, and that cost."""
    neuron, place = linear_sum_assignment(cost)
    order = torch.empty(len(cost), dtype=torch.int64)
    order[torch.from_numpy(place)] = torch.from_numpy(neuron)
    return order, float(cost[neuron, place].sum())


def _recurrent_assignment(layer: _Layer) -> Tensor:
    """The assignment with the set's own neurons taken for fixed, where that is better, then exchanges."""
    proposed = _assignment(layer)
    stay = torch.arange(layer.score.shape[1], device=layer.cost.device).expand_as(proposed)
    better = layer.rearranged(proposed).total() < layer.total()
    order = proposed.where(better.unsqueeze(1), stay)
    return order.gather(1, _exchange(layer.rearranged(order), layer.score.shape[1]))


def _spread(blocks: Tensor, n: int) -> Tensor:
    """An order of blocks as an order of neurons, each keeping its place in its block."""
    size = n // blocks.shape[1]
    return (blocks.unsqueeze(2) * size + torch.arange(size, device=blocks.device)).flatten(1)


def _off_diagonal(w: Tensor) -> Tensor:
    """Without what connects a neuron to itself, which has length 0 wherever the neuron is."""
    return w - torch.diag_embed(w.diagonal(dim1=1, dim2=2))


def _strengths(wiring: Wiring, flat: Tensor) -> dict[str, Tensor]:
    tensors = wiring.tensors(flat.abs())
    strength = {}
    for wire in wiring.weights:
        target, source = wire.ends
        folded = tensors[wire.tensor].unflatten(1, (target.folds, -1)).unflatten(3, (source.folds, -1))
        strength[wire.tensor] = folded.sum((1, 3))
    return strength


def _move(wiring: Wiring, strength: Mapping[str, Tensor], name: str, order: Tensor) -> dict[str, Tensor]:
    moved = dict(strength)
    for wire in wiring.weights:
        for axis, end in enumerate(wire.ends):
            if end.neurons == name:
                w = moved[wire.tensor]
                index = order.unsqueeze(2 - axis).expand_as(w)
                moved[wire.tensor] = w.gather(1 + axis, index)
    return moved
