"""The paper's three formulas, and the two moons."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bimt_core.hyperparameters import PerNetworkHyperparameters, SharedHyperparameters
from bimt_core.networks import MLP
from bimt_core.tasks.definition import RISE_AND_FALL, Task


def _symbolic(
    name: str,
    description: str,
    function: Callable[[Tensor], Tensor],
    hidden: tuple[int, ...],
    output_names: tuple[str, ...],
    n_inputs: int,
    data_seed: int,
    model_seed: int,
    phases: tuple[tuple[float, float], ...] = RISE_AND_FALL,
) -> Task:
    """Regression task on x ~ U[-1, 1], 100 training rows and 100 test rows, training drawn first."""
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
        PerNetworkHyperparameters(),
        SharedHyperparameters(
            steps=20_000, cost_phases=phases, bias_from=0.75, relocation="greedy", relocate_top_k=5, move_moments=False
        ),
        model_seed,
        tuple(f"x{i + 1}" for i in range(n_inputs)),
        output_names,
    )


def independence(data_seed: int = 0) -> Task:
    """Builds the task of two outputs that share no input: ((x1 + x3)^3, x2^2 + sin(pi x4)).

    Args:
        data_seed: Seed of the data.
    """

    def function(x: Tensor) -> Tensor:
        return torch.stack([(x[:, 0] + x[:, 2]) ** 3, x[:, 1] ** 2 + torch.sin(torch.pi * x[:, 3])], dim=1)

    names = ("(x1 + x3)^3", "x2^2 + sin(pi x4)")
    return _symbolic("independence", "two outputs that share no input", function, (20, 20), names, 4, data_seed, 0)


def feature_sharing(data_seed: int = 4) -> Task:
    """Builds the task of three outputs from shared squares: (x1^2, x1^2 + x2^2, x1^2 + x2^2 + x3^2).

    Args:
        data_seed: Seed of the data.
    """

    def function(x: Tensor) -> Tensor:
        return x.square().cumsum(1)

    names = ("x1^2", "x1^2 + x2^2", "x1^2 + x2^2 + x3^2")
    description = "three outputs built from shared squares"
    return _symbolic("feature_sharing", description, function, (20, 20), names, 3, data_seed, 4)


def compositionality(data_seed: int = 3) -> Task:
    """Builds the task of a composed function: sqrt((x1 - x2)^2 + (x3 - x4)^2).

    Args:
        data_seed: Seed of the data.
    """

    def function(x: Tensor) -> Tensor:
        return torch.sqrt((x[:, 0] - x[:, 1]) ** 2 + (x[:, 2] - x[:, 3]) ** 2).unsqueeze(1)

    phases = ((0.0, 1.0), (0.25, 3.0))
    names = ("sqrt((x1-x2)^2 + (x3-x4)^2)",)
    hidden = (20, 20, 20, 20)
    return _symbolic("compositionality", "a composed function", function, hidden, names, 4, data_seed, 3, phases)


def two_moons(data_seed: int = 1) -> Task:
    """Builds the task of classifying points of two interleaved half circles, 200 for training and 200 for testing.

    Args:
        data_seed: Seed of the data.
    """
    from sklearn.datasets import make_moons

    random = np.random.RandomState(data_seed)
    (x, y), (x_test, y_test) = (make_moons(200, noise=0.1, random_state=random) for _ in range(2))
    return Task(
        "two_moons",
        "two interleaved half circles",
        torch.from_numpy(x).float(),
        torch.from_numpy(y).long(),
        torch.from_numpy(x_test).float(),
        torch.from_numpy(y_test).long(),
        MLP((2, 20, 20, 2)),
        PerNetworkHyperparameters(layer_distance=0.2),
        SharedHyperparameters(
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
