"""Worlds: objectives and constraints drawn from their models, and the hypervolume that points have in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.study.sampling.gaussian_process import Floats, Function

Shares = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Worlds:
    """Functions that the objectives and constraints might be; in each world everything is known without noise.

    The hypervolume of a front is the mean over directions from the reference point of how far the front reaches, to the
    power of the number of objectives (Deng, Zhang, Inf. Sci. 2019). Each world has its own directions.

    Args:
        costs: Drawn functions of each objective, smaller is better.
        violations: Drawn functions of each constraint.
        limits: Largest allowed value of each constraint.
        reference: Reference point of the hypervolume.
        widths: Unit of each objective.
        directions: Shape (worlds, directions, objectives), positive and of length 1.
    """

    costs: Sequence[Function]
    violations: Sequence[Function]
    limits: Sequence[float]
    reference: Floats
    widths: Floats
    directions: Floats

    def reach(self, points: Floats) -> Shares:
        """Computes what each point alone adds to the hypervolume; points that break a constraint add nothing.

        Args:
            points: Features of the points, shape (points, features).

        Returns:
            Shape (points, worlds, directions). A front reaches as far as the best of its points.
        """
        allowed = self.is_feasible(points)
        reached = np.full((*allowed.shape, self.directions.shape[1]), np.inf, dtype=np.float32)
        ends = zip(self.costs, self.reference, self.widths, np.moveaxis(self.directions, 2, 0), strict=True)
        for function, end, width, direction in ends:
            gained = np.where(allowed, np.maximum((end - function(points)) / width, 0), 0).astype(np.float32)
            np.minimum(reached, gained[..., None] / direction.astype(np.float32), out=reached)
        return reached ** len(self.costs)

    def is_feasible(self, points: Floats) -> NDArray[np.bool_]:
        """Finds the worlds in which points keep all constraints, shape (points, worlds).

        Args:
            points: Features of the points, shape (points, features).
        """
        feasible = np.full((len(points), len(self.directions)), True)
        for function, limit in zip(self.violations, self.limits, strict=True):
            feasible &= function(points) <= limit
        return feasible


def draw_directions(worlds: int, directions: int, objectives: int, random: np.random.Generator) -> Floats:
    """Draws directions evenly from the positive part of the sphere, shape (worlds, directions, objectives).

    Args:
        worlds: Number of worlds.
        directions: Number of directions per world.
        objectives: Number of objectives; with one there is one direction.
        random: Source of randomness.
    """
    drawn = np.abs(random.standard_normal((worlds, directions if objectives > 1 else 1, objectives)))
    lengths: Floats = np.linalg.norm(drawn, axis=2, keepdims=True)
    return drawn / lengths
