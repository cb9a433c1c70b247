"""Evaluation of many variants of one network, each without some of its parameters."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor

from bimt_core.population import Population
from bimt_core.tasks import Task

RowSet = Literal["validation", "test"]  # to choose by, and to report
VALUES_AT_ONCE = 2**21  # 16 MiB of values; for modular addition twice as fast as 2**24 or more


def finite_network(population: Population, network: int) -> Population:
    """Selects one network, as a population of one.

    Args:
        population: Networks of one architecture.
        network: Index in the population.

    Raises:
        ValueError: If there is no such network, or its parameters are not all finite, so that it has no score.
    """
    if not 0 <= network < len(population):
        raise ValueError(f"network must be between 0 and {len(population) - 1}, got {network}")
    one = population.select([network])
    if not one.flat.isfinite().all():
        raise ValueError(f"network {network} has parameters that are not finite")
    return one


def variants_without(one: Population, task: Task, silenced: Tensor) -> Iterator[Population]:
    """Yields variants of one network, each with some of its parameters at 0, as many at a time as fit in memory.

    Args:
        one: The network, a population of one.
        task: Task that the variants will be evaluated on; see `variants_at_once`.
        silenced: Parameters that are 0 in each variant, bool, shape (variants, n_parameters).
    """
    for part in silenced.split(variants_at_once(one, task)) if len(silenced) else ():
        variants = one.select([0] * len(part))
        yield replace(variants, flat=variants.flat.masked_fill(part.to(one.flat.device), 0.0))


def variants_at_once(one: Population, task: Task) -> int:
    """Computes how many variants are evaluated on the task's rows together, at least 1.

    Args:
        one: The network, a population of one.
        task: The task.
    """
    rows, wiring = max(len(task.validation_inputs), len(task.test_inputs)), one.network.wiring
    points = rows * task.sequence_length
    ends = points * (3 * len(wiring.outputs) + len(wiring.inputs))
    return max(1, VALUES_AT_ONCE // (3 * wiring.n_parameters + one.network.activation_values(points) + ends))


def loss_and_score(variants: Population, task: Task, rows: RowSet) -> tuple[Tensor, Tensor]:
    """Computes loss and score (see `Task`), both of shape (networks,).

    Args:
        variants: Networks of the task's architecture.
        task: The task, on their device.
        rows: "validation" or "test".

    Raises:
        ValueError: If there are no such rows.
    """
    if rows not in get_args(RowSet):
        raise ValueError(f"rows must be one of {', '.join(get_args(RowSet))}, got {rows!r}")
    is_test = rows == "test"
    inputs, targets = (
        (task.test_inputs, task.test_targets) if is_test else (task.validation_inputs, task.validation_targets)
    )
    outputs = variants.predict(inputs)
    return task.loss(outputs, targets), task.score(outputs, targets)


def scores_without(one: Population, task: Task, silenced: Tensor, rows: RowSet) -> list[float]:
    """See `variants_without`; computes the score of each variant."""
    parts = [loss_and_score(variants, task, rows)[1] for variants in variants_without(one, task, silenced)]
    scores: list[float] = torch.cat(parts).tolist()
    return scores
