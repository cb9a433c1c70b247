"""Relocation: rearranging the neurons of each layer so that connections get shorter.

Within one layer no two neurons are connected, so with the neighbours fixed the cost of a layer is a sum over its
neurons, and C[j, k], the cost of neuron j at place k, comes from one matrix product a neighbour (`place_costs`).
Exchanging j and k changes the cost by exactly C[j,k] + C[k,j] - C[j,j] - C[k,k], and the best arrangement of the whole
layer is a linear assignment problem. Both methods work on all networks of a population at once and visit the neuron
sets from input to output. Nothing but weights with a distance matters: biases cost the same in every place.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, get_args

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from bimt_core.wiring import Neurons, Wiring

Method = Literal["assignment", "greedy", "none"]
METHODS: tuple[Method, ...] = get_args(Method)

Arrange = Callable[[Tensor, Tensor], Tensor]


def relocate(wiring: Wiring, flat: Tensor, method: Method, *, top_k: int = 5) -> dict[str, Tensor]:
    """Finds a cheaper arrangement of every movable set of neurons, input to output.

    The wiring cost that is lowered is sum over weights of R(|W| * d): the part of the connection cost that depends on
    where neurons are, up to the weight factor. As in the published code it does not depend on the weight factor that
    the loss uses, so L1 + swap moves neurons too.

    Args:
        wiring: The network's wiring.
        flat: Parameters, shape (networks, n_parameters). Networks with parameters that are not finite stay as they are.
        method: "greedy" is the published method: the `top_k` neurons of highest score, chosen once for the layer, are
            each exchanged with whichever place of the layer lowers the cost most. "assignment" solves the linear
            assignment problem of the whole layer (Jonker-Volgenant, scipy); it is never worse for the layer at hand.
            "none" moves nothing.
        top_k: How many neurons greedy tries in each set.

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
    arrange: Arrange = _assignment if method == "assignment" else partial(_greedy, top_k=top_k)
    order = {}
    for neurons in wiring.neurons:
        if neurons.movable:
            best = arrange(place_costs(wiring, strength, neurons), _scores(wiring, strength, neurons))
            order[neurons.name] = best.where(finite, torch.arange(len(neurons), device=flat.device))
            strength = _move(wiring, strength, neurons.name, order[neurons.name])
    return order


def place_costs(wiring: Wiring, strength: Mapping[str, Tensor], neurons: Neurons) -> Tensor:
    """C[j, k]: the wiring cost of neuron j, put at place k, with its neighbours where they are.

    Args:
        wiring: The wiring.
        strength: For every weight, |W| summed over folds, shape (networks, n target, n source).
        neurons: The set of neurons.

    Returns:
        Costs, shape (networks, n, n).
    """
    cost = torch.zeros((), dtype=next(iter(strength.values())).dtype)
    for wire, size in zip(wiring.wires, wiring.sizes, strict=True):
        if not wire.is_weight:
            continue
        w = strength[wire.tensor]
        target, source = wire.ends
        distance = wiring.between(wiring[target.neurons], wiring[source.neurons]).to(w)
        scale = 1.0 if wiring.reduction == "sum" else 1.0 / size
        if target.neurons == neurons.name:
            cost = cost.to(w) + scale * (w @ distance.mT)
        if source.neurons == neurons.name:
            cost = cost.to(w) + scale * (w.mT @ distance)
    return cost


def _strengths(wiring: Wiring, flat: Tensor) -> dict[str, Tensor]:
    tensors = wiring.tensors(flat.abs())
    strength = {}
    for wire in wiring.weights:
        target, source = wire.ends
        folded = tensors[wire.tensor].unflatten(1, (target.folds, -1)).unflatten(3, (source.folds, -1))
        strength[wire.tensor] = folded.sum((1, 3))
    return strength


def _scores(wiring: Wiring, strength: Mapping[str, Tensor], neurons: Neurons) -> Tensor:
    """The paper's importance of a neuron: sum |W_in| + sum |W_out|, shape (networks, n)."""
    scores = [
        strength[wire.tensor].sum(2 - axis)
        for wire in wiring.weights
        for axis, end in enumerate(wire.ends)
        if end.neurons == neurons.name
    ]
    return torch.stack(scores).sum(0)


def _move(wiring: Wiring, strength: Mapping[str, Tensor], name: str, order: Tensor) -> dict[str, Tensor]:
    moved = dict(strength)
    for wire in wiring.weights:
        for axis, end in enumerate(wire.ends):
            if end.neurons == name:
                w = moved[wire.tensor]
                index = order.unsqueeze(2 - axis).expand_as(w)
                moved[wire.tensor] = w.gather(1 + axis, index)
    return moved


def _greedy(cost: Tensor, score: Tensor, *, top_k: int) -> Tensor:
    """Published exchange: places are picked by score before any exchange; ties go to the first place."""
    networks, n = score.shape
    row = torch.arange(networks, device=cost.device)
    order = torch.arange(n, device=cost.device).repeat(networks, 1)
    cost = cost.clone()
    for place in score.argsort(dim=1, descending=True, stable=True)[:, :top_k].unbind(1):
        stay = cost.diagonal(dim1=1, dim2=2)
        change = cost[row, place] + cost[row, :, place] - stay - stay[row, place].unsqueeze(1)
        other = change.argmin(1)
        for rows in (cost, order):
            here, there = rows[row, place], rows[row, other]
            rows[row, place], rows[row, other] = there, here
    return order


def _assignment(cost: Tensor, score: Tensor) -> Tensor:
    """Optimal arrangement of each network's layer; the score plays no part."""
    order = torch.empty(score.shape, dtype=torch.int64)
    for network, c in enumerate(cost.cpu().numpy()):
        neuron, place = linear_sum_assignment(c)
        order[network, torch.from_numpy(place)] = torch.from_numpy(neuron)
    return order.to(score.device)
