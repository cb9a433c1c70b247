"""Problems with known optima: functions of the literature on optimisation, with noise."""

from collections.abc import Callable

import numpy as np
from _search_problems import Floats, Goal, Metrics, Problem
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

UNIT = FloatDistribution(0.0, 1.0)
HARTMANN_A = np.array([
    [10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]
])  # fmt: skip
HARTMANN_P = 1e-4 * np.array([
    [1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991],
    [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381],
])  # fmt: skip
HARTMANN_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])


def make_function(
    name: str, space: dict[str, BaseDistribution], function: Callable[[Floats], Floats], noise: float
) -> Problem:
    """A problem that minimises a function of the unit cube, with normal noise of each replicate."""

    def truth(points: Floats) -> Metrics:
        return {str(i): column for i, column in enumerate(function(points).T)}

    def sample(points: Floats, replicates: int, random: np.random.Generator) -> Metrics:
        shape = len(points), replicates
        return {m: v[:, None] + noise * random.standard_normal(shape) for m, v in truth(points).items()}

    goals = tuple(Goal(metric) for metric in truth(np.full((1, len(space)), 0.5)))
    return Problem(name, space, goals, truth, sample)


def branin_currin(x: Floats) -> Floats:
    a, b = 15 * x[:, 0] - 5, 15 * x[:, 1]
    branin = (b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10
    x0, x1 = x[:, 0], np.maximum(x[:, 1], 1e-6)
    ratio = (2300 * x0**3 + 1900 * x0**2 + 2092 * x0 + 60) / (100 * x0**3 + 500 * x0**2 + 4 * x0 + 20)
    return np.stack([branin / 50, (1 - np.exp(-0.5 / x1)) * ratio / 5], 1)


def zdt1(x: Floats) -> Floats:
    g = 1 + 9 * x[:, 1:].mean(1)
    return np.stack([x[:, 0], g * (1 - np.sqrt(x[:, 0] / g))], 1)


def dtlz2(x: Floats) -> Floats:
    """Three objectives; the front is an eighth of a sphere."""
    g = 1 + np.square(x[:, 2:] - 0.5).sum(1)
    a, b = x[:, 0] * np.pi / 2, x[:, 1] * np.pi / 2
    return np.stack([g * np.cos(a) * np.cos(b), g * np.cos(a) * np.sin(b), g * np.sin(a)], 1)


def hartmann(x: Floats) -> Floats:
    distance = (HARTMANN_A * np.square(x[:, None] - HARTMANN_P)).sum(2)
    return -(HARTMANN_WEIGHTS * np.exp(-distance)).sum(1, keepdims=True)


MIXED: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-4, 1e-1, log=True),
    "width": IntDistribution(4, 256, log=True),
    "depth": IntDistribution(1, 6),
    "momentum": FloatDistribution(0.0, 0.9, step=0.1),
    "activation": CategoricalDistribution(("relu", "tanh", "silu")),
    "shuffle": CategoricalDistribution((False, True)),
}


def mixed(x: Floats) -> Floats:
    """A made-up loss against the size of a network, with whole numbers, steps and choices."""
    rate, width, depth, momentum, activation, shuffle = x.T
    kind = np.minimum(np.floor(activation * 3), 2)
    best_rate = 0.6 - 0.2 * momentum - 0.1 * depth
    loss = 2.5 * np.square(rate - best_rate) + 0.6 * np.exp(-2.5 * (width + 0.6 * depth))
    loss += np.choose(kind.astype(int), [0.1 * depth, 0.15, 0.02]) + np.where(shuffle < 0.5, 0.08, 0.0)
    return np.stack([loss, width + 0.4 * depth], 1)


def make_functions() -> list[Problem]:
    """All of them, each with the noise of a replicate."""
    units = {i: {f"x{j}": UNIT for j in range(i)} for i in (2, 4, 5, 6)}
    return [
        make_function("branin_currin", dict(units[2]), branin_currin, 0.1),
        make_function("zdt1", dict(units[4]), zdt1, 0.1),
        make_function("dtlz2", dict(units[5]), dtlz2, 0.1),
        make_function("hartmann6", dict(units[6]), hartmann, 0.2),
        make_function("mixed", MIXED, mixed, 0.1),
    ]
