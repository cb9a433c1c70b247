"""Sketches: diagrams as a few kilobytes of SVG, for pages that show hundreds of networks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import Floats
from bimt_core.pictures.network.labels import PAD, Labels
from bimt_core.pictures.network.layout import make_layout
from bimt_core.pictures.network.panel import Panel
from bimt_core.pictures.network.projection import Flat
from bimt_core.pictures.palette import INK, MUTED, NEGATIVE, POSITIVE
from bimt_core.pictures.subject import find_communities, make_drawable, select_network
from bimt_core.pictures.text import fit_text
from bimt_core.population import Population
from bimt_core.tasks import Task

WIDTH, MARGIN = 260.0, 10.0
LEAST_GAP, MOST_GAP, TALLEST = 16.0, 46.0, 250.0  # between levels; of all gaps together
PLATE_DEPTH = 0.2  # of a plate, as a fraction of its width
TEXT, TITLE, LINE = 9.0, 11.0, 14.0  # font sizes, and the line height of text
MOST_COLUMNS = 6
PIXELS = 1.4  # per point, of sketches side by side
WIDE_SPACE = "\u2003"  # replaces two spaces, of which SVG would show one
SECOND_SIGN = 75.0  # horizontal position of the legend's second entry
MOST_LINES = 300  # per tensor: the strongest
WIDTH_STEP = 0.2  # line widths are multiples of it, so that lines share a path


def render_sketch(
    population: Population, task: Task, network: int = 0, *, communities: Communities | None = None
) -> str:
    """Renders a small connectivity diagram as a compact SVG document, without title and legend.

    At most 300 weights of each tensor are drawn, and none if a weight is not finite.

    Args:
        population: Networks trained on the task.
        task: Names the inputs and outputs.
        network: Index of the network in the population.
        communities: Colour the neurons; found when left out.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> render_sketch(initialise(task.network, [0]), task)[:4]
        '<svg'
    """
    sketch = _draw_sketch(select_network(population, network), task, communities)
    return _make_document(WIDTH, sketch.height, "".join(sketch.parts))


def render_sketches(
    population: Population, task: Task, titles: Sequence[str], *, communities: Sequence[Communities | None] = ()
) -> str:
    """Renders sketches of all networks side by side above a legend, as an SVG document.

    Args:
        population: Networks trained on the task.
        task: Names the inputs and outputs.
        titles: One or two short lines per network.
        communities: Of each network; found when left out or None.

    Raises:
        ValueError: If there is not one title per network, or not one entry of `communities` per network.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> "seed 1" in render_sketches(initialise(task.network, [0, 1]), task, ["seed 0", "seed 1"])
        True
    """
    n = len(population)
    if len(titles) != n:
        raise ValueError(f"titles must be one per network: {n} networks, got {len(titles)}")
    if len(communities) not in (0, n):
        raise ValueError(f"communities must be one per network: {n} networks, got {len(communities)}")
    columns = min(math.ceil(math.sqrt(n)), MOST_COLUMNS)
    above = LINE * max(len(title.splitlines()) for title in titles)
    parts: list[str] = []
    for i, own in enumerate(communities or [None] * n):
        sketch = _draw_sketch(select_network(population, i), task, own)
        row, column = divmod(i, columns)
        heading = _Sketch(above)
        for line, text in enumerate(titles[i].splitlines()):
            fitting = fit_text(text, TITLE if line == 0 else TEXT, WIDTH - MARGIN)
            heading.write(WIDTH / 2, above - (line + 0.6) * LINE, *fitting, INK if line == 0 else MUTED)
        x, y = column * WIDTH, row * (above + sketch.height)
        parts.append(f'<g transform="translate({x:g} {y:.0f})">{"".join(heading.parts)}')
        parts.append(f'<g transform="translate(0 {above:g})">{"".join(sketch.parts)}</g></g>')
    width, height = columns * WIDTH, math.ceil(n / columns) * (above + sketch.height)
    legend = _Sketch(height + 2 * LINE)
    legend.write(MARGIN, 1.6 * LINE, "positive weight", TEXT, POSITIVE, ha="left")
    legend.write(MARGIN + SECOND_SIGN, 1.6 * LINE, "negative weight", TEXT, NEGATIVE, ha="left")
    legend.write(MARGIN, 0.6 * LINE, "neurons have the colours of their communities", TEXT, MUTED, ha="left")
    return _make_document(width, legend.height, "".join([*parts, *legend.parts]), pixels=PIXELS)


def _draw_sketch(one: Population, task: Task, communities: Communities | None) -> "_Sketch":
    rows, one = make_layout(one.network.wiring), make_drawable(one)
    width = WIDTH - 2 * MARGIN
    gap, depth = max(LEAST_GAP, min(MOST_GAP, TALLEST / rows.gaps)), PLATE_DEPTH * width
    inputs = Labels.fit(task.input_names, rows.inputs, width, depth, TEXT)
    outputs = Labels.fit(task.output_names, rows.outputs, width, depth, TEXT)
    bottom = MARGIN + inputs.height + PAD
    sketch = _Sketch(bottom + rows.gaps * gap + rows.depths * depth + outputs.height + PAD + MARGIN / 2)
    panel = Panel(sketch, rows, Flat(MARGIN, bottom, width, gap, depth))
    panel.draw(one, find_communities(one, communities, quick=True), "")
    panel.write_labels(one.input_labels[0], inputs, rows.inputs)
    panel.write_labels(one.output_labels[0], outputs, rows.outputs)
    return sketch


def _make_document(width: float, height: float, content: str, *, pixels: float | None = None) -> str:
    """Makes the SVG; without a size in pixels it fits into a page, but some viewers show nothing."""
    size = "" if pixels is None else f' width="{pixels * width:.0f}" height="{pixels * height:.0f}"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg"{size} viewBox="0 0 {width:g} {height:.0f}">'
    return f'{start}<g fill="none" stroke-linecap="round">{content}</g></svg>'


@dataclass(frozen=True)
class _Sketch:
    """SVG elements, drawn in points from the lower left corner; a `Surface`."""

    height: float
    parts: list[str] = field(default_factory=list)

    def write(self, x: float, y: float, text: str, size: float, colour: str = INK, **properties: Any) -> None:
        anchor = {"left": "start", "right": "end"}.get(properties.get("ha", "center"), "middle")
        upright, below = properties.get("rotation") == 90, properties.get("va") == "top"
        y = self.height - y
        if upright:
            anchor = "end" if below else "start"
            x += 0.35 * size  # half the height of a letter
        else:
            y += {"top": 0.8, "bottom": 0.0}.get(properties.get("va", "center"), 0.35) * size
        turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if upright else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" text-anchor="{anchor}" fill="{colour}"'
            f' font-family="sans-serif"{turn}>{escape(text).replace("  ", WIDE_SPACE)}</text>'
        )

    def draw_lines(self, ends: Floats, widths: Floats, colours: Floats, name: str) -> None:
        ends, widths = ends[-MOST_LINES:], widths[-MOST_LINES:]
        colours = np.broadcast_to(colours, (len(colours) if len(colours) > 1 else len(ends), 4))[-MOST_LINES:]
        groups: dict[tuple[str, float, float], list[str]] = {}
        for (a, b), width, colour in zip(self._flip(ends).tolist(), widths.tolist(), colours.tolist(), strict=True):
            step = max(1, round(width / WIDTH_STEP)) * WIDTH_STEP
            key = to_hex(colour[:3]), step, max(0.1, round(colour[3], 1))
            groups.setdefault(key, []).append(f"M{_format(a)}L{_format(b)}")
        for (colour, width, opacity), path in groups.items():
            self.parts.append(
                f'<path stroke="{colour}" stroke-width="{width:.1f}" opacity="{opacity:g}" d="{"".join(path)}"/>'
            )

    def draw_polygons(self, corners: Floats, colour: str, edge: str, name: str) -> None:
        path = "".join(f"M{'L'.join(map(_format, area))}z" for area in self._flip(corners).tolist())
        self.parts.append(f'<path fill="{colour}" stroke="{edge}" stroke-width=".5" d="{path}"/>')

    def draw_circles(self, centres: Floats, diameters: Floats, colours: Sequence[str], name: str) -> None:
        groups: dict[tuple[str, float], list[str]] = {}
        for centre, diameter, colour in zip(self._flip(centres).tolist(), diameters.tolist(), colours, strict=True):
            groups.setdefault((colour, round(diameter, 1)), []).append(f"M{_format(centre)}h0")
        for (colour, diameter), path in groups.items():  # a line of length 0 with round ends is a disc
            self.parts.append(f'<path stroke="{colour}" stroke-width="{diameter:g}" d="{"".join(path)}"/>')

    def _flip(self, points: Floats) -> Floats:
        """Turns heights into SVG's, which grow downwards."""
        flipped: Floats = points * (1.0, -1.0) + (0.0, self.height)
        return flipped


def _format(point: list[float]) -> str:
    return " ".join(f"{value:.1f}".removesuffix(".0") for value in point)
