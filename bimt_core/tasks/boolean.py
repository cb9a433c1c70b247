"""Boolean functions composed of smaller ones: a majority of majorities, and the parities of pairs of bits."""

import numpy as np
import torch
from torch import Tensor

from bimt_core.tasks.definition import Task
from bimt_core.tasks.held_out import Rows, shuffle_by_class, split_held_out
from bimt_core.tasks.symbolic import formula_task


def _all_bits(n: int) -> Tensor:
    """All rows of n bits, the last bit changing fastest; shape (2^n, n).

    Bits are -1 and +1, not 0 and 1: inputs and outputs then have mean 0, which needs no biases (they cost too), and
    exchanging -1 and +1 changes the sign of a weight and not its size.
    """
    return torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * n)


def majority_of_majorities(data_seed: int = 0, *, published: bool = False) -> Task:
    """Builds the task of y = M(M(x1, x2, x3), M(x4, x5, x6), M(x7, x8, x9)), a majority of majorities of bits.

    It is a task of pykan (github KindXiaoming/pykan, tutorial "Interpretability 10A: swap"), where bits are 0 and 1.
    Here bits are -1 and +1, M is the sign of their sum, and network, loss and hyperparameters are those of the paper's
    formulas, with half the steps. Of the 512 rows, 409 (80 %) are for training, so the score measures generalisation.
    The others are split by y: 52 for validation and 51 for testing, with equal numbers of each y or one more for
    validation or testing. The loss is the mean squared error to -1 or +1, and the score R^2.

    Args:
        data_seed: Seed of the split.
        published: If True, the 103 rows that are not for training are all for testing, and the same rows are the
            validation rows.
    """
    bits = _all_bits(9)
    values = bits.unflatten(1, (3, 3)).sum(2).sign().sum(1, keepdim=True).sign()
    order = torch.from_numpy(np.random.RandomState(data_seed).permutation(len(bits)))
    train, rest = order.tensor_split([int(0.8 * len(bits))])
    validation, test = split_held_out((bits[rest], values[rest]), values[rest, 0].long(), data_seed, published)
    return formula_task(
        "majority_of_majorities",
        "the majority of the majorities of three times three bits",
        (bits[train], values[train]),
        validation,
        test,
        (20, 20),
        ("majority",),
        steps=10_000,
    )


def parity(data_seed: int = 0, *, published: bool = False) -> Task:
    """Builds the task of the parities of five pairs of bits: (x1 xor x2, x3 xor x4, ..., x9 xor x10).

    The five parts share nothing, so the communities of an ideal network are known. Bits are -1 or +1 (true), so
    x xor y = -x y. Network, loss and hyperparameters are those of the paper's formulas, with one hidden layer, which
    suffices for a product of two signs, and a quarter of the steps. The score is R^2.

    Of the 1024 rows, 819 (80 %) are for training, 103 for validation and 102 for testing. They are split by the 32
    combinations of the five outputs, with 32 rows each: 25 or 26 are for training, 3 or 4 for validation and 3 or 4 for
    testing.

    Args:
        data_seed: Seed of the split.
        published: If True, all 1024 rows are for training, for validation and for testing, so all losses are equal.
    """
    bits = _all_bits(10)
    values = -bits.unflatten(1, (5, 2)).prod(2)
    rows = bits, values
    train, validation, test = (rows, rows, rows) if published else _split_tenths(*rows, data_seed)
    names = tuple(f"x{i} xor x{i + 1}" for i in range(1, 10, 2))
    description = "five pairs of bits, and the parity of each"
    return formula_task("parity", description, train, validation, test, (20,), names, steps=5_000)


def _split_tenths(bits: Tensor, values: Tensor, data_seed: int) -> tuple[Rows, Rows, Rows]:
    """Training rows, and a tenth each of validation and test rows, with equal numbers of each combination of values."""
    combinations = values.unique(dim=0, return_inverse=True)[1]
    order = shuffle_by_class(combinations, data_seed)
    tenth = torch.arange(len(order)) % 10
    train, validation, test = (
        order[mask].sort().values for mask in ((tenth != 0) & (tenth != 5), tenth == 0, tenth == 5)
    )
    return (bits[train], values[train]), (bits[validation], values[validation]), (bits[test], values[test])
