"""Neurons, or whole communities of them, are knocked out to see what they are for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from bimt_core.modularity import Communities, Node
from bimt_core.population import Population
from bimt_core.surgery.evaluation import finite_network, scores_without
from bimt_core.tasks import Task
from bimt_core.wiring import Axis, Wire, Wiring

MOST_TOGETHER = 10  # communities: 1024 subsets

Chosen = Mapping[str, Collection[int]] | Collection[Node]


@dataclass(frozen=True)
class Ablation:
    """What the task's score is without one community, and with no other.

    Args:
        members: The community's neurons.
        score_without: Score when the community is knocked out.
        score_alone: Score when all other communities are.
    """

    members: frozenset[Node]
    score_without: float
    score_alone: float


def ablate(population: Population, neurons: Chosen) -> Population:
    """The networks with some neurons silenced, the same in every replicate.

    All parameters of the neurons become 0: outgoing and incoming weights of every tensor that is tied to them, biases
    and embeddings. So they have no effect, not even on how query and key of a head match. Only what writes the output
    neurons stays, for an output is what the network says and has no effect on it.

    Args:
        population: Networks of one architecture; they stay as they are.
        neurons: Places of neurons by the name of their set, such as {"hidden1": [0, 3]}, or (set, place) pairs, such
            as one of `Communities.members`.

    Returns:
        The networks without the neurons.

    Raises:
        ValueError: If there is no such set of neurons, or no such place in it.
    """
    silenced = _parameters(population.network.wiring, _by_set(neurons)).to(population.flat.device)
    return replace(population, flat=population.flat.masked_fill(silenced, 0.0))


def score_community_ablations(
    population: Population, task: Task, network: int, communities: Communities
) -> tuple[float, list[Ablation]]:
    """The score of one network with each community knocked out in turn, as the paper does for modular addition and S4.

    Neurons that are in no community stay.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        network: Which network of the population.
        communities: Of that network; see `louvain`.

    Returns:
        The score (see `Task.score`) of the whole network, and one record a community, in their order.

    Raises:
        ValueError: If there is no such network, its parameters are not finite, or a community has a neuron that the
            network has not.
    """
    one, members = finite_network(population, network), communities.members
    everyone = frozenset[Node]().union(*members)
    silent = [frozenset[Node](), *members, *(everyone - some for some in members)]
    score, *scores = _scores(one, task, silent)
    without, alone = scores[: len(members)], scores[len(members) :]
    return score, [Ablation(*record) for record in zip(members, without, alone, strict=True)]


def score_neuron_ablations(population: Population, task: Task, network: int) -> dict[Node, float]:
    """The score of one network with each of its neurons knocked out in turn.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        network: Which network of the population.

    Returns:
        The score (see `Task.score`) without each neuron but the outputs, which have no effect to lose.

    Raises:
        ValueError: If there is no such network, or its parameters are not finite.
    """
    one = finite_network(population, network)
    nodes = [(neurons.name, place) for neurons in one.network.wiring.neurons[:-1] for place in range(len(neurons))]
    return dict(zip(nodes, _scores(one, task, [[node] for node in nodes]), strict=True))


def score_subset_ablations(
    population: Population, task: Task, network: int, communities: Communities, most: int = 6
) -> dict[tuple[bool, ...], float]:
    """The score of one network with every subset of its largest communities, as the paper's table of modular addition.

    Neurons of smaller communities, and those that are in none, stay.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        network: Which network of the population.
        communities: Of that network; see `louvain`.
        most: How many communities, largest first, are kept or knocked out; every one doubles the number of subsets.

    Returns:
        For each subset its score (see `Task.score`). A subset says of each community, largest first, whether it is
        kept: (True, True, ...) comes first, (False, False, ...) last.

    Raises:
        ValueError: If `most` is not between 1 and 10, there is no such network, its parameters are not finite, or a
            community has a neuron that the network has not.
    """
    if not 1 <= most <= MOST_TOGETHER:
        raise ValueError(f"most must be between 1 and {MOST_TOGETHER}, got {most}")
    one, members = finite_network(population, network), communities.members[:most]
    subsets = list(product((True, False), repeat=len(members)))
    silent = [
        frozenset[Node]().union(*(some for some, is_kept in zip(members, kept, strict=True) if not is_kept))
        for kept in subsets
    ]
    return dict(zip(subsets, _scores(one, task, silent), strict=True))


def _scores(one: Population, task: Task, silent: Sequence[Collection[Node]]) -> list[float]:
    """Score of one network without each of some groups of neurons."""
    masks = [_parameters(one.network.wiring, _by_set(nodes)) for nodes in silent]
    return scores_without(one, task, torch.stack(masks))


def _by_set(neurons: Chosen) -> Mapping[str, Collection[int]]:
    if isinstance(neurons, Mapping):
        return neurons
    chosen: dict[str, list[int]] = {}
    for name, place in neurons:
        chosen.setdefault(name, []).append(place)
    return chosen


def _parameters(wiring: Wiring, chosen: Mapping[str, Collection[int]]) -> Tensor:
    """Which parameters are silenced, bool, shape (n_parameters,)."""
    masks = {name: _mask(wiring, name, places) for name, places in chosen.items()}
    return torch.cat([_of_tensor(wiring, wire, masks).flatten() for wire in wiring.wires])


def _mask(wiring: Wiring, name: str, places: Collection[int]) -> Tensor:
    """Which neurons of a set are chosen, bool, shape (n,)."""
    known = {neurons.name: len(neurons) for neurons in wiring.neurons}
    if name not in known:
        raise ValueError(f"neurons must be of the sets {', '.join(known)}, got {name!r}")
    mask = torch.zeros(known[name], dtype=torch.bool)
    for place in places:
        if not 0 <= place < known[name]:
            raise ValueError(f"places of neurons {name!r} must be between 0 and {known[name] - 1}, got {place}")
        mask[place] = True
    return mask


def _of_tensor(wiring: Wiring, wire: Wire, masks: Mapping[str, Tensor]) -> Tensor:
    """Which entries of a tensor are silenced, shape of the tensor."""
    silenced = torch.zeros(wiring.shape(wire), dtype=torch.bool)
    for dimension, axis in enumerate(wire.axes):
        if not isinstance(axis, Axis) or axis.neurons not in masks:
            continue
        is_written = dimension == 0 and (wire.is_weight or wire.is_bias)
        if is_written and axis.neurons == wiring.outputs.name:
            continue
        here = masks[axis.neurons].repeat(axis.folds)
        silenced |= here.unflatten(0, [-1 if d == dimension else 1 for d in range(silenced.ndim)])
    return silenced
