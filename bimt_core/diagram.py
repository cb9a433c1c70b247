"""Pictures of networks: the paper's connectivity diagram and contact sheets of many.

Everything is drawn straight onto a canvas, without axes and without pyplot, so a diagram takes milliseconds.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from torch import Tensor

from bimt_core.canvas import INK, MARGIN, MUTED, WIDTH, Canvas, Floats
from bimt_core.labels import LEGEND_TEXT, LINE, Labels, readable, shortened
from bimt_core.legend import COMMUNITY, INACTIVE, LEGEND_STEP, NEGATIVE, OTHER, POSITIVE, draw_legend
from bimt_core.modularity import ACTIVE, Communities, Node, louvain, weight_graph
from bimt_core.population import Population
from bimt_core.tasks import Task
from bimt_core.wiring import Wiring

# Lengths, in points.
ROW_NAMES = 52.0
LAYER_GAP, PAD = 84.0, 8.0  # between layers of a single diagram; from a neuron to its label
FOLD_GAP, FOLD_SHIFT = 0.36, 0.34  # between folds, up (of a layer gap) and sideways (of the room a neuron has)
LARGE_TITLE, SMALL_TITLE = 11.0, 8.0  # font sizes
LABEL = 0.82  # labels as a part of the title's size
WIDEST_LINE, FAINTEST = 3.4, 0.04  # no line is thinner than this part of the widest, so that it can be seen
LARGEST_NEURON = 9.0

MOST_COLUMNS = 6

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def connectivity(
    population: Population,
    task: Task,
    network: int = 0,
    *,
    communities: Communities | None = None,
    title: str | None = None,
) -> Figure:
    """The paper's connectivity diagram of one network.

    Neurons stand in rows by their positions, inputs at the bottom (one row a token where there are several). Every
    active weight is a line: blue positive, red negative, its width |w| / the largest |w| of its layer (but always
    enough to be seen). Neurons of one community share a colour; those without an active weight are small and grey.

    Args:
        population: Networks trained on the task.
        task: Names the inputs and outputs.
        network: Which network of the population.
        communities: Colours the neurons; found from |w| / layer maximum when left out.
        title: A line or more; the first is larger.

    Returns:
        The figure. A network without active weights, or with weights that are not finite, is drawn without lines and
        says so.
    """
    return _compose(population.select([network]), task, [title or ""], [communities])


def contact_sheet(population: Population, task: Task, titles: Sequence[str]) -> Figure:
    """Small connectivity diagrams of all networks, row by row.

    Output names that would not fit are abbreviated to y1, y2, ... and explained below; other labels that would not fit
    are left out.

    Args:
        population: Networks trained on the task, 1 to about 32.
        task: Names the inputs and outputs.
        titles: One or two short lines a network.

    Raises:
        ValueError: If there is not one title a network.
    """
    if len(titles) != len(population):
        raise ValueError(f"titles must be one a network: {len(population)} networks, got {len(titles)}")
    return _compose(population, task, titles, [None] * len(population))


def _compose(
    population: Population, task: Task, titles: Sequence[str], communities: Sequence[Communities | None]
) -> Figure:
    """Panels, one a network, in a grid, over a legend."""
    wiring, n = population.network.wiring, len(population)
    columns = min(math.ceil(math.sqrt(n)), MOST_COLUMNS)
    rows, single = math.ceil(n / columns), columns == 1
    left = MARGIN + (ROW_NAMES if single else 0)
    width = (WIDTH - left) / columns - MARGIN
    heights = _row_heights(wiring, LAYER_GAP if single else max(16.0, 0.2 * width))
    title_size = LARGE_TITLE if single else SMALL_TITLE
    input_names, output_names = (list(map(readable, names)) for names in (task.input_names, task.output_names))
    inputs = Labels.fitting(input_names, width / len(wiring.inputs), LABEL * title_size)
    outputs, key = Labels.abbreviated(output_names, width / len(wiring.outputs), LABEL * title_size)

    title_height = LINE * title_size * max(len(title.splitlines()) for title in titles)
    below, above = inputs.height + 2.5 * PAD, outputs.height + 1.5 * PAD + title_height
    panel_height = below + heights[-1] + above
    footer = MARGIN + LEGEND_STEP * (1 + len(key))
    canvas = Canvas.of(WIDTH, footer + rows * panel_height + MARGIN / 2)
    n_communities = 0
    for i in range(n):
        row, column = divmod(i, columns)
        top = footer + (rows - row) * panel_height
        panel = _Panel(canvas, left + column * (width + MARGIN), top - above - heights[-1], width, heights)
        n_communities = len(panel.draw(population.select([i]).to("cpu"), communities[i], f"network{i}"))
        panel.label(population.input_labels[i], inputs, -PAD)
        panel.label(population.output_labels[i], outputs, heights[-1] + PAD)
        panel.title(titles[i], top, title_size)
        if single:
            panel.name_rows(wiring)
    draw_legend(canvas, key, n_communities if n == 1 else None)
    return canvas.figure


def _folds(wiring: Wiring) -> dict[str, int]:
    """How many rows each set of neurons has."""
    folds = {neurons.name: 1 for neurons in wiring.neurons}
    for wire in wiring.weights:
        for end in wire.ends:
            folds[end.neurons] = max(folds[end.neurons], end.folds)
    return folds


def _row_heights(wiring: Wiring, gap: float) -> list[float]:
    """Height of each row of neurons above the lowest: set after set, each with its folds."""
    heights: list[float] = []
    for folds in _folds(wiring).values():
        start = heights[-1] + gap if heights else 0.0
        heights += [start + fold * FOLD_GAP * gap for fold in range(folds)]
    return heights


@dataclass(frozen=True)
class _Panel:
    """The place of one network on a canvas: its lowest row starts at (left, bottom)."""

    canvas: Canvas
    left: float
    bottom: float
    width: float
    heights: list[float]

    @property
    def scale(self) -> float:
        """How much thinner lines and smaller neurons are than in a diagram of full width."""
        return math.sqrt(self.width / WIDTH)

    def draw(self, one: Population, communities: Communities | None, name: str) -> Communities:
        """Draws a population of one network; returns its communities."""
        finite = bool(one.flat.isfinite().all())
        flat = one.flat[0].detach() if finite else torch.zeros_like(one.flat[0])
        tensors, places = one.network.wiring.tensors(flat), self._places(one.network.wiring)
        used = {neurons: np.zeros(there.shape[:-1], dtype=bool) for neurons, there in places.items()}
        for wire in one.network.wiring.weights:
            target, source = (end.neurons for end in wire.ends)
            rows, columns, values = _active(tensors[wire.tensor])
            used[target].flat[rows] = used[source].flat[columns] = True
            ends = [places[source].reshape(-1, 2)[columns], places[target].reshape(-1, 2)[rows]]
            self._draw_lines(np.stack(ends, axis=1), values, f"{name}.{wire.tensor}")
        if communities is None:
            communities = _communities(one.network.wiring, tensors)
        for neurons, there in places.items():
            self._draw_neurons(neurons, there, used[neurons], communities, f"{name}.{neurons}")
        if not any(there.any() for there in used.values()):
            self._say("no active weight" if finite else "weights not finite")
        return communities

    def label(self, which: Tensor, labels: Labels, height: float) -> None:
        """Writes what sits at each place of a row, at a height above (or, negative, below) the lowest row."""
        if not labels.size:
            return
        spacing = self.width / len(which)
        how: dict[str, Any] = {"rotation": 90 if labels.upright else 0, "va": "bottom" if height > 0 else "top"}
        for place, label in enumerate(which.tolist()):
            x = self.left + (place + 0.5) * spacing
            self.canvas.text(x, self.bottom + height, labels.texts[label], labels.size, **how)

    def title(self, title: str, top: float, size: float) -> None:
        for line, text in enumerate(title.splitlines()):
            fitting = shortened(text, size if line == 0 else 0.85 * size, self.width)
            y = top - (line + 0.5) * LINE * size
            self.canvas.text(self.left + self.width / 2, y, *fitting, INK if line == 0 else MUTED)

    def name_rows(self, wiring: Wiring) -> None:
        folds = _folds(wiring)
        n_tokens = folds.pop(wiring.inputs.name)
        tokens = [f"token {fold + 1}" for fold in range(n_tokens)] if n_tokens > 1 else ["inputs"]
        hidden = [re.sub(r"(?=\d+$)", " ", name) for name, n in list(folds.items())[:-1] for _ in range(n)]
        for name, height in zip([*tokens, *hidden, "outputs"], self.heights, strict=True):
            self.canvas.text(MARGIN, self.bottom + height, name, LEGEND_TEXT, MUTED, ha="left")

    def _places(self, wiring: Wiring) -> dict[str, Floats]:
        """Centres of each set of neurons, shape (folds, n, 2); folds stand a little aside, so none hides another."""
        places, heights = {}, iter(self.heights)
        for neurons, folds in zip(wiring.neurons, _folds(wiring).values(), strict=True):
            centres = np.empty((folds, len(neurons), 2))
            for fold in range(folds):
                shift = FOLD_SHIFT * (fold - (folds - 1) / 2) / len(neurons)
                centres[fold, :, 0] = self.left + self.width * (neurons.positions[:, 0].numpy() + shift)
                centres[fold, :, 1] = self.bottom + next(heights)
            places[neurons.name] = centres
        return places

    def _draw_lines(self, ends: Floats, values: Floats, name: str) -> None:
        if not len(values):
            return
        strength = np.abs(values) / np.abs(values).max()
        widest = WIDEST_LINE * self.scale * min(1.0, math.sqrt(60 / len(values)))
        colours = to_rgba_array([NEGATIVE, POSITIVE], alpha=0.9)[(values > 0).astype(int)]
        order = strength.argsort(kind="stable")  # the strongest on top
        self.canvas.lines(ends[order], widest * np.maximum(strength[order], FAINTEST), colours[order], name)

    def _draw_neurons(self, neurons: str, centres: Floats, used: Bools, communities: Communities, name: str) -> None:
        colour: dict[Node, str] = {}
        for i, members in enumerate(communities.members):
            colour |= dict.fromkeys(members, COMMUNITY[i] if i < len(COMMUNITY) else OTHER)
        n = centres.shape[1]
        colours = [colour.get((neurons, i % n), OTHER) if there else INACTIVE for i, there in enumerate(used.flat)]
        diameters = np.where(used.ravel(), 1.0, 0.45) * min(LARGEST_NEURON * self.scale, 0.8 * self.width / n)
        self.canvas.circles(centres.reshape(-1, 2), diameters, colours, name)

    def _say(self, message: str) -> None:
        x, y = self.left + self.width / 2, self.bottom + self.heights[-1] / 2
        text, size = shortened(message, LARGE_TITLE * LABEL, self.width)
        self.canvas.text(x, y, text, size, MUTED, bbox={"facecolor": "white", "edgecolor": INACTIVE})


def _active(weight: Tensor) -> tuple[Ints, Ints, Floats]:
    """Row, column and value of each active entry."""
    active = weight.abs() > ACTIVE
    rows, columns = active.nonzero(as_tuple=True)
    return rows.numpy(), columns.numpy(), weight[active].double().numpy()


def _communities(wiring: Wiring, tensors: Mapping[str, Tensor]) -> Communities:
    return louvain(weight_graph(wiring, tensors))
