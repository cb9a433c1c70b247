"""Rows that a task holds out of training: validation rows, to choose networks, and test rows, to judge the chosen."""

from collections.abc import Callable

import numpy as np
from numpy.random import RandomState
from torch import Tensor, from_numpy

Rows = tuple[Tensor, Tensor]  # inputs and targets

DRAWN = 2000  # validation rows, and test rows, of a task whose rows are drawn
VALIDATION, TEST = 1, 2  # random streams of a data seed; training rows are drawn from the seed itself


def draw_held_out(
    draw: Callable[[RandomState, int], Rows], data_seed: int, published: Rows | None = None
) -> tuple[Rows, Rows]:
    """Draws validation and test rows, each from a random stream of its own.

    So they depend neither on each other nor on how many training rows there are.

    Args:
        draw: Draws rows, given the source of randomness and their number.
        data_seed: Seed of the data.
        published: Test rows of the paper, returned instead of drawn ones; None to draw.

    Returns:
        Validation rows and test rows, 2000 of each that is drawn.
    """
    validation = draw(RandomState([data_seed, VALIDATION]), DRAWN)
    return validation, published or draw(RandomState([data_seed, TEST]), DRAWN)


def split_held_out(rows: Rows, classes: Tensor, data_seed: int, published: bool = False) -> tuple[Rows, Rows]:
    """Splits rows in two halves with equal numbers of each class, as far as numbers are even.

    Args:
        rows: The rows that are held out.
        classes: Class of each row, int64, shape (rows,).
        data_seed: Seed of the split.
        published: If True, all rows are both validation and test rows.

    Returns:
        Validation rows and test rows, in the order of `rows`; an odd row is a validation row.
    """
    if published:
        return rows, rows
    order = shuffle_by_class(classes, data_seed)
    validation, test = (order[first::2].sort().values for first in (0, 1))
    return (rows[0][validation], rows[1][validation]), (rows[0][test], rows[1][test])


def shuffle_by_class(classes: Tensor, data_seed: int) -> Tensor:
    """Returns row numbers class by class, in random order within each, so that every k-th row is a stratified sample.

    Args:
        classes: Class of each row, int64, shape (rows,).
        data_seed: Seed of the order.
    """
    order = RandomState([data_seed, VALIDATION]).permutation(len(classes))
    return from_numpy(order[np.argsort(classes.numpy()[order], kind="stable")])
