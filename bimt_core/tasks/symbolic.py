"""The paper's three formulas, and the two moons."""

from collections.abc import Callable
from dataclasses import replace

import torch
from numpy.random import RandomState
from torch import Tensor

from bimt_core.hyperparameters import PerNetworkHyperparameters
from bimt_core.networks import MLP
from bimt_core.tasks.definition import GREEDY, RISE_AND_FALL, Task
from bimt_core.tasks.held_out import Rows, draw_held_out


def formula_task(
    name: str,
    description: str,
    train: Rows,
    validation: Rows,
    test: Rows,
    hidden: tuple[int, ...],
    output_names: tuple[str, ...],
    *,
    steps: int = 20_000,
    phases: tuple[tuple[float, float], ...] = RISE_AND_FALL,
    model_seed: int = 0,
) -> Task:
    """Builds a regression task with the published set-up of formulas.

    Args:
        name: Name in the registry.
        description: One line.
        train: Training inputs, shape (rows, inputs), and targets, shape (rows, outputs).
        validation: Validation inputs and targets.
        test: Test inputs and targets.
        hidden: Widths of the hidden layers.
        output_names: Name of each output.
        steps: Optimiser steps.
        phases: Phases of lambda.
        model_seed: Seed of the initial parameters.
    """
    n_inputs = train[0].shape[1]
    return Task(
        name,
        description,
        *train,
        *validation,
        *test,
        MLP((n_inputs, *hidden, len(output_names))),
        PerNetworkHyperparameters(),
        replace(GREEDY, steps=steps, cost_phases=phases, bias_from=0.75),
        model_seed,
        tuple(f"x{i + 1}" for i in range(n_inputs)),
        output_names,
    )


def _draw_rows(
    function: Callable[[Tensor], Tensor], n_inputs: int, data_seed: int, published: bool
) -> tuple[Rows, Rows, Rows]:
    """Training, validation and test rows of a function of x ~ U[-1, 1], 100 of them for training."""

    def draw(random: RandomState, n: int) -> Rows:
        x = torch.from_numpy(random.rand(n, n_inputs) * 2 - 1)
        return x.float(), function(x).float()

    random = RandomState(data_seed)
    train, former = (draw(random, 100) for _ in range(2))
    return train, *draw_held_out(draw, data_seed, former if published else None)


def independence(data_seed: int = 0, *, published: bool = False) -> Task:
    """Builds the task of two outputs that share no input: ((x1 + x3)^3, x2^2 + sin(pi x4)).

    There are 100 rows for training, 2,000 for validation and 2,000 for testing, all with x ~ U[-1, 1].

    Args:
        data_seed: Seed of the data.
        published: If True, test rows are those of the paper, 100 that are drawn after the training rows.
    """

    def function(x: Tensor) -> Tensor:
        return torch.stack([(x[:, 0] + x[:, 2]) ** 3, x[:, 1] ** 2 + torch.sin(torch.pi * x[:, 3])], dim=1)

    names = ("(x1 + x3)^3", "x2^2 + sin(pi x4)")
    rows = _draw_rows(function, 4, data_seed, published)
    return formula_task("independence", "two outputs that share no input", *rows, (20, 20), names)


def feature_sharing(data_seed: int = 4, *, published: bool = False) -> Task:
    """Builds the task of three outputs from shared squares: (x1^2, x1^2 + x2^2, x1^2 + x2^2 + x3^2).

    There are 100 rows for training, 2,000 for validation and 2,000 for testing, all with x ~ U[-1, 1].

    Args:
        data_seed: Seed of the data.
        published: If True, test rows are those of the paper, 100 that are drawn after the training rows.
    """
    names = ("x1^2", "x1^2 + x2^2", "x1^2 + x2^2 + x3^2")
    rows = _draw_rows(lambda x: x.square().cumsum(1), 3, data_seed, published)
    description = "three outputs built from shared squares"
    return formula_task("feature_sharing", description, *rows, (20, 20), names, model_seed=4)


def compositionality(data_seed: int = 3, *, published: bool = False) -> Task:
    """Builds the task of a composed function: sqrt((x1 - x2)^2 + (x3 - x4)^2).

    There are 100 rows for training, 2,000 for validation and 2,000 for testing, all with x ~ U[-1, 1].

    Args:
        data_seed: Seed of the data.
        published: If True, test rows are those of the paper, 100 that are drawn after the training rows.
    """

    def function(x: Tensor) -> Tensor:
        return torch.sqrt((x[:, 0] - x[:, 1]) ** 2 + (x[:, 2] - x[:, 3]) ** 2).unsqueeze(1)

    rows = _draw_rows(function, 4, data_seed, published)
    phases, names = ((0.0, 1.0), (0.25, 3.0)), ("sqrt((x1-x2)^2 + (x3-x4)^2)",)
    return formula_task(
        "compositionality", "a composed function", *rows, (20, 20, 20, 20), names, phases=phases, model_seed=3
    )


def two_moons(data_seed: int = 1, *, published: bool = False) -> Task:
    """Builds the task of classifying points of two interleaved half circles.

    Points are evenly spread over the half circles, with noise: 200 for training, 2,000 for validation and 2,000 for
    testing, half of them in each class. The standard error of an accuracy of 0.9 is 0.02 on 200 points, 0.007 on 2,000.

    Args:
        data_seed: Seed of the data.
        published: If True, test rows are those of the paper, 200 that are drawn after the training rows.
    """
    from sklearn.datasets import make_moons

    def draw(random: RandomState, n: int) -> Rows:
        x, y = make_moons(n, noise=0.1, random_state=random)
        return torch.from_numpy(x).float(), torch.from_numpy(y).long()

    random = RandomState(data_seed)
    train, former = (draw(random, 200) for _ in range(2))
    validation, test = draw_held_out(draw, data_seed, former if published else None)
    return Task(
        "two_moons",
        "two interleaved half circles",
        *train,
        *validation,
        *test,
        MLP((2, 20, 20, 2)),
        PerNetworkHyperparameters(layer_distance=0.2),
        replace(GREEDY, steps=10_001, cost_phases=((0.0, 1.0), (0.5, 10.0)), relocate_top_k=10),
        2,
        ("x1", "x2"),
        ("upper moon", "lower moon"),
    )
