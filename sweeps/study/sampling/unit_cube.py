"""UnitCube: the map between hyperparameters and numbers from 0 to 1."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import qmc

Floats = NDArray[np.float64]
DIGITS = 9  # of coordinates that are compared
SPARE = 256  # points that are drawn beyond those asked for, in place of duplicates


class UnitCube:
    """The unit cube, whose points stand for the configurations of a search space.

    There is one coordinate per hyperparameter. Continuous values are spread evenly, on a logarithmic scale where the
    distribution has one. Whole numbers, steps and choices divide their coordinate into cells.

    Args:
        space: Distribution of each hyperparameter.

    Examples:
        >>> cube = UnitCube({"x": FloatDistribution(0.0, 4.0), "n": IntDistribution(1, 4)})
        >>> cube.configuration([0.5, 0.3])
        {'x': 2.0, 'n': 2}
        >>> cube.point({"x": 2.0, "n": 2}).tolist()
        [0.5, 0.375]
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self.space = dict(space)

    def __len__(self) -> int:
        return len(self.space)

    def configuration(self, point: Sequence[float] | Floats) -> dict[str, Any]:
        """Returns the hyperparameters that a point stands for.

        Args:
            point: Coordinates between 0 and 1.
        """
        return {name: _decode(d, float(u)) for (name, d), u in zip(self.space.items(), point, strict=True)}

    def point(self, params: Mapping[str, Any]) -> Floats:
        """Returns the point of a configuration, in the middle of its cells.

        Args:
            params: Value of each hyperparameter.
        """
        return np.array([_encode(d, params[name]) for name, d in self.space.items()], dtype=np.float64)

    def points(self, configurations: Iterable[Mapping[str, Any]]) -> Floats:
        """Returns the point of each configuration, shape (configurations, hyperparameters).

        Args:
            configurations: Hyperparameters.
        """
        return np.array([self.point(params) for params in configurations]).reshape(-1, len(self))

    def snap(self, points: Floats) -> Floats:
        """Moves points to the middle of their cells.

        Args:
            points: Shape (points, hyperparameters).
        """
        columns = []
        for d, column in zip(self.space.values(), points.T, strict=True):
            if _is_continuous(d):
                columns.append(column)
            elif (cells := _count_cells(d)) is not None:
                columns.append((np.minimum(np.floor(column * cells), cells - 1) + 0.5) / cells)
            else:
                columns.append(np.array([_encode(d, _decode(d, u)) for u in column]))
        return np.stack(columns, axis=1)

    def features(self, points: Floats) -> Floats:
        """Returns coordinates whose distances mean something: choices have one each, so that all differ equally.

        Args:
            points: Shape (points, hyperparameters).

        Returns:
            Shape (points, features). Two choices are at a distance of 1.
        """
        columns = []
        for d, column in zip(self.space.values(), points.T, strict=True):
            if isinstance(d, CategoricalDistribution):
                codes = np.minimum(np.floor(column * len(d.choices)), len(d.choices) - 1)
                columns += [math.sqrt(0.5) * (codes == code) for code in range(len(d.choices))]
            else:
                columns.append(column)
        return np.stack(columns, axis=1)

    def fill(self, seed: int, first: int, n: int, taken: Floats) -> list[dict[str, Any]]:
        """Draws configurations that fill the space evenly, from a scrambled Sobol sequence.

        Args:
            seed: Seed of the scrambling.
            first: Number of points of the sequence to skip.
            n: Number of configurations.
            taken: Points of configurations that are not drawn again, unless the space is exhausted.
        """
        return self.pick(draw_sobol(len(self), first + n + SPARE, seed)[first:], n, taken)

    def pick(self, points: Floats, n: int, taken: Floats) -> list[dict[str, Any]]:
        """Picks the configurations of the first points that are new, and repeats some only if those are too few.

        Args:
            points: At least `n` points, shape (points, hyperparameters).
            n: Number of configurations.
            taken: Points of configurations that are not new.
        """
        points = self.snap(points)
        new = find_new(points, taken)
        return [self.configuration(point) for point in np.concatenate([points[new], points])[:n]]


def draw_sobol(dimensions: int, n: int, seed: int) -> Floats:
    """Draws the first points of a scrambled Sobol sequence, shape (n, dimensions).

    Args:
        dimensions: Dimensions of the unit cube.
        n: Number of points.
        seed: Seed of the scrambling.
    """
    points: Floats = qmc.Sobol(dimensions, scramble=True, rng=seed).random_base2(math.ceil(math.log2(n)))
    return points[:n]


def find_new(points: Floats, taken: Floats) -> NDArray[np.int64]:
    """Returns the indices of the points that are neither taken nor equal to an earlier one, in order.

    Args:
        points: Shape (points, hyperparameters), in the middle of their cells.
        taken: Further points.
    """
    known = {row.tobytes() for row in taken.round(DIGITS)}
    new = []
    for index, row in enumerate(points.round(DIGITS)):
        if (key := row.tobytes()) not in known:
            known.add(key)
            new.append(index)
    return np.array(new, dtype=np.int64)


def _is_continuous(d: BaseDistribution) -> bool:
    return isinstance(d, FloatDistribution) and d.step is None


def _count_cells(d: BaseDistribution) -> int | None:
    """Number of equal cells of a coordinate; None if it is continuous, or its cells have different sizes."""
    if isinstance(d, CategoricalDistribution):
        return len(d.choices)
    assert isinstance(d, FloatDistribution | IntDistribution)
    return None if d.log or d.step is None else round((d.high - d.low) / d.step) + 1


def _log_ends(d: FloatDistribution | IntDistribution) -> tuple[float, float]:
    half = 0.5 if isinstance(d, IntDistribution) else 0.0  # whole numbers have cells
    return math.log(d.low - half), math.log(d.high + half)


def _decode(d: BaseDistribution, u: float) -> Any:
    cells = _count_cells(d)
    if cells is not None:
        cell = min(int(u * cells), cells - 1)
        if isinstance(d, CategoricalDistribution):
            return d.choices[cell]
        assert isinstance(d, FloatDistribution | IntDistribution) and d.step is not None
        value = d.low + cell * d.step
        return float(f"{value:.12g}") if isinstance(d, FloatDistribution) else value  # 0.3, not 0.30000000000000004
    assert isinstance(d, FloatDistribution | IntDistribution)
    if d.log:
        low, high = _log_ends(d)
        value = math.exp(low + u * (high - low))
    else:
        value = d.low + u * (d.high - d.low)
    return min(max(round(value) if isinstance(d, IntDistribution) else value, d.low), d.high)


def _encode(d: BaseDistribution, value: Any) -> float:
    cells = _count_cells(d)
    if cells is not None:
        if isinstance(d, CategoricalDistribution):
            return (float(d.to_internal_repr(value)) + 0.5) / cells
        assert isinstance(d, FloatDistribution | IntDistribution) and d.step is not None
        return float((round((value - d.low) / d.step) + 0.5) / cells)
    assert isinstance(d, FloatDistribution | IntDistribution)
    if d.high == d.low:
        return 0.5
    if d.log:
        low, high = _log_ends(d)
        return (math.log(value) - low) / (high - low)
    return float((value - d.low) / (d.high - d.low))
