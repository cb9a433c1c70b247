"""Positions of neurons and the distances between them.

A set of neurons lies in the unit interval or the unit square. Positions are in-layer positions: the order of the
layers (depth) enters only as the constant layer distance of the connection cost.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Distance = Literal["manhattan", "euclidean"]


def line(n: int) -> Tensor:
    """Computes evenly spaced positions x_j = (2j + 1) / (2n) on the unit interval, shape (n, 1), float64.

    Args:
        n: Number of neurons, at least 1.

    Raises:
        ValueError: If n is below 1.

    Examples:
        >>> line(2).flatten().tolist()
        [0.25, 0.75]
    """
    if n < 1:
        raise ValueError(f"a line needs at least 1 neuron, got {n}")
    return ((2 * torch.arange(n, dtype=torch.float64) + 1) / (2 * n)).unsqueeze(1)


def grid(rows: int, columns: int) -> Tensor:
    """Computes evenly spaced positions (row, column) on the unit square, as in the paper's image networks.

    They are ordered row by row, shape (rows * columns, 2), float64.

    Args:
        rows: Number of rows.
        columns: Number of columns.
    """
    return torch.cartesian_prod(line(rows).squeeze(1), line(columns).squeeze(1))


def ring(n: int, radius: float = 0.25) -> Tensor:
    """Computes positions (row, column) on a circle around (0.5, 0.5), at the angles 2 pi (2j + 1) / (2n), shape (n, 2).

    Args:
        n: Number of neurons, at least 1.
        radius: Radius of the circle; the paper's MNIST outputs use 0.25.
    """
    angle = 2 * math.pi * line(n).squeeze(1)
    return 0.5 + radius * torch.stack([angle.sin(), angle.cos()], dim=1)


def manhattan(a: Tensor, b: Tensor) -> Tensor:
    """Computes the Manhattan distances between positions, shape (n, m), the paper's in-layer distance.

    Args:
        a: Positions, shape (n, dimensions).
        b: Positions, shape (m, dimensions).
    """
    return (a.unsqueeze(1) - b.unsqueeze(0)).abs().sum(-1)


def euclidean(a: Tensor, b: Tensor) -> Tensor:
    """Computes the Euclidean distances between positions, shape (n, m).

    Args:
        a: Positions, shape (n, dimensions).
        b: Positions, shape (m, dimensions).
    """
    return (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(-1).sqrt()


DISTANCES: dict[Distance, Callable[[Tensor, Tensor], Tensor]] = {"manhattan": manhattan, "euclidean": euclidean}
