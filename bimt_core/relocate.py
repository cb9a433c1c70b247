"""Relocation: rearranging the neurons of each set so that connections get shorter.

Where no two neurons of a set are connected, its cost with the neighbours fixed is a sum over its neurons: C[j, k], the
cost of neuron j at place k, comes from one matrix product a neighbour (`place_costs`). Exchanging j and k changes the
cost by C[j,k] + C[k,j] - C[j,j] - C[k,k], and the best arrangement of the whole set is a linear assignment problem.

In a recurrent set the two neurons of an exchange may be connected to each other. Those two weights are as long after
the exchange as before, which the formula misses by 2 S[j,k] D[j,k], with S[j,k] = |W[j,k]| + |W[k,j]| and D the
distances of the places.

All methods work on every network of a population at once and visit the sets from input to output. Nothing but weights
with a distance matters: biases cost the same in every place. Costs are float64 whatever the parameters are: in float32
an exchange and its undoing can both look like gains.
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

IMPROVES = 1e-9  # part of a set's wiring cost below which a change counts as rounding


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
    strength = _strengths(wiring, flat.detach().where(finite, 0.0).double())
    movable = [neurons for neurons in wiring.neurons if neurons.movable]
    order: dict[str, Tensor] = {}
    for _ in range(rounds):
        moved = False
        for neurons in movable:
            layer = _Layer.of(wiring, strength, neurons)
            best = _arrange(layer, method, top_k).where(finite, layer.stay)
            moved |= not torch.equal(best, layer.stay)
            order[neurons.name] = order.get(neurons.name, layer.stay).gather(1, best)
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
        w = _off_diagonal(strength[wire.tensor]) if wire.is_recurrent else strength[wire.tensor]
        target, source = wire.ends
        for here, there, of_each in ((target, source, w), (source, target, w.mT)):
            if here.neurons == neurons.name:
                distance = wiring.between(wiring[there.neurons], neurons).to(w)
                cost = cost + wiring.scale(wire) * (of_each @ distance)
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
        score, tie = cost.new_zeros(cost.shape[:2]), None
        for wire in wiring.weights:
            w = strength[wire.tensor]
            for axis, end in enumerate(wire.ends):
                if end.neurons == neurons.name:
                    score = score + w.sum(2 - axis)
            if wire.is_recurrent and wire.ends[0].neurons == neurons.name:
                both = wiring.scale(wire) * _off_diagonal(w + w.mT)
                tie = both if tie is None else tie + both
        return _Layer(cost, score, tie, wiring.between(neurons, neurons).to(cost), neurons.blocks)

    @property
    def stay(self) -> Tensor:
        """The order in which nothing moves, shape (networks, n)."""
        networks, n = self.score.shape
        return torch.arange(n, device=self.score.device).repeat(networks, 1)

    def rearranged(self, order: Tensor) -> "_Layer":
        """The same set after its neurons went to other places."""
        rows, columns = order.unsqueeze(2).expand_as(self.cost), order.unsqueeze(1).expand_as(self.cost)
        cost, tie = self.cost.gather(1, rows), self.tie
        if tie is not None:
            before = tie.gather(1, rows)
            tie = before.gather(2, columns)
            cost = cost + (tie - before) @ self.apart
        return _Layer(cost, self.score.gather(1, order), tie, self.apart, self.blocks)

    def total(self) -> Tensor:
        """Wiring cost of the weights at this set, each counted once; shape (networks,)."""
        here = self.cost.diagonal(dim1=1, dim2=2).sum(1)
        return here if self.tie is None else here - (self.tie * self.apart).sum((1, 2)) / 2

    def of_blocks(self) -> "_Layer":
        """The blocks as if they were neurons, with every neuron keeping its place in its block."""
        cost = self.cost_of_blocks().diagonal(dim1=2, dim2=4).sum(-1)
        return _Layer(cost, self.score.unflatten(1, (self.blocks, -1)).sum(2), None, self.apart, 1)

    def cost_of_blocks(self) -> Tensor:
        """C with neurons and places by block, shape (networks, blocks, n / blocks, blocks, n / blocks)."""
        by_block = self.blocks, self.score.shape[1] // self.blocks
        cost: Tensor = self.cost.unflatten(2, by_block).unflatten(1, by_block)
        return cost


def _arrange(layer: _Layer, method: Method, top_k: int) -> Tensor:
    """Which neuron goes to each place, shape (networks, n)."""
    if method == "greedy":
        return _visit(layer, top_k)
    if method == "exchange":
        return _exchange(layer)
    order = _if_better(layer, _assignment(layer))
    return order if layer.tie is None else order.gather(1, _exchange(layer.rearranged(order)))


def _if_better(layer: _Layer, order: Tensor) -> Tensor:
    """An order for the networks whose cost it lowers; the others stay as they are."""
    before, after = layer.total(), layer.rearranged(order).total()
    return order.where((before - after > IMPROVES * before).unsqueeze(1), layer.stay)


def _exchange(layer: _Layer) -> Tensor:
    """Visits of all neurons until no exchange lowers the cost."""
    order = stay = layer.stay
    while True:
        best = _if_better(layer, _visit(layer, stay.shape[1], improves=IMPROVES))
        if torch.equal(best, stay):
            return order
        order, layer = order.gather(1, best), layer.rearranged(best)


def _visit(layer: _Layer, top_k: int, *, improves: float | None = None) -> Tensor:
    """Greedy exchanges of neurons within their blocks, then of whole blocks."""
    order = _greedy(layer, top_k, improves)
    if layer.blocks == 1:
        return order
    blocks = _greedy(layer.rearranged(order).of_blocks(), layer.blocks, improves)
    return order.gather(1, _spread(blocks, order.shape[1]))


def _greedy(layer: _Layer, top_k: int, improves: float | None) -> Tensor:
    """Published exchange: places are picked by score before any exchange; ties go to the first place.

    With `improves`, only changes by more than that part of the set's cost count.
    """
    order, row = layer.stay, torch.arange(len(layer.score), device=layer.score.device)
    cost, apart = layer.cost.clone(), layer.apart
    tie = None if layer.tie is None else layer.tie.clone()
    block = order[0] // (order.shape[1] // layer.blocks)
    for place in layer.score.argsort(dim=1, descending=True, stable=True)[:, :top_k].unbind(1):
        here = cost.diagonal(dim1=1, dim2=2)
        change = cost[row, place] + cost[row, :, place] - here - here[row, place].unsqueeze(1)
        if tie is not None:
            change = change + 2 * tie[row, place] * apart[place]
        if layer.blocks > 1:
            change = change.masked_fill(block != block[place].unsqueeze(1), torch.inf)
        other = change.argmin(1)
        if improves is not None:
            other = other.where(change[row, other] < -improves * here.sum(1), place)
        if tie is not None:
            pull = tie[row, :, place] - tie[row, :, other]
            cost += pull.unsqueeze(2) * (apart[other] - apart[place]).unsqueeze(1)
            _exchange_rows(tie.mT, row, place, other)
            _exchange_rows(tie, row, place, other)
        _exchange_rows(cost, row, place, other)
        _exchange_rows(order, row, place, other)
    return order


def _exchange_rows(of: Tensor, row: Tensor, one: Tensor, other: Tensor) -> None:
    here, there = of[row, one], of[row, other]
    of[row, one], of[row, other] = there, here


def _assignment(layer: _Layer) -> Tensor:
    """Cheapest arrangement, taking the set's own neurons for fixed; every block as is best where it goes."""
    order = [_assigned(cost) for cost in layer.cost_of_blocks().cpu().numpy()]
    return torch.stack(order).to(layer.score.device)


def _assigned(cost: npt.NDArray[np.floating]) -> Tensor:
    """The same for one network, from the costs of neurons and places by block."""
    blocks, size = cost.shape[:2]
    within = [[_solve(cost[block, :, place]) for place in range(blocks)] for block in range(blocks)]
    wholes, _ = _solve(np.array([[total for _, total in row] for row in within]))
    return torch.cat([block * size + within[block][place][0] for place, block in enumerate(wholes.tolist())])


def _solve(cost: npt.NDArray[np.floating]) -> tuple[Tensor, float]:
    """Which neuron goes to each place at least cost, and that cost."""
    neuron, place = linear_sum_assignment(cost)
    return torch.from_numpy(place.argsort()), float(cost[neuron, place].sum())


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
