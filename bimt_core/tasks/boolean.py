"""Boolean functions composed of smaller ones: a majority of majorities, and the parities of pairs of bits."""

import numpy as np
import torch
from torch import Tensor

from bimt_core.tasks.definition import Task
from bimt_core.tasks.symbolic import formula_task


def _all_bits(n: int) -> Tensor:
    """All rows of n bits, the last bit changing fastest; shape (2^n, n).

    Bits are -1 and +1, not 0 and 1: inputs and outputs then have mean 0, which needs no biases (they cost too), and
    exchanging -1 and +1 changes the sign of a weight and not its size.
    """
    return torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * n)


def majority_of_majorities(data_seed: int = 0) -> Task:
    """Builds the task of y = M(M(x1, x2, x3), M(x4, x5, x6), M(x7, x8, x9)), a majority of majorities of bits.

    It is a task of pykan (github KindXiaoming/pykan, tutorial "Interpretability 10A: swap"), where bits are 0 and 1.
    Here bits are -1 and +1, M is the sign of their sum, and network, loss and hyperparameters are those of the paper's
    formulas, with half the steps. Of the 512 rows, 80 % (409) are for training and the others for testing, so the score
    measures generalisation. The loss is the mean squared error to -1 or +1, and the score R^2.

    Args:
        data_seed: Seed of the split into training and test rows.
    """
    bits = _all_bits(9)
    values = bits.unflatten(1, (3, 3)).sum(2).sign().sum(1, keepdim=True).sign()
    order = torch.from_numpy(np.random.RandomState(data_seed).permutation(len(bits)))
    train, test = order.tensor_split([int(0.8 * len(bits))])
    return formula_task(
        "majority_of_majorities",
        "the majority of the majorities of three times three bits",
        (bits[train], values[train]),
        (bits[test], values[test]),
        (20, 20),
        ("majority",),
        steps=10_000,
    )


def parity(data_seed: int = 0) -> Task:
    """Builds the task of the parities of five pairs of bits: (x1 xor x2, x3 xor x4, ..., x9 xor x10).

    The five parts share nothing, so the communities of an ideal network are known. Bits are -1 or +1 (true), so
    x xor y = -x y. Network, loss and hyperparameters are those of the paper's formulas, with one hidden layer, which
    suffices for a product of two signs, and a quarter of the steps. All 1024 rows are for training and for testing, so
    the test loss is the training loss. The score is R^2.

    Args:
        data_seed: Unused: no data are drawn.
    """
    bits = _all_bits(10)
    rows = bits, -bits.unflatten(1, (5, 2)).prod(2)
    names = tuple(f"x{i} xor x{i + 1}" for i in range(1, 10, 2))
    return formula_task("parity", "five pairs of bits, and the parity of each", rows, rows, (20,), names, steps=5_000)
