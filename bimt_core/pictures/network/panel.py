"""A panel: one network drawn at a place of a canvas."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgba_array
from scipy.spatial import cKDTree
from torch import Tensor

from bimt_core.modularity import ACTIVE, Communities, Node
from bimt_core.pictures.canvas import INK, MARGIN, MUTED, WIDTH, Floats, Surface
from bimt_core.pictures.network.labels import LEGEND_TEXT, LINE, PAD, Labels, beside, shortened, width_ems
from bimt_core.pictures.network.layout import CORNERS, Layout, Row
from bimt_core.pictures.network.legend import CARRIED, COMMUNITY, INACTIVE, OTHER, PLATE, Colours, signs

LEAST_ROW_NAMES, MOST_ROW_NAMES = 52.0, 88.0  # room for them, in points
WIDEST_LINE, FAINTEST = 3.4, 0.04  # no line is thinner than this part of the widest, so that it can be seen
OPAQUE, CLEAR = 0.9, 0.15  # opacity of lines; that of the weakest, between plates or of many, as a part of it
MANY = 500  # lines between two rows, from which on only the strong ones can be told apart
LARGEST_NEURON, SMALLEST_NEURON = 9.0, 0.5
MOST_LINES = 4000  # of a tensor: the strongest
MESSAGE = 9.02  # font size

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Panel:
    """The place of one network on a canvas; lengths are in points.

    Args:
        canvas: What is drawn on.
        layout: The rows of neurons.
        left: Where rows begin.
        bottom: Where the lowest row is.
        width: Of the rows.
        gap: From one level to the next.
        depth: How high plates are.
        colours: Of weights.
    """

    canvas: Surface
    layout: Layout
    left: float
    bottom: float
    width: float
    gap: float
    depth: float
    colours: Colours = "safe"

    @property
    def scale(self) -> float:
        """How much thinner lines and smaller neurons are than in a diagram of full width."""
        return math.sqrt(self.width / WIDTH)

    @property
    def height(self) -> float:
        """Of the highest neurons above the lowest row."""
        return self.layout.gaps * self.gap + self.layout.depths * self.depth

    def base(self, row: Row) -> float:
        """Height of a row, or of the near edge of a plate."""
        return self.bottom + row.gaps * self.gap + row.depths * self.depth

    def centres(self, row: Row) -> Floats:
        """Where a row's neurons are, shape (n, 2)."""
        across = self.left + self.width * (row.places[:, 0] + row.shift)
        return np.stack([across, self.base(row) + self.depth * row.places[:, 1]], axis=1)

    def draw(self, tensors: Mapping[str, Tensor], communities: Communities, name: str) -> bool:
        """Draws neurons and what connects them; returns whether anything does.

        Args:
            tensors: Of one network, all finite.
            communities: Colour the neurons.
            name: Comes before the names of all artists.
        """
        rows, lines = self.layout.rows, dict[str, tuple[Floats, Floats]]()
        centres, used = [self.centres(row) for row in rows], [np.zeros(len(row.places), dtype=bool) for row in rows]
        for tensor, targets in self.layout.targets.items():
            to, of, values = active_entries(tensors[tensor])
            below, above = _find(self.layout.sources[tensor], of, centres, used), _find(targets, to, centres, used)
            lines[tensor] = np.stack([below, above], axis=1), values
        _join(self.layout, used)
        self._draw_plates(f"{name}.plates")
        self._draw_carried(centres, used, f"{name}.carried")
        for tensor, (ends, values) in lines.items():
            self._draw_lines(ends, values, f"{name}.{tensor}")
        for neurons, which in self.layout.sets.items():
            there, active = (np.concatenate([values[i] for i in which]) for values in (centres, used))
            self._draw_neurons(neurons, there, active, self._largest(rows[which[0]]), communities, f"{name}.{neurons}")
        return any(there.any() for there in used)

    def label(self, which: Tensor, labels: Labels, row: Row) -> None:
        """Writes what sits at each place: below the lowest row, above another one, around the neurons of a plate.

        Args:
            which: Label at each place, int64, shape (n,).
            labels: All labels.
            row: The row.
        """
        texts = [labels.texts[label] for label in which.tolist()] if labels.size else []
        if row.is_plate:
            halo = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.4}
            for text, spot in zip(texts, beside(self.centres(row)), strict=False):
                self.canvas.text(spot.x, spot.y, text, labels.size, ha=spot.ha, va=spot.va, bbox=halo)
            return
        is_lowest = row is self.layout.rows[0]
        how: dict[str, Any] = {"rotation": 90 if labels.upright else 0, "va": "top" if is_lowest else "bottom"}
        y = self.base(row) + (-PAD if is_lowest else PAD)
        for text, across in zip(texts, row.places[:, 0].tolist(), strict=False):
            self.canvas.text(self.left + self.width * across, y, text, labels.size, **how)

    def title(self, title: str, top: float, size: float) -> None:
        """Writes lines of text, the first larger, below a height."""
        for line, text in enumerate(title.splitlines()):
            fitting = shortened(text, size if line == 0 else 0.85 * size, self.width)
            y = top - (line + 0.5) * LINE * size
            self.canvas.text(self.left + self.width / 2, y, *fitting, INK if line == 0 else MUTED)

    def name_rows(self) -> None:
        """Writes what each row is called left of it."""
        for row in self.layout.rows:
            text, size = shortened(row.name, LEGEND_TEXT, room_for_names(self.layout))
            self.canvas.text(MARGIN, self.base(row) + row.is_plate * self.depth / 2, text, size, MUTED, ha="left")

    def say(self, message: str) -> None:
        """Writes a message into the middle."""
        text, size = shortened(message, MESSAGE, self.width)
        box = {"facecolor": "white", "edgecolor": INACTIVE}
        self.canvas.text(self.left + self.width / 2, self.bottom + self.height / 2, text, size, MUTED, bbox=box)

    def _draw_plates(self, name: str) -> None:
        corners = [
            CORNERS * (self.width, self.depth) + (self.left, self.base(row)) for row in self.layout.rows if row.is_plate
        ]
        if corners:
            self.canvas.areas(np.stack(corners), PLATE, INACTIVE, name)

    def _draw_carried(self, centres: list[Floats], used: list[Bools], name: str) -> None:
        pairs = [np.stack([centres[low], centres[high]], axis=1)[used[low]] for low, high in self.layout.carried]
        ends = np.concatenate(pairs) if pairs else np.empty((0, 2, 2))
        if len(ends):
            self.canvas.lines(ends, np.full(len(ends), 0.9 * self.scale), to_rgba_array([CARRIED]), name)

    def _draw_lines(self, ends: Floats, values: Floats, name: str) -> None:
        if not len(values):
            return
        strength = np.abs(values) / np.abs(values).max()
        order = strength.argsort(kind="stable")[-MOST_LINES:]  # the strongest on top
        strength = strength[order]
        widest = WIDEST_LINE * self.scale * min(1.0, math.sqrt(60 / len(order)))
        colours = to_rgba_array(signs(self.colours))[(values[order] < 0).astype(int)]
        colours[:, 3] = OPAQUE
        if self.layout.depths or len(order) > MANY:
            colours[:, 3] *= (CLEAR + (1 - CLEAR) * strength) * min(1.0, math.sqrt(1000 / len(order)))
        self.canvas.lines(ends[order], widest * np.maximum(strength, FAINTEST), colours, name)

    def _draw_neurons(
        self, neurons: str, centres: Floats, used: Bools, largest: float, communities: Communities, name: str
    ) -> None:
        colour: dict[Node, str] = {}
        for i, members in enumerate(communities.members):
            colour |= dict.fromkeys(members, COMMUNITY[i] if i < len(COMMUNITY) else OTHER)
        n = len(self.layout.rows[self.layout.sets[neurons][0]].places)
        colours = [colour.get((neurons, i % n), OTHER) if there else INACTIVE for i, there in enumerate(used)]
        self.canvas.circles(centres, np.where(used, 1.0, 0.45) * largest, colours, name)

    def _largest(self, row: Row) -> float:
        """Diameter of a row's neurons, so that they do not touch each other."""
        points = row.places * (self.width, self.depth)
        apart = float(np.median(cKDTree(points).query(points, 2)[0][:, 1]))
        return min(LARGEST_NEURON * self.scale, max(0.8 * apart, SMALLEST_NEURON))


