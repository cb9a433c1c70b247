"""Fixtures for tests of figures."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from bimt_core.population import Population, initialise
from bimt_core.tasks import Task


@pytest.fixture
def sparse() -> Callable[..., Population]:
    """Function that initialises networks of a task and sets a random part of their parameters to 0."""

    def make(task: Task, n: int = 1, kept: float = 0.3) -> Population:
        population = initialise(task.network, list(range(n)), dtype=task.dtype)
        keep = torch.rand(population.flat.shape, generator=torch.Generator().manual_seed(7)) < kept
        return replace(population, flat=population.flat * keep)

    return make


@pytest.fixture
def read_texts() -> Callable[[Figure], list[str]]:
    """Function that returns all visible texts of a figure, titles and names of axes included."""

    def read(figure: Figure) -> list[str]:
        return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]

    return read
