"""Ablation: neurons or communities are silenced to measure what they are for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from bimt_core.modularity import Communities, Node
from bimt_core.population import Population
from bimt_core.surgery.evaluation import RowSet, finite_network, scores_without
from bimt_core.tasks import Task
from bimt_core.wiring import Wiring, parameter_mask

MOST_COMMUNITIES = 10  # 1024 subsets

NeuronSelection = Mapping[str, Collection[int]] | Collection[Node]


@dataclass(frozen=True)
class Ablation:
    """Scores of a network without one community and with that community alone.

    Args:
        members: The community's neurons.
        score_without: Score with the community ablated.
        score_alone: Score with all other communities ablated.
    """

    members: frozenset[Node]
    score_without: float
    score_alone: float


def ablate(population: Population, neurons: NeuronSelection) -> Population:
    """Returns the networks without some neurons, the same in every network.

    All parameters of the neurons become 0: the weights, biases and embeddings of every tensor that is attached to them.
    So they have no effect, not even on how query and key of a head match. Output neurons keep what writes them, since
    their value is the network's answer.

    Args:
        population: Networks of one architecture; not changed.
        neurons: Places of neurons by the name of their set, such as {"hidden1": [0, 3]}; or (set, place) pairs, such
            as one of `Communities.members`.

    Raises:
        ValueError: If there is no such set of neurons, or no such place in it.

    Examples:
        >>> from bimt_core import MLP, initialise
        >>> population = ablate(initialise(MLP((2, 3, 1)), seeds=[0]), {"hidden1": [1]})
        >>> population.tensors["weight0"][0, 1], population.tensors["weight1"][0, :, 1]
        (tensor([0., 0.]), tensor([0.]))
    """
    silenced = _silenced_parameters(population.network.wiring, [neurons]).to(population.flat.device)
    return replace(population, flat=population.flat.masked_fill(silenced, 0.0))


def score_community_ablations(
    population: Population, task: Task, network: int, communities: Communities, rows: RowSet = "test"
) -> tuple[float, list[Ablation]]:
    """Scores one network with each community ablated in turn, as the paper does for modular addition and S4.

    Neurons that are in no community are never ablated.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        network: Index in the population.
        communities: Communities of that network; see `louvain`.
        rows: "test" to report scores; "validation" to choose by them what to remove.

    Returns:
        The score (see `Task.score`) of the whole network, and one ablation per community, in their order.

    Raises:
        ValueError: If there is no such network, its parameters are not finite, there are no such rows, or a
            community has a neuron that the network does not have.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> moons, communities = load_task("two_moons"), Communities(0.0, (frozenset({("hidden1", 0)}),))
        >>> score, ablations = score_community_ablations(initialise(moons.network, [0]), moons, 0, communities)
    """
    one, members = finite_network(population, network), communities.members
    everyone = frozenset[Node]().union(*members)
    score, *scores = _score_ablations(one, task, [frozenset(), *members, *(everyone - some for some in members)], rows)
    without, alone = scores[: len(members)], scores[len(members) :]
    return score, [Ablation(*row) for row in zip(members, without, alone, strict=True)]


def score_neuron_ablations(
    population: Population, task: Task, network: int, rows: RowSet = "test"
) -> dict[Node, float]:
    """Computes the score (see `Task.score`) of one network without each of its neurons in turn, except for the outputs.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        network: Index in the population.
        rows: "test" to report scores; "validation" to choose by them what to remove.

    Raises:
        ValueError: If there is no such network, its parameters are not finite, or there are no such rows.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> moons = load_task("two_moons")
        >>> list(score_neuron_ablations(initialise(moons.network, seeds=[0]), moons, 0))[:3]
        [('input', 0), ('input', 1), ('hidden1', 0)]
    """
    one = finite_network(population, network)
    nodes = [(neurons.name, place) for neurons in one.network.wiring.neurons[:-1] for place in range(len(neurons))]
    return dict(zip(nodes, _score_ablations(one, task, [[node] for node in nodes], rows), strict=True))


def score_subset_ablations(
    population: Population,
    task: Task,
    network: int,
    communities: Communities,
    max_communities: int = 6,
    rows: RowSet = "test",
) -> dict[tuple[bool, ...], float]:
    """Scores one network with every subset of its largest communities, as in the paper's table of modular addition.

    Neurons of smaller communities, and those that are in none, are never ablated.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        network: Index in the population.
        communities: Communities of that network; see `louvain`.
        max_communities: Number of communities, largest first, that are kept or ablated, from 1 to 10. Each doubles the
            number of subsets.
        rows: "test" to report scores; "validation" to choose by them what to remove.

    Returns:
        The score (see `Task.score`) of each subset. A subset is a tuple with True for each community that is kept,
        largest first: (True, True, ...) comes first, (False, False, ...) last.

    Raises:
        ValueError: If `max_communities` is out of range, there is no such network, its parameters are not finite, there
            are no such rows, or a community has a neuron that the network does not have.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> moons, communities = load_task("two_moons"), Communities(0.0, (frozenset({("hidden1", 0)}),))
        >>> list(score_subset_ablations(initialise(moons.network, [0]), moons, 0, communities))
        [(True,), (False,)]
    """
    if not 1 <= max_communities <= MOST_COMMUNITIES:
        raise ValueError(f"max_communities must be between 1 and {MOST_COMMUNITIES}, got {max_communities}")
    one, members = finite_network(population, network), communities.members[:max_communities]
    subsets = list(product((True, False), repeat=len(members)))
    ablated = [
        frozenset[Node]().union(*(some for some, is_kept in zip(members, subset, strict=True) if not is_kept))
        for subset in subsets
    ]
    return dict(zip(subsets, _score_ablations(one, task, ablated, rows), strict=True))


def _score_ablations(one: Population, task: Task, groups: Sequence[Collection[Node]], rows: RowSet) -> list[float]:
    """Scores one network without each group of neurons."""
    return scores_without(one, task, _silenced_parameters(one.network.wiring, groups), rows)


def _silenced_parameters(wiring: Wiring, groups: Sequence[NeuronSelection]) -> Tensor:
    """Bool, shape (groups, n_parameters)."""
    masks = {neurons.name: torch.zeros(len(groups), len(neurons), dtype=torch.bool) for neurons in wiring.neurons}
    for row, group in enumerate(groups):
        for name, places in group.items() if isinstance(group, Mapping) else ((name, [at]) for name, at in group):
            if name not in masks:
                raise ValueError(f"neurons must be of the sets {', '.join(masks)}, got {name!r}")
            last = masks[name].shape[1] - 1
            for place in places:
                if not 0 <= place <= last:
                    raise ValueError(f"places of neurons {name!r} must be between 0 and {last}, got {place}")
                masks[name][row, place] = True
    return parameter_mask(wiring, masks, keep_outputs=True)
