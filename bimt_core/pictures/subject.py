"""The subject of a picture: one network of a population, what it says on test rows, and its communities."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from bimt_core.cost import ConnectionCost, connection_cost
from bimt_core.modularity import ACTIVE, Communities, louvain, weight_graph
from bimt_core.population import Population
from bimt_core.tasks import Task
from bimt_core.wiring import Wire

BROKEN, EMPTY = "weights not finite", "no active weight"
MANY_EDGES = 200  # from here on one Louvain run must do for each of many pictures


def select_network(population: Population, network: int) -> Population:
    """One network as a population of its own, on the CPU.

    Raises:
        ValueError: If there is no such network.
    """
    if not 0 <= network < len(population):
        raise ValueError(f"network must be between 0 and {len(population) - 1}, got {network}")
    return population.select([network]).to("cpu")


def task_title(task: Task) -> str:
    """A task's name in words."""
    return task.name.rpartition(":")[2].replace("_", " ")


def find_fault(one: Population) -> str | None:
    """Why there is nothing to see of a network, if so: weights that are not finite, or none that is active."""
    if not one.flat.isfinite().all():
        return BROKEN
    active = (one.tensors[wire.tensor].abs() > ACTIVE for wire in one.network.wiring.weights)
    return None if any(bool(some.any()) for some in active) else EMPTY


def make_drawable(one: Population) -> Population:
    """The network, without any weight where not all are finite."""
    return one if one.flat.isfinite().all() else replace(one, flat=torch.zeros_like(one.flat))


def tensors_of(one: Population) -> Mapping[str, Tensor]:
    """Named tensors of a population of one network."""
    return {name: tensor[0].detach() for name, tensor in one.tensors.items()}


def communities_of(one: Population, given: Communities | None, *, quick: bool = False) -> Communities:
    """The communities that are given, or else those of |w| / layer maximum; quick where many pictures are drawn."""
    if given is not None:
        return given
    graph = weight_graph(one.network.wiring, tensors_of(one))
    return louvain(graph, seeds=1 if quick and graph.number_of_edges() > MANY_EDGES else 10)


def cost_of(one: Population, task: Task) -> float:
    """The connection cost with the task's published weight factor and layer distance, as it is tracked."""
    factor, distance = (
        one.flat.new_full((1,), v) for v in (task.per_network.weight_factor, task.per_network.layer_distance)
    )
    cost = ConnectionCost.of(one.network.wiring)
    return connection_cost(one.flat, cost.coefficients(factor, distance)).item()


def embedding_of(one: Population, task: Task) -> Wire:
    """The tensor that says what each token is to the input neurons, shape (tokens, inputs).

    Raises:
        ValueError: If the network has none.
    """
    for wire in one.network.wiring.wires:
        is_embedding = len(wire.ends) == 1 and len(wire.axes) == 2 and wire.ends[0] is wire.axes[1]
        if is_embedding and wire.ends[0].neurons == one.network.wiring.inputs.name:
            return wire
    raise ValueError(f"the picture needs tokens with a trainable embedding, task {task.name!r} has none")


def token_names(task: Task, tokens: int) -> list[str]:
    """What tokens are called: as the outputs where there are as many, else by their numbers."""
    return list(task.output_names) if len(task.output_names) == tokens else list(map(str, range(tokens)))


def active_tokens(one: Population, wire: Wire) -> list[int]:
    """Places of the embedding's neurons that tell tokens apart and are listened to, the strongest first.

    A neuron's strength is the standard deviation of its value over the tokens times the sum of |w| of what it leads to.
    """
    tensors, inputs = tensors_of(one), one.network.wiring.inputs.name
    spread = tensors[wire.tensor].std(0, correction=0)
    heard = torch.zeros_like(spread)
    for weight in one.network.wiring.weights:
        source = weight.ends[1]
        if source.neurons == inputs:
            strength = tensors[weight.tensor].abs() * (tensors[weight.tensor].abs() > ACTIVE)
            heard += strength.sum(0).unflatten(0, (source.folds, -1)).sum(0)
    strength = heard * (spread > ACTIVE) * spread
    order: list[int] = strength.argsort(descending=True, stable=True).tolist()
    return [place for place in order if strength[place] > 0]
