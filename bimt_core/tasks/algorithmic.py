"""Algebra on tokens with a trainable embedding: modular addition, and permutations of four elements."""

import itertools
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from bimt_core.hyperparameters import PerNetworkHyperparameters
from bimt_core.networks import MLP
from bimt_core.tasks.definition import GREEDY, RISE_AND_FALL, Task
from bimt_core.tasks.held_out import Rows, split_held_out

EMBEDDING = tuple(f"e{i}" for i in range(32))  # names of the inputs


def _split_pairs(labels: Tensor, seed: int, published: bool) -> tuple[Rows, Rows, Rows]:
    """All pairs of tokens (a, b) with the classes `labels[b, a]`: 80 % for training, the others held out."""
    token = torch.arange(len(labels))
    pairs, classes = torch.cartesian_prod(token, token).flip(1), labels.flatten()
    n = len(pairs)
    train = torch.from_numpy(np.random.RandomState(seed).choice(n, int(0.8 * n), replace=False))
    rest = torch.ones(n, dtype=torch.bool).index_fill(0, train, value=False)
    validation, test = split_held_out((pairs[rest], classes[rest]), classes[rest], seed, published)
    return (pairs[train], classes[train]), validation, test


def _network(tokens: int) -> MLP:
    return MLP((len(EMBEDDING), 50, 50, tokens), reduction="mean", folds=2, vocabulary=tokens)


def modular_addition(data_seed: int = 4, *, published: bool = False) -> Task:
    """Builds the task of (a + b) mod 59 from two tokens with a trainable embedding.

    Of the 3481 pairs of tokens, 2784 (80 %) are for training. The others are split by their sum: 349 for validation and
    348 for testing, with equal numbers of each sum or one more for validation or testing.

    Args:
        data_seed: Seed of the split.
        published: If True, the 697 pairs that are not for training are all for testing, as in the paper, and the same
            pairs are the validation rows.
    """
    number = torch.arange(59)
    train, validation, test = _split_pairs((number.unsqueeze(1) + number) % 59, data_seed, published)
    return Task(
        "modular_addition",
        "(a + b) mod 59 of two embedded tokens",
        *train,
        *validation,
        *test,
        _network(59),
        PerNetworkHyperparameters(cost_weight=0.1, weight_factor=2.0, layer_distance=0.5, learning_rate=1e-3),
        replace(GREEDY, steps=20_000, cost_phases=RISE_AND_FALL, relocate_top_k=30),
        4,
        EMBEDDING,
        tuple(map(str, range(59))),
    )


def permutation_s4(data_seed: int = 1, *, published: bool = False) -> Task:
    """Builds the task of multiplying two permutations of four elements, (a b)(i) = a(b(i)), from two tokens.

    The name of an output lists the images of 0, 1, 2 and 3 and the parity: "0132 odd" exchanges 2 and 3.

    Of the 576 pairs, 460 (80 %) are for training. The others are split by their product: 58 for validation and 58 for
    testing, with equal numbers of each product or one more for validation or testing.

    Args:
        data_seed: Seed of the split.
        published: If True, the 116 pairs that are not for training are all for testing, as in the paper, and the same
            pairs are the validation rows.
    """
    elements = np.array(list(itertools.permutations(range(4))))
    number = {tuple(p): i for i, p in enumerate(elements.tolist())}
    products = [[number[tuple(a[b].tolist())] for a in elements] for b in elements]
    train, validation, test = _split_pairs(torch.tensor(products), data_seed, published)
    return Task(
        "permutation_s4",
        "the product of two permutations of four elements",
        *train,
        *validation,
        *test,
        _network(len(elements)),
        PerNetworkHyperparameters(cost_weight=1.0, weight_factor=1.0, layer_distance=0.5, learning_rate=2e-3),
        replace(GREEDY, steps=20_000, relocate_top_k=30),
        1,
        EMBEDDING,
        tuple(f"{''.join(map(str, p))} {_parity(p)}" for p in elements.tolist()),
    )


def _parity(permutation: list[int]) -> str:
    inversions = sum(one > other for one, other in itertools.combinations(permutation, 2))
    return "odd" if inversions % 2 else "even"
