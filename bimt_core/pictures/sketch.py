"""The sketch: a diagram in a few kilobytes of SVG, for pages that show hundreds of networks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import torch
from matplotlib.colors import to_hex

from bimt_core.modularity import Communities, louvain, weight_graph
from bimt_core.pictures.canvas import INK, Floats
from bimt_core.pictures.labels import PAD, Labels, readable
from bimt_core.pictures.layout import Row, layout
from bimt_core.pictures.panel import Panel
from bimt_core.population import Population
from bimt_core.tasks import Task

WIDTH, MARGIN = 260.0, 10.0
LEAST_GAP, MOST_GAP, TALLEST = 16.0, 46.0, 250.0  # between levels; of all gaps together
PLATE_DEPTH = 0.2  # of a plate, as a part of its width
TEXT = 9.0
MOST_LINES = 300  # of a tensor: the strongest
WIDTH_STEP = 0.2  # widths of lines are multiples of it, so that lines share a path


def sketch(population: Population, task: Task, network: int = 0, *, communities: Communities | None = None) -> str:
    """A small connectivity diagram as compact SVG text: no title, no legend, at most 300 weights of each tensor.

    Args:
        population: Networks trained on the task.
        task: Names the inputs and outputs.
        network: Which network of the population.
        communities: Colours the neurons; found when left out.

    Returns:
        An SVG document. A network whose weights are not finite is drawn without lines.
    """
    one = population.select([network]).to("cpu")
    wiring, rows = one.network.wiring, layout(one.network.wiring)
    flat = one.flat[0].detach()
    tensors = wiring.tensors(flat if flat.isfinite().all() else torch.zeros_like(flat))
    if communities is None:
        communities = louvain(weight_graph(wiring, tensors))
    width = WIDTH - 2 * MARGIN
    gap, depth = max(LEAST_GAP, min(MOST_GAP, TALLEST / rows.gaps)), PLATE_DEPTH * width
    inputs, outputs = (
        _fit(row, list(map(readable, names)), width, depth)
        for row, names in ((rows.inputs, task.input_names), (rows.outputs, task.output_names))
    )
    bottom = MARGIN + inputs.height + PAD
    drawing = _Drawing(bottom + rows.gaps * gap + rows.depths * depth + outputs.height + PAD + MARGIN / 2)
    panel = Panel(drawing, rows, MARGIN, bottom, width, gap, depth)
    panel.draw(tensors, communities, "")
    panel.label(one.input_labels[0], inputs, rows.inputs)
    panel.label(one.output_labels[0], outputs, rows.outputs)
    return drawing.document()


def _fit(row: Row, texts: list[str], width: float, depth: float) -> Labels:
    if row.is_plate:
        return Labels.around(texts, row.places * (width, depth), (width, depth), TEXT)
    return Labels.fitting(texts, width * row.spacing, TEXT)


@dataclass(frozen=True)
class _Drawing:
    """SVG text that is drawn on in points from its lower left corner; a `Surface`."""

    height: float
    parts: list[str] = field(default_factory=list)

    def document(self) -> str:
        start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {self.height:.0f}">'
        return f'{start}<g fill="none" stroke-linecap="round">{"".join(self.parts)}</g></svg>'

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
            f' font-family="sans-serif"{turn}>{escape(text)}</text>'
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
