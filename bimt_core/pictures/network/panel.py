"""A panel: one network on a canvas, with any projection."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgba_array
from scipy.spatial import cKDTree
from torch import Tensor

from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import MARGIN, WIDTH, Floats, Surface
from bimt_core.pictures.network.labels import LEGEND_TEXT, PAD, Labels, find_spots
from bimt_core.pictures.network.layout import Layout, Row
from bimt_core.pictures.network.projection import Projection, find_bounds
from bimt_core.pictures.palette import (
    CARRIED,
    INACTIVE,
    INK,
    MUTED,
    OTHER,
    PLATE,
    Colours,
    community_colour,
    sign_colours,
)
from bimt_core.pictures.subject import EMPTY, find_communities, find_fault, make_drawable, tensors_of
from bimt_core.pictures.text import LINE, fit_text, width_ems
from bimt_core.population import Population
from bimt_core.wiring import is_active

LEAST_ROW_NAMES, MOST_ROW_NAMES = 52.0, 88.0  # space for them, in points
WIDEST_LINE, FAINTEST = 3.4, 0.04  # points; width of the thinnest visible line, as a fraction of the widest
OPAQUE, CLEAR = 0.9, 0.15  # opacity of lines; that of the weakest among plates or many lines, as a fraction of it
MANY = 500  # lines between two rows among which only the strong ones can be told apart
LARGEST_NEURON, SMALLEST_NEURON = 9.0, 0.5
MOST_LINES = 4000  # per tensor: the strongest
MESSAGE = 9.02  # font size

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Panel:
    """The drawing of one network.

    Args:
        canvas: Canvas or sketch to draw on.
        layout: The rows of neurons.
        projection: The positions of rows on the canvas.
        colours: Colours of weights.
    """

    canvas: Surface
    layout: Layout
    projection: Projection
    colours: Colours = "safe"

    @cached_property
    def bounds(self) -> Floats:
        """Lower left and upper right corner of all rows, in points, shape (2, 2)."""
        return find_bounds(self.projection, self.layout)

    @property
    def width(self) -> float:
        """Width of all rows, in points."""
        return float(self.bounds[1, 0] - self.bounds[0, 0])

    @property
    def scale(self) -> float:
        """Size of lines and neurons relative to a diagram of full width."""
        return math.sqrt(self.width / WIDTH)

    def draw_network(
        self, one: Population, inputs: Labels, outputs: Labels, name: str, communities: Communities | None = None
    ) -> Communities:
        """Draws a network with its labels, or a message if it cannot be drawn, and returns its communities.

        Args:
            one: A population of one network.
            inputs: Labels of the inputs.
            outputs: Labels of the outputs.
            name: Prefix of the names of all artists.
            communities: Colour the neurons; found when left out.
        """
        drawable = make_drawable(one)
        communities = find_communities(drawable, communities)
        if not self.draw(drawable, communities, name):
            (x, y), box = self.bounds.mean(0).tolist(), {"facecolor": "white", "edgecolor": INACTIVE}
            self.canvas.write(x, y, *fit_text(find_fault(one) or EMPTY, MESSAGE, self.width), MUTED, bbox=box)
        self.write_labels(one.input_labels[0], inputs, self.layout.inputs)
        self.write_labels(one.output_labels[0], outputs, self.layout.outputs)
        return communities

    def draw(self, one: Population, communities: Communities, name: str) -> bool:
        """Draws neurons and active weights, and returns whether there is an active weight.

        Args:
            one: A population of one network, all parameters finite.
            communities: Colour the neurons.
            name: Prefix of the names of all artists.
        """
        rows, tensors, lines = self.layout.rows, tensors_of(one), dict[str, tuple[Floats, Floats]]()
        centres = list(map(self.projection.centres, rows))
        used = [np.zeros(len(points), dtype=bool) for points in centres]
        for tensor, targets in self.layout.targets.items():
            to, of, values = _active_entries(tensors[tensor])
            below = _find_ends(self.layout.sources[tensor], of, centres, used)
            above = _find_ends(targets, to, centres, used)
            lines[tensor] = np.stack([below, above], axis=1), values
        self._mark_copies(used)
        plates = [self.projection.corners(row) for row in rows if row.is_plate]
        if plates:
            self.canvas.draw_polygons(np.stack(plates), PLATE, INACTIVE, f"{name}.plates")
        self._draw_carried(centres, used, f"{name}.carried")
        for tensor, (ends, values) in lines.items():
            self._draw_lines(ends, values, f"{name}.{tensor}")
        for neurons, own in self.layout.sets.items():
            colours = dict.fromkeys(range(len(centres[own[0]])), OTHER)
            for i, members in enumerate(communities.members):
                colours |= {place: community_colour(i) for of, place in members if of == neurons}
            shown = [colours[place] if on else INACTIVE for i in own for place, on in enumerate(used[i])]
            diameters = np.where(np.concatenate([used[i] for i in own]), 1.0, 0.45) * self._neuron_size(centres[own[0]])
            self.canvas.draw_circles(np.concatenate([centres[i] for i in own]), diameters, shown, f"{name}.{neurons}")
        return any(some.any() for some in used)

    def write_labels(self, order: Tensor, labels: Labels, row: Row) -> None:
        """Writes labels below the lowest row, above another row, or around the neurons of a plate.

        Args:
            order: Index of the label at each place, int64, shape (n,).
            labels: All labels.
            row: The row.
        """
        texts = [labels.texts[label] for label in order.tolist()] if labels.size else []
        centres = self.projection.centres(row)
        if row.is_plate:
            halo = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.4}
            for text, (x, y), (right, up) in zip(texts, *find_spots(centres), strict=False):
                ha, va = ("center", "left", "right")[int(right)], ("center", "bottom", "top")[int(up)]
                self.canvas.write(x, y, text, labels.size, ha=ha, va=va, bbox=halo)
            return
        is_lowest = row is self.layout.rows[0]
        style: dict[str, Any] = {"rotation": 90 if labels.upright else 0, "va": "top" if is_lowest else "bottom"}
        for text, (x, y) in zip(texts, centres.tolist(), strict=False):
            self.canvas.write(x, y + (-PAD if is_lowest else PAD), text, labels.size, **style)

    def write_title(self, title: str, top: float, size: float) -> None:
        """Writes a centred title.

        Args:
            title: One or more lines, the first larger.
            top: Upper edge, in points.
            size: Font size of the first line.
        """
        for line, text in enumerate(title.splitlines()):
            fitting = fit_text(text, size if line == 0 else 0.85 * size, self.width)
            y = top - (line + 0.5) * LINE * size
            self.canvas.write(self.bounds[:, 0].mean(), y, *fitting, INK if line == 0 else MUTED)

    def write_row_names(self) -> None:
        """Writes the name of each row left of it."""
        for row in self.layout.rows:
            text, size = fit_text(row.name, LEGEND_TEXT, row_name_width(self.layout))
            self.canvas.write(MARGIN, self.projection.corners(row)[:, 1].mean(), text, size, MUTED, ha="left")

    def _mark_copies(self, used: list[Bools]) -> None:
        """Marks a neuron that is drawn several times as used in all drawings or none."""
        for rows in self.layout.sets.values():
            if any(self.layout.rows[i].copy.number for i in rows):
                anywhere = np.any([used[i] for i in rows], axis=0)
                for i in rows:
                    used[i] = anywhere

    def _draw_carried(self, centres: list[Floats], used: list[Bools], name: str) -> None:
        pairs = [np.stack([centres[low], centres[high]], axis=1)[used[low]] for low, high in self.layout.carried]
        ends = np.concatenate([np.empty((0, 2, 2)), *pairs])
        if len(ends):
            self.canvas.draw_lines(ends, np.full(len(ends), 0.9 * self.scale), to_rgba_array([CARRIED]), name)

    def _draw_lines(self, ends: Floats, values: Floats, name: str) -> None:
        if not len(values):
            return
        strength = np.abs(values) / np.abs(values).max()
        order = strength.argsort(kind="stable")[-MOST_LINES:]  # the strongest on top
        strength = strength[order]
        widest = WIDEST_LINE * self.scale * min(1.0, math.sqrt(60 / len(order)))
        colours = to_rgba_array(sign_colours(self.colours))[(values[order] < 0).astype(int)]
        colours[:, 3] = OPAQUE
        if self.layout.depths or len(order) > MANY:
            colours[:, 3] *= (CLEAR + (1 - CLEAR) * strength) * min(1.0, math.sqrt(1000 / len(order)))
        self.canvas.draw_lines(ends[order], widest * np.maximum(strength, FAINTEST), colours, name)

    def _neuron_size(self, centres: Floats) -> float:
        """Returns the diameter at which a row's neurons do not touch each other."""
        apart = float(np.median(cKDTree(centres).query(centres, 2)[0][:, 1]))
        return min(LARGEST_NEURON * self.scale, max(0.8 * apart, SMALLEST_NEURON))


def row_name_width(layout: Layout) -> float:
    """Returns the space for the names of rows, in points.

    Args:
        layout: The rows.
    """
    widest = LEGEND_TEXT * max(width_ems(row.name) for row in layout.rows)
    return min(MOST_ROW_NAMES, max(LEAST_ROW_NAMES, widest))


def _active_entries(weight: Tensor) -> tuple[Ints, Ints, Floats]:
    """Returns row, column and value of each active entry."""
    active = is_active(weight)
    rows, columns = active.nonzero(as_tuple=True)
    return rows.numpy(), columns.numpy(), weight[active].double().numpy()


def _find_ends(rows: list[int], index: Ints, centres: list[Floats], used: list[Bools]) -> Floats:
    """Finds neurons by their index in a tensor, which counts fold after fold, and marks them as used."""
    fold, place = np.divmod(index, len(centres[rows[0]]))
    for i, row in enumerate(rows):
        used[row][place[fold == i]] = True
    ends: Floats = np.stack([centres[row] for row in rows])[fold, place]
    return ends
