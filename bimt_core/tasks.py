"""The paper's tasks: data, loss, score and the published set-up of each."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bimt_core.hyperparameters import Knobs, Schedule
from bimt_core.networks import MLP

Loss = Literal["mse", "cross_entropy"]


@dataclass(frozen=True, eq=False)
class Task:
    """Data, prediction loss and score, with the set-up the paper used.

    Args:
        name: Name in the registry.
        description: One line.
        inputs: Training inputs, shape (rows, inputs), or tokens, int64, shape (rows, folds).
        targets: Training targets, shape (rows, outputs), or class numbers, int64, shape (rows,).
        test_inputs: Test inputs.
        test_targets: Test targets.
        network: The published architecture.
        knobs: The published hyperparameters; their weight factor and layer distance are also the fixed constants the
            reported connection cost is computed with.
        schedule: The published schedule, with greedy relocation.
        model_seed: The published seed of the initial weights.
        input_names: What each input is called in diagrams.
        output_names: What each output is called.
    """

    name: str
    description: str
    inputs: Tensor
    targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    network: MLP
    knobs: Knobs
    schedule: Schedule
    model_seed: int
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]

    @property
    def loss_name(self) -> Loss:
        """ "cross_entropy" for classes, "mse" (mean squared error) for values."""
        return "cross_entropy" if self.targets.dtype == torch.int64 else "mse"

    @property
    def score_name(self) -> str:
        return "accuracy" if self.loss_name == "cross_entropy" else "R^2"

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameters: that of the data, and float64 where an embedding is trained, as in the paper."""
        return torch.float64 if self.network.vocabulary else self.inputs.dtype

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Prediction loss of each network.

        Args:
            outputs: Shape (networks, rows, outputs).
            targets: Shape (networks, rows, outputs) or (networks, rows), or the same without the networks.

        Returns:
            Mean over rows (and outputs), shape (networks,).
        """
        if self.loss_name == "mse":
            return (outputs - targets).square().mean((1, 2))
        every = targets.expand(outputs.shape[:2])
        return cross_entropy(outputs.mT, every, reduction="none").mean(1)

    def score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Accuracy, or the mean over outputs of R^2 = 1 - residual / total sum of squares; shape (networks,).

        Args:
            outputs: In the task's order, shape (networks, rows, outputs).
            targets: In the task's order, shape (rows, outputs) or (rows,).
        """
        if self.loss_name == "cross_entropy":
            return (outputs.argmax(2) == targets).to(outputs.dtype).mean(1)
        residual = (outputs - targets).square().sum(1)
        total = (targets - targets.mean(0)).square().sum(0)
        return (1 - residual / total).mean(1)

    def to(self, device: torch.device | str) -> "Task":
        """The same task with its data on a device."""
        data = {name: getattr(self, name).to(device) for name in ("inputs", "targets", "test_inputs", "test_targets")}
        return Task(**{**self.__dict__, **data})


def task(name: str, data_seed: int | None = None) -> Task:
    """The task of a name.

    Args:
        name: One of `TASKS`.
        data_seed: Seed of the data; None for the published one.

    Raises:
        ValueError: If there is no such task.
    """
    if name not in TASKS:
        raise ValueError(f"task must be one of {', '.join(sorted(TASKS))}, got {name!r}")
    return TASKS[name]() if data_seed is None else TASKS[name](data_seed)


_RISE_AND_FALL = ((0.0, 1.0), (0.25, 10.0), (0.75, 1.0))


def _symbolic(
    name: str,
    description: str,
    function: Callable[[Tensor], Tensor],
    hidden: tuple[int, ...],
    output_names: tuple[str, ...],
    n_inputs: int,
    data_seed: int,
    model_seed: int,
    phases: tuple[tuple[float, float], ...] = _RISE_AND_FALL,
) -> Task:
    """A regression task on x ~ U[-1, 1], 100 training rows and 100 test rows, training drawn first."""
    random = np.random.RandomState(data_seed)
    train, test = (torch.from_numpy(random.rand(100, n_inputs) * 2 - 1) for _ in range(2))
    return Task(
        name,
        description,
        train.float(),
        function(train).float(),
        test.float(),
        function(test).float(),
        MLP((n_inputs, *hidden, len(output_names))),
        Knobs(),
        Schedule(
            steps=20_000, cost_phases=phases, bias_from=0.75, relocation="greedy", relocate_top_k=5, move_moments=False
        ),
        model_seed,
        tuple(f"x{i + 1}" for i in range(n_inputs)),
        output_names,
    )


def independence(data_seed: int = 0) -> Task:
    """Two outputs that share no input: ((x1 + x3)^3, x2^2 + sin(pi x4))."""

    def function(x: Tensor) -> Tensor:
        return torch.stack([(x[:, 0] + x[:, 2]) ** 3, x[:, 1] ** 2 + torch.sin(torch.pi * x[:, 3])], dim=1)

    names = ("(x1 + x3)^3", "x2^2 + sin(pi x4)")
    return _symbolic("independence", "two outputs that share no input", function, (20, 20), names, 4, data_seed, 0)


