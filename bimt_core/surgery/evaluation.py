"""What is left of one network's figures without some of its parameters, in many variants at once."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from bimt_core.population import Population
from bimt_core.tasks import Task

AT_ONCE = 2**21  # numbers of variants evaluated together: 16 MiB; of modular addition, twice as fast as 2**24 or more


def finite_network(population: Population, network: int) -> Population:
    """One network of a population, as a population of its own.

    Args:
        population: Networks of one architecture.
        network: Which of them, counted from 0.

    Raises:
        ValueError: If there is no such network, or not all of its parameters are finite: it has no score that means
            anything.
    """
    if not 0 <= network < len(population):
        raise ValueError(f"network must be between 0 and {len(population) - 1}, got {network}")
    one = population.select([network])
    if not one.flat.isfinite().all():
        raise ValueError(f"network {network} has parameters that are not finite")
    return one


def variants_without(one: Population, task: Task, silenced: Tensor) -> Iterator[Population]:
    """One network many times over, each time with some of its parameters at 0.

    Args:
        one: The network, a population of one.
        task: What they will be evaluated on, which decides how many are made at a time.
        silenced: The parameters that are 0, for each variant, bool, shape (variants, n_parameters).

    Yields:
        Some variants at a time, in their order.
    """
    for part in silenced.split(fitting(one, task)) if len(silenced) else ():
        variants = one.select([0] * len(part))
        yield replace(variants, flat=variants.flat.masked_fill(part.to(one.flat.device), 0.0))


def fitting(one: Population, task: Task) -> int:
    """How many variants of a network are evaluated on the task's test rows together, at least 1."""
    points = len(task.test_inputs) * task.sequence_length
    network = one.network
    outputs, inputs = len(network.wiring.outputs), len(network.wiring.inputs)
    values = 3 * network.wiring.n_parameters + network.activation_values(points) + points * (3 * outputs + inputs)
    return max(1, AT_ONCE // values)


def loss_and_score(variants: Population, task: Task) -> tuple[Tensor, Tensor]:
    """Loss and score on the test rows (see `Task`), each of shape (networks,)."""
    outputs = variants.predict(task.test_inputs)
    return task.loss(outputs, task.test_targets), task.score(outputs, task.test_targets)


def scores_without(one: Population, task: Task, silenced: Tensor) -> list[float]:
    """Score of each of `variants_without`.

    Args:
        one: The network, a population of one.
        task: The task, on the population's device.
        silenced: Bool, shape (variants, n_parameters).
    """
    parts = [loss_and_score(variants, task)[1] for variants in variants_without(one, task, silenced)]
    scores: list[float] = torch.cat(parts).tolist()
    return scores
