"""A matplotlib figure that is drawn on in points (1/72 inch) from its lower left corner, and its image files.

Without axes and without pyplot no state is shared, so worker processes and threads may draw.
"""

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import CircleCollection, LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D, Transform
from PIL import Image

from bimt_core.pictures.palette import INK
from bimt_core.pictures.text import FONT

WIDTH, MARGIN = 504.0, 12.0  # of every figure, in points
PNG_LEVEL = 1  # of compression: twice as fast as 6, and files without an alpha channel are as small
LARGE_PNG = 150_000  # bytes above which a PNG is reduced to 256 colours
MANY_LINES, SVG_DPI = 1000, 100  # more lines are pixels in an SVG, at this resolution

Floats = npt.NDArray[np.float64]
_svg_salt = threading.Lock()


class Surface(Protocol):
    """Target of the drawing of a network: a `Canvas`, which documents the methods, or the SVG text of a sketch."""

    def write(self, x: float, y: float, text: str, size: float, colour: str = INK, **properties: Any) -> None: ...
    def draw_lines(self, ends: Floats, widths: Floats, colours: Floats, name: str) -> None: ...
    def draw_polygons(self, corners: Floats, colour: str, edge: str, name: str) -> None: ...
    def draw_circles(self, centres: Floats, diameters: Floats, colours: Sequence[str], name: str) -> None: ...


@dataclass(frozen=True)
class Canvas:
    """A figure that is drawn on in points.

    Args:
        figure: The figure.
        points: Transform from points to the figure's pixels.
    """

    figure: Figure
    points: Transform

    @staticmethod
    def create(width: float, height: float, *, below: float = 0.0) -> "Canvas":
        """Creates an empty white canvas.

        Args:
            width: In points.
            height: In points.
            below: Free space under it, in points.
        """
        figure = Figure(figsize=(width / 72, (height + below) / 72), facecolor="white")
        return Canvas(figure, Affine2D().translate(0, below).scale(1 / 72) + figure.dpi_scale_trans)

    def write(self, x: float, y: float, text: str, size: float, colour: str = INK, **properties: Any) -> None:
        """Writes one line of plain text, centred by default.

        Args:
            x: In points.
            y: In points.
            text: The line; dollar signs do not start mathematics.
            size: Font size in points.
            colour: Any colour of matplotlib.
            properties: Of a matplotlib `Text`, such as ha, va and rotation.
        """
        properties = {"va": "center", "ha": "center"} | properties
        self.figure.text(
            x, y, text, fontsize=size, color=colour, family=FONT, transform=self.points, parse_math=False, **properties
        )

    def draw_lines(self, ends: Floats, widths: Floats, colours: Floats, name: str) -> None:
        """Draws straight lines, the last on top.

        Args:
            ends: Both ends of each line, in points, shape (n, 2, 2).
            widths: In points, shape (n,).
            colours: Red, green, blue and opacity from 0 to 1, shape (n, 4).
            name: Identifies the lines among the figure's artists and in an SVG.
        """
        many = len(ends) > MANY_LINES
        lines = LineCollection(list(ends), linewidths=widths, colors=colours, transform=self.points, rasterized=many)
        lines.set_gid(name)
        self.figure.add_artist(lines)

    def draw_polygons(self, corners: Floats, colour: str, edge: str, name: str) -> None:
        """Fills polygons, under all lines.

        Args:
            corners: In points, shape (n, corners, 2).
            colour: Colour of the polygons.
            edge: Colour of their edges.
            name: Identifies them among the figure's artists and in an SVG.
        """
        areas = PolyCollection(list(corners), facecolors=colour, edgecolors=edge, linewidths=0.6, transform=self.points)
        areas.set(gid=name, zorder=1)
        self.figure.add_artist(areas)

    def draw_circles(self, centres: Floats, diameters: Floats, colours: Sequence[str], name: str) -> None:
        """Draws discs with a thin white edge, over all lines.

        Args:
            centres: In points, shape (n, 2).
            diameters: In points, shape (n,).
            colours: One per disc.
            name: Identifies them among the figure's artists and in an SVG.
        """
        area = np.pi / 4 * diameters**2
        circles = CircleCollection(area, offsets=centres, offset_transform=self.points, facecolors=colours)
        circles.set(gid=name, edgecolor="white", linewidths=0.06 * diameters, zorder=3)
        self.figure.add_artist(circles)


def to_png(figure: Figure, dpi: int = 110) -> bytes:
    r"""Encodes a figure as a PNG file; equal figures give equal bytes.

    Args:
        figure: Any figure.
        dpi: Pixels per inch. Most figures are 7 inches wide.

    Examples:
        >>> to_png(Figure(figsize=(1, 1)))[:4]
        b'\x89PNG'
    """
    image = to_image(figure, dpi)
    png = _encode_png(image)
    return png if len(png) <= LARGE_PNG else _encode_png(reduce_colours(image))


def to_image(figure: Figure, dpi: int = 110) -> Image.Image:
    """Draws a figure into an RGB image and leaves the figure unchanged.

    Args:
        figure: Any figure.
        dpi: Pixels per inch.
    """
    canvas, before = FigureCanvasAgg(figure), figure.dpi
    figure.dpi = dpi
    try:
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        return Image.fromarray(pixels).convert("RGB")
    finally:
        figure.dpi = before


def reduce_colours(image: Image.Image) -> Image.Image:
    """Reduces an image to at most 256 colours. The colour of the upper left corner, the background, stays exact.

    Args:
        image: An RGB image.
    """
    reduced = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette, corner = reduced.getpalette() or [], reduced.getpixel((0, 0))
    assert isinstance(corner, int)
    palette[3 * corner : 3 * corner + 3] = image.getpixel((0, 0))
    reduced.putpalette(palette)
    return reduced


def to_svg(figure: Figure) -> bytes:
    """Encodes a figure as an SVG file with text as outlines; equal figures give equal bytes.

    Args:
        figure: Any figure.

    Examples:
        >>> b"<svg" in to_svg(Figure(figsize=(1, 1)))
        True
    """
    file = io.BytesIO()
    with _svg_salt, mpl.rc_context({"svg.hashsalt": "bimt", "svg.fonttype": "path"}):  # process-wide, hence the lock
        FigureCanvasSVG(figure).print_figure(file, dpi=SVG_DPI, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _encode_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "png", compress_level=PNG_LEVEL)
    return file.getvalue()
