"""Projections of rows of neurons onto a canvas: flat rows and plates, or plates in perspective."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bimt_core.pictures.canvas import Floats
from bimt_core.pictures.network.layout import CORNERS, UNIT_SQUARE, Layout, Row

TURN, TILT, DISTANCE = math.radians(24), math.radians(32), 7.0  # of the camera; in sides of a plate
APART = 0.72  # between plates in perspective, in sides of a plate


class Projection(Protocol):
    """Positions of rows on a canvas, in points."""

    def centres(self, row: Row) -> Floats:
        """Returns the centres of a row's neurons, shape (n, 2).

        Args:
            row: The row.
        """

    def corners(self, row: Row) -> Floats:
        """Returns the corners of a row's plate, shape (4, 2). The plate of a row that is none has no depth.

        Args:
            row: The row.
        """


@dataclass(frozen=True)
class Flat(Projection):
    """Rows as lines, plates seen from the front and above without perspective.

    Args:
        left: Left end of the rows.
        bottom: Height of the lowest row.
        width: Width of the rows.
        gap: Distance between levels.
        depth: Height of plates.
    """

    left: float
    bottom: float
    width: float
    gap: float
    depth: float

    def centres(self, row: Row) -> Floats:
        return self._place(row, row.points + np.array([row.shift, 0.0]))

    def corners(self, row: Row) -> Floats:
        return self._place(row, CORNERS * (1.0, row.is_plate))

    def _place(self, row: Row, points: Floats) -> Floats:
        height = self.bottom + row.gaps * self.gap + row.depths * self.depth
        return np.stack([self.left + self.width * points[:, 0], height + self.depth * points[:, 1]], axis=1)


@dataclass(frozen=True)
class Perspective(Projection):
    """Plates above each other, seen by a camera from the front, a little from the side and from above.

    Args:
        scale: Side of a plate, in points.
        left: Horizontal position of the camera's axis.
        bottom: Vertical position of the camera's axis.
        middle: Level of the camera's axis.
    """

    scale: float
    left: float
    bottom: float
    middle: float

    @staticmethod
    def fit(layout: Layout, left: float, bottom: float, width: float) -> "Perspective":
        """Places all plates between the given sides, on the given bottom.

        Args:
            layout: Rows that are all plates.
            left: In points.
            bottom: In points.
            width: In points.
        """
        unit = Perspective(1.0, 0.0, 0.0, (len(layout.rows) - 1) / 2)
        corners = np.concatenate([unit.corners(row) for row in layout.rows])
        scale = width / float(np.ptp(corners[:, 0]))
        x, y = (np.array([left, bottom]) - scale * corners.min(0)).tolist()
        return Perspective(scale, x, y, unit.middle)

    def centres(self, row: Row) -> Floats:
        return self._place(row, row.positions)

    def corners(self, row: Row) -> Floats:
        return self._place(row, UNIT_SQUARE)

    def _place(self, row: Row, positions: Floats) -> Floats:
        i, j = positions.T
        level = np.full(len(positions), APART * (row.depths - self.middle))  # one depth per plate below
        points: Floats = self.scale * _project(np.stack([j - 0.5, 0.5 - i, level], axis=1)) + (self.left, self.bottom)
        return points


def find_bounds(projection: Projection, layout: Layout) -> Floats:
    """Returns the lower left and upper right corner of all rows, in points, shape (2, 2).

    Args:
        projection: The projection.
        layout: The rows.
    """
    corners = np.concatenate([projection.corners(row) for row in layout.rows])
    return np.stack([corners.min(0), corners.max(0)])


def _project(points: Floats) -> Floats:
    """Projects (across, back, up) for a camera that points at the origin."""
    x, y, z = points.T
    across, back = x * math.cos(TURN) - y * math.sin(TURN), x * math.sin(TURN) + y * math.cos(TURN)
    up, away = z * math.cos(TILT) + back * math.sin(TILT), back * math.cos(TILT) - z * math.sin(TILT)
    projected: Floats = np.stack([across, up], axis=1) / (1 + away / DISTANCE)[:, None]
    return projected