def room_for_names(layout: Layout) -> float:
    """Width of what `Panel.name_rows` writes, in points."""
    widest = LEGEND_TEXT * max(width_ems(row.name) for row in layout.rows)
    return min(MOST_ROW_NAMES, max(LEAST_ROW_NAMES, widest))


def active_entries(weight: Tensor) -> tuple[Ints, Ints, Floats]:
    """Row, column and value of each active entry."""
    active = weight.abs() > ACTIVE
    rows, columns = active.nonzero(as_tuple=True)
    return rows.numpy(), columns.numpy(), weight[active].double().numpy()


def _find(rows: list[int], index: Ints, centres: list[Floats], used: list[Bools]) -> Floats:
    """Centres of neurons by their index in a tensor, which counts fold after fold; marks them as used."""
    fold, place = np.divmod(index, len(centres[rows[0]]))
    for i, row in enumerate(rows):
        used[row][place[fold == i]] = True
    found: Floats = np.stack([centres[row] for row in rows])[fold, place]
    return found


def _join(layout: Layout, used: list[Bools]) -> None:
    """A neuron that is drawn again is used wherever it is drawn."""
    for rows in layout.sets.values():
        if any(layout.rows[i].copy.number for i in rows):
            anywhere = np.any([used[i] for i in rows], axis=0)
            for i in rows:
                used[i] = anywhere
