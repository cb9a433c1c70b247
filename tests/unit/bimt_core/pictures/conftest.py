"""What tests of pictures share: networks with few weights, and what a figure says."""

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
    """Makes initial networks of a task with a random part of their parameters left."""

    def make(of: Task, n: int = 1, kept: float = 0.3) -> Population:
        population = initialise(of.network, list(range(n)), dtype=of.dtype)
        keep = torch.rand(population.flat.shape, generator=torch.Generator().manual_seed(7)) < kept
        return replace(population, flat=population.flat * keep)

    return make


@pytest.fixture
def said() -> Callable[[Figure], list[str]]:
    """Reads all that is written in a figure, titles and names of axes too."""

    def read(figure: Figure) -> list[str]:
        return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]

    return read
