"""The sketch: a diagram in a few kilobytes of SVG, for pages that show hundreds of networks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import INK, MUTED, Floats
from bimt_core.pictures.network.labels import PAD, Labels, readable, shortened
from bimt_core.pictures.network.layout import Row, layout
from bimt_core.pictures.network.legend import signs
from bimt_core.pictures.network.panel import Panel
from bimt_core.pictures.subject import communities_of, make_drawable, select_network, tensors_of
from bimt_core.population import Population
from bimt_core.tasks import Task

WIDTH, MARGIN = 260.0, 10.0
LEAST_GAP, MOST_GAP, TALLEST = 16.0, 46.0, 250.0  # between levels; of all gaps together
PLATE_DEPTH = 0.2  # of a plate, as a part of its width
TEXT, TITLE, LINE = 9.0, 11.0, 14.0  # font sizes, and from one line of text to the next
MOST_COLUMNS = 6
ENLARGED = 1.4  # pixels a point, of sketches side by side
WIDE = "\u2003"  # a space that stands for two, of which SVG would show one
SECOND_SIGN = 75.0  # where the legend's second entry begins
MOST_LINES = 300  # of a tensor: the strongest
WIDTH_STEP = 0.2  # widths of lines are multiples of it, so that lines share a path


def render_sketch(
    population: Population, task: Task, network: int = 0, *, communities: Communities | None = None
) -> str:
    """A small connectivity diagram as compact SVG text: no title, no legend, at most 300 weights of each tensor.

    Args:
        population: Networks trained on the task.
        task: Names the inputs and outputs.
        network: Which network of the population.
        communities: Colours the neurons; found when left out.

    Returns:
        An SVG document. A network whose weights are not finite is drawn without lines.
    """
    drawing = _drawn(select_network(population, network), task, communities)
    return _document(WIDTH, drawing.height, "".join(drawing.parts))


def render_sketches(
    population: Population, task: Task, titles: Sequence[str], *, communities: Sequence[Communities | None] = ()
) -> str:
    """Sketches of all networks side by side over a line that says what the colours mean.

    Args:
        population: Networks trained on the task.
        task: Names the inputs and outputs.
        titles: One or two short lines a network.
        communities: Of each network; found when left out.

    Returns:
        An SVG document.

    Raises:
        ValueError: If there is not one title a network, or there are communities but not of each.
    """
    n = len(population)
    if len(titles) != n:
        raise ValueError(f"titles must be one a network: {n} networks, got {len(titles)}")
    if len(communities) not in (0, n):
        raise ValueError(f"communities must be one a network: {n} networks, got {len(communities)}")
    columns = min(math.ceil(math.sqrt(n)), MOST_COLUMNS)
    above = LINE * max(len(title.splitlines()) for title in titles)
    parts: list[str] = []
    for i, found in enumerate(communities or [None] * n):
        drawing = _drawn(select_network(population, i), task, found)
        row, column = divmod(i, columns)
        heading = _Drawing(above)
        for line, text in enumerate(titles[i].splitlines()):
            shown = shortened(text, TITLE if line == 0 else TEXT, WIDTH - MARGIN)
            heading.text(WIDTH / 2, above - (line + 0.6) * LINE, *shown, INK if line == 0 else MUTED)
        x, y = column * WIDTH, row * (above + drawing.height)
        parts.append(f'<g transform="translate({x:g} {y:.0f})">{"".join(heading.parts)}')
        parts.append(f'<g transform="translate(0 {above:g})">{"".join(drawing.parts)}</g></g>')
    width, height = columns * WIDTH, math.ceil(n / columns) * (above + drawing.height)
    legend, (positive, negative) = _Drawing(height + 2 * LINE), signs("safe")
    legend.text(MARGIN, 1.6 * LINE, "positive weight", TEXT, positive, ha="left")
    legend.text(MARGIN + SECOND_SIGN, 1.6 * LINE, "negative weight", TEXT, negative, ha="left")
    legend.text(MARGIN, 0.6 * LINE, "neurons have the colours of their communities", TEXT, MUTED, ha="left")
    return _document(width, legend.height, "".join([*parts, *legend.parts]), enlarged=ENLARGED)


def _drawn(one: Population, task: Task, communities: Communities | None) -> "_Drawing":
    """A population of one network, drawn."""
    rows, shown = layout(one.network.wiring), make_drawable(one)
    width = WIDTH - 2 * MARGIN
    gap, depth = max(LEAST_GAP, min(MOST_GAP, TALLEST / rows.gaps)), PLATE_DEPTH * width
    inputs, outputs = (
        _fit(row, list(map(readable, names)), width, depth)
        for row, names in ((rows.inputs, task.input_names), (rows.outputs, task.output_names))
    )
    bottom = MARGIN + inputs.height + PAD
    drawing = _Drawing(bottom + rows.gaps * gap + rows.depths * depth + outputs.height + PAD + MARGIN / 2)
    panel = Panel(drawing, rows, MARGIN, bottom, width, gap, depth)
    panel.draw(tensors_of(shown), communities_of(shown, communities, quick=True), "")
    panel.label(one.input_labels[0], inputs, rows.inputs)
    panel.label(one.output_labels[0], outputs, rows.outputs)
    return drawing


def _document(width: float, height: float, content: str, *, enlarged: float | None = None) -> str:
    """The SVG; with a size of its own, without which some viewers show nothing, or to be fitted into a page."""
    size = "" if enlarged is None else f' width="{enlarged * width:.0f}" height="{enlarged * height:.0f}"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg"{size} viewBox="0 0 {width:g} {height:.0f}">'
    return f'{start}<g fill="none" stroke-linecap="round">{content}</g></svg>'


def _fit(row: Row, texts: list[str], width: float, depth: float) -> Labels:
    if row.is_plate:
        return Labels.around(texts, row.places * (width, depth), (width, depth), TEXT)
    return Labels.fitting(texts, width * row.spacing, TEXT)


@dataclass(frozen=True)
class _Drawing:
    """SVG text that is drawn on in points from its lower left corner; a `Surface`."""

    height: float
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, size: float, colour: str = INK, **how: Any) -> None:
        anchor = {"left": "start", "right": "end"}.get(how.get("ha", "center"), "middle")
        upright, below = how.get("rotation") == 90, how.get("va") == "top"
        y = self.height - y
        if upright:
            anchor = "end" if below else "start"
            x += 0.35 * size  # the middle of a letter, turned
        else:
            y += {"top": 0.8, "bottom": 0.0}.get(how.get("va", "center"), 0.35) * size
        turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if upright else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" text-anchor="{anchor}" fill="{colour}"'
            f' font-family="sans-serif"{turn}>{escape(text).replace("  ", WIDE)}</text>'
        )

    def lines(self, ends: Floats, widths: Floats, colours: Floats, name: str) -> None:
        ends, widths = ends[-MOST_LINES:], widths[-MOST_LINES:]
        colours = np.broadcast_to(colours, (len(colours) if len(colours) > 1 else len(ends), 4))[-MOST_LINES:]
        groups: dict[tuple[str, float, float], list[str]] = {}
        for (a, b), width, colour in zip(self._up(ends).tolist(), widths.tolist(), colours.tolist(), strict=True):
            step = max(1, round(width / WIDTH_STEP)) * WIDTH_STEP
            key = to_hex(colour[:3]), step, max(0.1, round(colour[3], 1))
            groups.setdefault(key, []).append(f"M{_short(a[0])} {_short(a[1])}L{_short(b[0])} {_short(b[1])}")
        for (colour, width, opacity), path in groups.items():
            self.parts.append(
                f'<path stroke="{colour}" stroke-width="{width:.1f}" opacity="{opacity:g}" d="{"".join(path)}"/>'
            )

    def areas(self, corners: Floats, colour: str, edge: str, name: str) -> None:
        path = "".join("M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in area) + "z" for area in self._up(corners))
        self.parts.append(f'<path fill="{colour}" stroke="{edge}" stroke-width=".5" d="{path}"/>')

    def circles(self, centres: Floats, diameters: Floats, colours: Sequence[str], name: str) -> None:
        groups: dict[tuple[str, float], list[str]] = {}
        for (x, y), diameter, colour in zip(self._up(centres).tolist(), diameters.tolist(), colours, strict=True):
            groups.setdefault((colour, round(diameter, 1)), []).append(f"M{_short(x)} {_short(y)}h0")
        for (colour, diameter), path in groups.items():  # a line of no length with round ends is a disc
            self.parts.append(f'<path stroke="{colour}" stroke-width="{diameter:g}" d="{"".join(path)}"/>')

    def _up(self, points: Floats) -> Floats:
        """SVG's heights grow downwards."""
        turned: Floats = points * (1.0, -1.0) + (0.0, self.height)
        return turned


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
