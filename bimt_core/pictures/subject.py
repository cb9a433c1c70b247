"""The subject of a figure: one network of a population, with its predictions on test rows and its communities."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from bimt_core.modularity import Communities, louvain, weight_graph
from bimt_core.population import Population
from bimt_core.tasks import Task
from bimt_core.wiring import is_active

BROKEN, EMPTY = "weights not finite", "no active weight"
MANY_EDGES = 200  # larger graphs get a single Louvain run where many networks are drawn


def select_network(population: Population, network: int) -> Population:
    """Selects one network, as a population of one on the CPU.

    Args:
        population: Any networks.
        network: Index of the network.

    Raises:
        ValueError: If there is no such network.
    """
    if not 0 <= network < len(population):
        raise ValueError(f"network must be between 0 and {len(population) - 1}, got {network}")
    return population.select([network]).to("cpu")


def task_title(task: Task) -> str:
    """Returns a task's name in words.

    Args:
        task: Any task.
    """
    return task.name.rpartition(":")[2].replace("_", " ")


def find_fault(one: Population) -> str | None:
    """Returns the reason why a network cannot be drawn, if any: weights not finite, or no active weight.

    Args:
        one: A population of one network.
    """
    if not one.flat.isfinite().all():
        return BROKEN
    weights = (one.tensors[wire.tensor] for wire in one.network.wiring.weights)
    return None if any(bool(is_active(weight).any()) for weight in weights) else EMPTY


def make_drawable(one: Population) -> Population:
    """Sets all parameters to 0 if any is not finite.

    Args:
        one: A population of one network.
    """
    return one if one.flat.isfinite().all() else replace(one, flat=torch.zeros_like(one.flat))


def tensors_of(one: Population) -> Mapping[str, Tensor]:
    """Returns the named tensors without their population dimension.

    Args:
        one: A population of one network.
    """
    return {name: tensor[0].detach() for name, tensor in one.tensors.items()}


def find_communities(one: Population, communities: Communities | None = None, *, quick: bool = False) -> Communities:
    """Returns the given communities, or finds those of the weights |w| / layer maximum.

    Args:
        one: A population of one network.
        communities: Returned as they are.
        quick: Whether a single Louvain run is enough for a large network.
    """
    if communities is not None:
        return communities
    graph = weight_graph(one.network.wiring, tensors_of(one))
    return louvain(graph, seeds=1 if quick and graph.number_of_edges() > MANY_EDGES else 10)


def find_embedding(one: Population, task: Task) -> Tensor:
    """Returns the value of every token for every input neuron, shape (tokens, inputs).

    Args:
        one: A population of one network.
        task: Named in the error.

    Raises:
        ValueError: If the network has no trainable embedding.
    """
    for wire in one.network.wiring.wires:
        is_embedding = len(wire.ends) == 1 and len(wire.axes) == 2 and wire.ends[0] is wire.axes[1]
        if is_embedding and wire.ends[0].neurons == one.network.wiring.inputs.name:
            return tensors_of(one)[wire.tensor]
    raise ValueError(f"the figure needs tokens with a trainable embedding, task {task.name!r} has none")


def token_names(task: Task, tokens: int) -> list[str]:
    """Returns the names of tokens: those of the outputs if they are as many, else numbers.

    Args:
        task: The task.
        tokens: Number of tokens.
    """
    return list(task.output_names) if len(task.output_names) == tokens else list(map(str, range(tokens)))


def rank_embedding_neurons(one: Population, embedding: Tensor) -> list[int]:
    """Returns places of the embedding's neurons that distinguish tokens and are read by an active weight.

    The strongest is first. A neuron's strength here is the standard deviation of its value over the tokens times the
    sum of |w| over its active outgoing weights.

    Args:
        one: A population of one network.
        embedding: See `find_embedding`.
    """
    tensors, inputs = tensors_of(one), one.network.wiring.inputs.name
    spread = embedding.std(0, correction=0)
    outgoing = torch.zeros_like(spread)
    for wire in one.network.wiring.weights:
        source, weight = wire.ends[1], tensors[wire.tensor]
        if source.neurons == inputs:
            sums = (weight.abs() * is_active(weight)).sum(0)
            outgoing += sums.unflatten(0, (source.folds, -1)).sum(0)
    strength = outgoing * is_active(spread) * spread
    order: list[int] = strength.argsort(descending=True, stable=True).tolist()
    return [place for place in order if strength[place] > 0]
