"""Pictures of networks: the paper's connectivity diagram and contact sheets of many.

Everything is drawn straight onto a `Figure`, in points (1/72 inch) from its lower left corner, without axes and without
pyplot: no state is shared, so worker processes and threads may draw, and a diagram takes milliseconds.
"""

import io
import math
import re
import textwrap
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import CircleCollection, LineCollection
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D, Transform
from torch import Tensor

from bimt_core.modularity import ACTIVE, Communities, Node, louvain, weight_graph
from bimt_core.networks import MLP
from bimt_core.population import Population
from bimt_core.tasks import Task

# Theme. Blue and orange-red stay apart for every kind of colour blindness; no community is blue or red.
POSITIVE, NEGATIVE = "#1f6fb4", "#dc4a2a"
INK, MUTED, INACTIVE, OTHER = "#1c2430", "#6b7480", "#d3d8de", "#3f4854"
COMMUNITY = ("#16a085", "#e9a800", "#8e5bb5", "#93c01f", "#e377b4", "#8c6239", "#5ec8e5", "#b8a9d9")
SUBSCRIPTS, SUPERSCRIPTS = (str.maketrans("0123456789", digits) for digits in ("₀₁₂₃₄₅₆₇₈₉", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
NO_BREAK = "\N{NO-BREAK SPACE}"
FONT = "DejaVu Sans"  # comes with matplotlib, so pictures are the same everywhere

# Lengths, in points.
WIDTH, MARGIN, ROW_NAMES = 504.0, 12.0, 52.0
LAYER_GAP, PAD = 84.0, 8.0  # between layers of a single diagram; from a neuron to its label
FOLD_GAP, FOLD_SHIFT = 0.36, 0.34  # between folds, up (of a layer gap) and sideways (of the room a neuron has)
LARGE_TITLE, SMALL_TITLE, LEGEND_TEXT, SMALLEST_TEXT = 11.0, 8.0, 7.5, 6.0  # font sizes
LINE, LABEL = 1.3, 0.82  # line height in font sizes; labels as a part of the title's size
WIDEST_LINE, FAINTEST = 3.4, 0.04  # no line is thinner than this part of the widest, so that it can be seen
LARGEST_NEURON = 9.0

MOST_COLUMNS = 6
MANY_WEIGHTS = 1500  # from here on lines are pixels in an SVG too, and one Louvain run must do

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_svg_salt = threading.Lock()


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


def to_png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as a PNG file; equal figures give equal bytes.

    Args:
        figure: Any figure.
        dpi: Pixels per inch; diagrams are 7 inches wide.
    """
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(file, dpi=dpi, format="png", metadata={"Software": None})
    return file.getvalue()


def to_svg(figure: Figure) -> bytes:
    """The figure as an SVG file, text as outlines; equal figures give equal bytes."""
    file = io.BytesIO()
    with _svg_salt, mpl.rc_context({"svg.hashsalt": "bimt", "svg.fonttype": "path"}):  # process-wide, hence the lock
        FigureCanvasSVG(figure).print_figure(file, dpi=150, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


@dataclass(frozen=True)
class _Canvas:
    """A figure that is drawn on in points."""

    figure: Figure
    points: Transform

    @staticmethod
    def of(width: float, height: float) -> "_Canvas":
        figure = Figure(figsize=(width / 72, height / 72), facecolor="white")
        return _Canvas(figure, Affine2D().scale(1 / 72) + figure.dpi_scale_trans)

    def text(self, x: float, y: float, text: str, size: float, colour: str = INK, **how: Any) -> None:
        how = {"va": "center", "ha": "center"} | how
        self.figure.text(
            x, y, text, fontsize=size, color=colour, family=FONT, transform=self.points, parse_math=False, **how
        )

    def lines(self, ends: Floats, widths: Floats, colours: Floats, name: str) -> None:
        many = len(ends) > MANY_WEIGHTS
        lines = LineCollection(list(ends), linewidths=widths, colors=colours, transform=self.points, rasterized=many)
        lines.set_gid(name)
        self.figure.add_artist(lines)

    def circles(self, centres: Floats, diameters: Floats, colours: Sequence[str], name: str) -> None:
        area = np.pi / 4 * diameters**2
        circles = CircleCollection(area, offsets=centres, offset_transform=self.points, facecolors=colours)
        circles.set(gid=name, edgecolor="white", linewidths=0.06 * diameters, zorder=3)
        self.figure.add_artist(circles)


@lru_cache(maxsize=4096)
def _ems(text: str) -> float:
    """Width of a text in font sizes."""
    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(family=FONT, size=100), False)
    return 0.0104 * float(width)  # rounding to pixels may widen it


@dataclass(frozen=True)
class _Labels:
    """Labels of a row of neurons, by what they name; size 0 where they are left out."""

    texts: list[str]
    size: float
    upright: bool = False

    @staticmethod
    def fitting(texts: list[str], spacing: float, largest: float) -> "_Labels":
        """Side by side if they fit when shrunk, else (short ones) on end, else none."""
        widest = max(map(_ems, texts))
        for upright, size in ((False, 0.94 * spacing / widest), (True, spacing / 1.08)):
            if size >= SMALLEST_TEXT and (not upright or widest < 4):
                return _Labels(texts, min(size, largest), upright)
        return _Labels(texts, 0.0)

    @staticmethod
    def abbreviated(texts: list[str], spacing: float, largest: float) -> tuple["_Labels", list[str]]:
        """The same, but a few texts that do not fit become y1, y2, ...; also the lines that explain those."""
        labels = _Labels.fitting(texts, spacing, largest)
        if labels.size or len(texts) > len(COMMUNITY):
            return labels, []
        short = [_readable(f"y{i + 1}") for i in range(len(texts))]
        key = [f"{y} = {text}".replace(" ", NO_BREAK) for y, text in zip(short, texts, strict=True)]
        lines = textwrap.wrap(f"{3 * NO_BREAK} ".join(key), int(WIDTH / (0.65 * LEGEND_TEXT)))
        return _Labels.fitting(short, spacing, largest), lines

    @property
    def height(self) -> float:
        return self.size * (max(map(_ems, self.texts)) if self.upright else LINE)


def _readable(name: str) -> str:
    """Plain-text formulas in print: "x1^2" as "x₁²"; no mathtext, which is slow."""
    name = re.sub(r"(?<=\b[xy])\d+\b", lambda index: index[0].translate(SUBSCRIPTS), name)
    name = re.sub(r"\^(\d+)", lambda power: power[1].translate(SUPERSCRIPTS), name)
    return re.sub(r"\bpi\b", "π", re.sub(r"\bsqrt\b", "√", name))


def _compose(
    population: Population, task: Task, titles: Sequence[str], communities: Sequence[Communities | None]
) -> Figure:
    """Panels, one a network, in a grid, over a legend."""
    network, n = population.network, len(population)
    columns = min(math.ceil(math.sqrt(n)), MOST_COLUMNS)
    rows, single = math.ceil(n / columns), columns == 1
    left = MARGIN + (ROW_NAMES if single else 0)
    width = (WIDTH - left) / columns - MARGIN
    heights = _row_heights(network, LAYER_GAP if single else max(16.0, 0.2 * width))
    title_size = LARGE_TITLE if single else SMALL_TITLE
    input_names, output_names = (list(map(_readable, names)) for names in (task.input_names, task.output_names))
    inputs = _Labels.fitting(input_names, width / network.shape[0], LABEL * title_size)
    outputs, key = _Labels.abbreviated(output_names, width / network.shape[-1], LABEL * title_size)

    title_height = LINE * title_size * max(len(title.splitlines()) for title in titles)
    below, above = inputs.height + 2.5 * PAD, outputs.height + 1.5 * PAD + title_height
    panel_height = below + heights[-1] + above
    footer = MARGIN + 1.6 * LEGEND_TEXT * (1 + len(key))
    canvas = _Canvas.of(WIDTH, footer + rows * panel_height + MARGIN / 2)
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
            panel.name_rows(network)
    _legend(canvas, key, n_communities if n == 1 else None)
    return canvas.figure


def _row_heights(network: MLP, gap: float) -> list[float]:
    """Height of each row of neurons above the lowest: the folds of the input, then the layers."""
    folds = [fold * FOLD_GAP * gap for fold in range(network.folds)]
    return folds + [folds[-1] + layer * gap for layer in range(1, len(network.shape))]


@dataclass(frozen=True)
class _Panel:
    """The place of one network on a canvas: its lowest row starts at (left, bottom)."""

    canvas: _Canvas
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
        tensors, places = one.network.wiring.tensors(flat), self._places(one.network)
        used = {neurons: np.zeros(there.shape[:-1], dtype=bool) for neurons, there in places.items()}
        for wire in one.network.wiring.weights:
            target, source = (end.neurons for end in wire.ends)
            rows, columns, values = _active(tensors[wire.tensor])
            used[target].flat[rows] = used[source].flat[columns] = True
            ends = [places[source].reshape(-1, 2)[columns], places[target].reshape(-1, 2)[rows]]
            self._draw_lines(np.stack(ends, axis=1), values, f"{name}.{wire.tensor}")
        if communities is None:
            communities = _communities(one.network, tensors)
        for neurons, there in places.items():
            self._draw_neurons(neurons, there, used[neurons], communities, f"{name}.{neurons}")
        if not any(there.any() for there in used.values()):
            self._say("no active weight" if finite else "weights not finite")
        return communities

    def label(self, which: Tensor, labels: _Labels, height: float) -> None:
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
            fitting = _shortened(text, size if line == 0 else 0.85 * size, self.width)
            y = top - (line + 0.5) * LINE * size
            self.canvas.text(self.left + self.width / 2, y, *fitting, INK if line == 0 else MUTED)

    def name_rows(self, network: MLP) -> None:
        tokens = [f"token {fold + 1}" for fold in range(network.folds)] if network.folds > 1 else ["inputs"]
        hidden = [f"hidden {layer}" for layer in range(1, len(network.shape) - 1)]
        for name, height in zip([*tokens, *hidden, "outputs"], self.heights, strict=True):
            self.canvas.text(MARGIN, self.bottom + height, name, LEGEND_TEXT, MUTED, ha="left")

    def _places(self, network: MLP) -> dict[str, Floats]:
        """Centres of each set of neurons, shape (folds, n, 2); folds stand a little aside, so none hides another."""
        places, heights = {}, iter(self.heights)
        for layer, neurons in enumerate(network.wiring.neurons):
            folds = network.folds if layer == 0 else 1
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
        text, size = _shortened(message, LARGE_TITLE * LABEL, self.width)
        self.canvas.text(x, y, text, size, MUTED, bbox={"facecolor": "white", "edgecolor": INACTIVE})


def _active(weight: Tensor) -> tuple[Ints, Ints, Floats]:
    """Row, column and value of each active entry."""
    active = weight.abs() > ACTIVE
    rows, columns = active.nonzero(as_tuple=True)
    return rows.numpy(), columns.numpy(), weight[active].double().numpy()


def _communities(network: MLP, tensors: Mapping[str, Tensor]) -> Communities:
    graph = weight_graph(network.wiring, tensors, "layer_max")
    return louvain(graph, seeds=1 if graph.number_of_edges() > MANY_WEIGHTS else 10)


def _shortened(text: str, size: float, room: float) -> tuple[str, float]:
    """The text and a font size with which it fits: smaller if that does, else also cut."""
    size = max(SMALLEST_TEXT, min(size, room / max(_ems(text), 1e-9)))
    if size * _ems(text) > room * (1 + 1e-9):
        while text and size * _ems(text + "…") > room:
            text = text[:-1]
        text += "…"
    return text, size


def _legend(canvas: _Canvas, key: list[str], n_communities: int | None) -> None:
    """One centred line at the bottom, the key of abbreviations above it."""
    step = 1.6 * LEGEND_TEXT
    for line, text in enumerate(reversed(key)):
        canvas.text(WIDTH / 2, MARGIN + (line + 1) * step, text, LEGEND_TEXT)
    items: list[tuple[str, Sequence[str], str]] = [
        ("line", [POSITIVE], "positive weight"),
        ("line", [NEGATIVE], "negative weight"),
        ("dots", *_community_key(n_communities)),
        ("dots", [INACTIVE], "unconnected neuron"),
    ]
    items = [item for item in items if item[1]]
    lengths = [7 * len(colours) + LEGEND_TEXT * _ems(text) + 23 for _, colours, text in items]
    x = (WIDTH - sum(lengths) + 14) / 2
    for (shape, colours, text), length in zip(items, lengths, strict=True):
        centres = np.array([(x + 3.5 + 7 * i, MARGIN) for i in range(len(colours))])
        if shape == "line":
            ends = centres[:, None] + np.array([(-4.0, 0.0), (6.0, 0.0)])
            canvas.lines(ends, np.array([2.4]), to_rgba_array(colours), f"legend.{text.split()[0]}")
        else:
            canvas.circles(centres, np.full(len(colours), 6.0), colours, f"legend.{text.split()[-1]}")
        canvas.text(x + 7 * len(colours) + 5, MARGIN, text, LEGEND_TEXT, MUTED, ha="left")
        x += length


def _community_key(n_communities: int | None) -> tuple[Sequence[str], str]:
    """Colours and what they mean; None stands for several networks, each with its own communities."""
    if n_communities is None:
        return COMMUNITY[:3], "each network's communities"
    return (*COMMUNITY, OTHER)[
        :n_communities
    ], f"{n_communities} {'community' if n_communities == 1 else 'communities'}"
