"""The rows of data that a step sees."""

from functools import lru_cache

import torch
from torch import Generator, Tensor

from bimt_core.population import Population
from bimt_core.tasks import Task


class Rows:
    """Rows of a task as the neurons of some networks see them, in buffers that stay where they are.

    Args:
        task: The task.
        population: The networks.
        batch_size: Rows a step; 0 for all.

    Raises:
        ValueError: If a batch has more rows than there are.
    """

    def __init__(self, task: Task, population: Population, batch_size: int) -> None:
        if batch_size > len(task.inputs):
            raise ValueError(f"batch_size must be at most the {len(task.inputs)} rows there are, got {batch_size}")
        self._task, self._batch_size = task, batch_size
        self.inputs, self.targets, self.scored = self._placed(population, self._rows(0))
        self._population = population

    def place(self, population: Population) -> None:
        """Takes note that neurons have moved."""
        self._population = population
        self._fill(self._rows(0))

    def load(self, step: int) -> None:
        """Puts the rows of a step (counted from 0) into the buffers."""
        if self._batch_size:
            self._fill(self._rows(step))

    def _rows(self, step: int) -> Tensor | slice:
        if not self._batch_size:
            return slice(None)
        return batch(len(self._task.inputs), self._batch_size, step).to(self._task.inputs.device)

    def _placed(self, population: Population, rows: Tensor | slice) -> tuple[Tensor, Tensor, Tensor | None]:
        scored = self._task.scored
        return (
            population.place_inputs(self._task.inputs[rows]),
            population.place_targets(self._task.targets[rows]),
            None if scored is None else population.place_targets(scored.unsqueeze(0)),
        )

    def _fill(self, rows: Tensor | slice) -> None:
        buffers = self.inputs, self.targets, self.scored
        for buffer, placed in zip(buffers, self._placed(self._population, rows), strict=True):
            if buffer is not None and placed is not None:
                _once(buffer).copy_(_once(placed))


def batch(n: int, size: int, step: int) -> Tensor:
    """Which rows a step sees: epochs of all rows in random order, without the last rows that fill no batch.

    Args:
        n: Number of rows.
        size: Rows a batch, at most n.
        step: Counted from 0. The order of an epoch depends on its number alone, so a resumed training sees what it
            would have seen.

    Returns:
        Row numbers, int64, shape (size,).
    """
    epoch, place = divmod(step, n // size)
    return _epoch(n, epoch)[place * size : (place + 1) * size]


@lru_cache(maxsize=2)
def _epoch(n: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=Generator().manual_seed(epoch))


def _once(tensor: Tensor) -> Tensor:
    """What is in memory of a tensor that is the same for all networks."""
    return tensor[:1] if tensor.stride(0) == 0 else tensor
