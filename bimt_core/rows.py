"""Rows of data for each step."""

from functools import lru_cache

import torch
from torch import Generator, Tensor

from bimt_core.population import Population
from bimt_core.tasks import Task


class Rows:
    """Rows of a task, ordered by the places of some networks, in buffers whose memory stays the same.

    Args:
        task: The task.
        population: The networks.
        batch_size: Rows per step; 0 for all.

    Raises:
        ValueError: If a batch is larger than the number of training rows.
    """

    def __init__(self, task: Task, population: Population, batch_size: int) -> None:
        if batch_size > len(task.inputs):
            raise ValueError(f"batch_size must be at most the number of rows {len(task.inputs)}, got {batch_size}")
        self._task, self._population, self._batch_size = task, population, batch_size
        self.inputs, self.targets, self.scored = self._place(0)

    def update(self, population: Population) -> None:
        """Adapts the buffers to moved neurons.

        Args:
            population: The same networks after a relocation.
        """
        self._population = population
        self._fill(0)

    def load(self, step: int) -> None:
        """Fills the buffers with the rows of a step.

        Args:
            step: Counted from 0.
        """
        if self._batch_size:
            self._fill(step)

    def _place(self, step: int) -> tuple[Tensor, Tensor, Tensor | None]:
        inputs, targets, scored = self._task.inputs, self._task.targets, self._task.scored
        if self._batch_size:
            rows = batch(len(inputs), self._batch_size, step).to(inputs.device)
            inputs, targets = inputs[rows], targets[rows]
        scored = None if scored is None else self._population.place_targets(scored.unsqueeze(0))
        return self._population.place_inputs(inputs), self._population.place_targets(targets), scored

    def _fill(self, step: int) -> None:
        for buffer, values in zip((self.inputs, self.targets, self.scored), self._place(step), strict=True):
            if buffer is not None and values is not None:
                _stored(buffer).copy_(_stored(values))


def batch(n: int, size: int, step: int) -> Tensor:
    """Computes the row numbers of a step: each epoch has all rows in random order, except the last incomplete batch.

    The order of an epoch depends on its number alone, so a resumed training gets the same batches.

    Args:
        n: Number of rows.
        size: Rows per batch, at most n.
        step: Counted from 0.
    """
    epoch, number = divmod(step, n // size)
    return _epoch(n, epoch)[number * size : (number + 1) * size]


@lru_cache(maxsize=2)
def _epoch(n: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=Generator().manual_seed(epoch))


def _stored(tensor: Tensor) -> Tensor:
    """The part that is in memory of a tensor that all networks share."""
    return tensor[:1] if tensor.stride(0) == 0 else tensor