def feature_sharing(data_seed: int = 4) -> Task:
    """Three outputs built from shared squares: (x1^2, x1^2 + x2^2, x1^2 + x2^2 + x3^2)."""

    def function(x: Tensor) -> Tensor:
        return x.square().cumsum(1)

    names = ("x1^2", "x1^2 + x2^2", "x1^2 + x2^2 + x3^2")
    description = "three outputs built from shared squares"
    return _symbolic("feature_sharing", description, function, (20, 20), names, 3, data_seed, 4)


def compositionality(data_seed: int = 3) -> Task:
    """A function of functions: sqrt((x1 - x2)^2 + (x3 - x4)^2)."""

    def function(x: Tensor) -> Tensor:
        return torch.sqrt((x[:, 0] - x[:, 1]) ** 2 + (x[:, 2] - x[:, 3]) ** 2).unsqueeze(1)

    phases = ((0.0, 1.0), (0.25, 3.0))
    names = ("sqrt((x1-x2)^2 + (x3-x4)^2)",)
    hidden = (20, 20, 20, 20)
    return _symbolic("compositionality", "a function of functions", function, hidden, names, 4, data_seed, 3, phases)


def two_moons(data_seed: int = 1) -> Task:
    """Two interleaved half circles with noise 0.1, 200 training and 200 test points."""
    from sklearn.datasets import make_moons

    random = np.random.RandomState(data_seed)
    (x, y), (x_test, y_test) = (make_moons(200, noise=0.1, random_state=random) for _ in range(2))
    return Task(
        "two_moons",
        "two interleaved half circles, told apart",
        torch.from_numpy(x).float(),
        torch.from_numpy(y).long(),
        torch.from_numpy(x_test).float(),
        torch.from_numpy(y_test).long(),
        MLP((2, 20, 20, 2)),
        Knobs(layer_distance=0.2),
        Schedule(
            steps=10_001,
            cost_phases=((0.0, 1.0), (0.5, 10.0)),
            relocation="greedy",
            relocate_top_k=10,
            move_moments=False,
        ),
        2,
        ("x1", "x2"),
        ("upper moon", "lower moon"),
    )


def _algorithmic(
    name: str,
    description: str,
    labels: Tensor,
    knobs: Knobs,
    schedule: Schedule,
    seed: int,
    split_seed: int,
    output_names: tuple[str, ...],
) -> Task:
    """A task on all pairs of tokens (a, b), a changing fastest; 80 % of the pairs are for training.

    `labels` holds the class of each pair, shape (tokens, tokens), indexed [b, a].
    """
    tokens = len(labels)
    b, a = torch.meshgrid(torch.arange(tokens), torch.arange(tokens), indexing="ij")
    pairs = torch.stack([a.flatten(), b.flatten()], dim=1)
    n = len(pairs)
    train = torch.from_numpy(np.random.RandomState(split_seed).choice(n, int(0.8 * n), replace=False))
    test = torch.ones(n, dtype=torch.bool).index_fill(0, train, value=False).nonzero().squeeze(1)
    every = labels.flatten()
    return Task(
        name,
        description,
        pairs[train],
        every[train],
        pairs[test],
        every[test],
        MLP((32, 50, 50, len(output_names)), reduction="mean", folds=2, vocabulary=tokens),
        knobs,
        schedule,
        seed,
        tuple(f"e{i}" for i in range(32)),
        output_names,
    )


def modular_addition(data_seed: int = 4) -> Task:
    """(a + b) mod 59 from two tokens with a trainable embedding."""
    number = torch.arange(59)
    return _algorithmic(
        "modular_addition",
        "(a + b) mod 59 of two embedded tokens",
        (number.unsqueeze(1) + number) % 59,
        Knobs(cost_weight=0.1, weight_factor=2.0, layer_distance=0.5, learning_rate=1e-3),
        Schedule(
            steps=20_000,
            cost_phases=_RISE_AND_FALL,
            relocation="greedy",
            relocate_top_k=30,
            move_moments=False,
        ),
        4,
        data_seed,
        tuple(map(str, range(59))),
    )


def permutation_s4(data_seed: int = 1) -> Task:
    """The product of two permutations of four things, (a b)(i) = a(b(i)), from two tokens."""
    elements = np.array(list(itertools.permutations(range(4))))
    number = {tuple(p): i for i, p in enumerate(elements.tolist())}
    products = [[number[tuple(a[b].tolist())] for a in elements] for b in elements]
    return _algorithmic(
        "permutation_s4",
        "the product of two permutations of four things",
        torch.tensor(products),
        Knobs(cost_weight=1.0, weight_factor=1.0, layer_distance=0.5, learning_rate=2e-3),
        Schedule(steps=20_000, relocation="greedy", relocate_top_k=30, move_moments=False),
        1,
        data_seed,
        tuple("".join(map(str, p)) for p in elements),
    )


TASKS: dict[str, Callable[..., Task]] = {
    factory.__name__: cache(factory)
    for factory in (independence, feature_sharing, compositionality, two_moons, modular_addition, permutation_s4)
}
