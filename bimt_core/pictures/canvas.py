"""A canvas: a figure that is drawn on in points (1/72 inch) from its lower left corner, and its image files.

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

INK, MUTED = "#1c2430", "#6b7480"
FONT = "DejaVu Sans"  # comes with matplotlib, so pictures are the same everywhere
WIDTH, MARGIN = 504.0, 12.0  # of every diagram, in points
PNG_LEVEL = 1  # of compression: twice as fast as the usual 6, and without the opacity the files are as small
LARGE_PNG = 150_000  # bytes from which on a PNG has 256 colours only
MANY_LINES, SVG_DPI = 1000, 100  # from here on lines are pixels in an SVG too, and so many of them an inch

Floats = npt.NDArray[np.float64]
_svg_salt = threading.Lock()


class Surface(Protocol):
    """What a network can be drawn on: a `Canvas`, or the text of a `sketch`."""

    def text(self, x: float, y: float, text: str, size: float, colour: str = INK, **how: Any) -> None:
        """See `Canvas.text`."""

    def lines(self, ends: Floats, widths: Floats, colours: Floats, name: str) -> None:
        """See `Canvas.lines`."""

    def areas(self, corners: Floats, colour: str, edge: str, name: str) -> None:
        """See `Canvas.areas`."""

    def circles(self, centres: Floats, diameters: Floats, colours: Sequence[str], name: str) -> None:
        """See `Canvas.circles`."""


@dataclass(frozen=True)
class Canvas:
    """A figure that is drawn on in points.

    Attributes:
        figure: What has been drawn so far.
        points: From points to the figure's pixels.
    """

    figure: Figure
    points: Transform

    @staticmethod
    def of(width: float, height: float, *, below: float = 0.0) -> "Canvas":
        """An empty white canvas.

        Args:
            width: In points.
            height: In points.
            below: Room that is left under it for something else, in points.
        """
        figure = Figure(figsize=(width / 72, (height + below) / 72), facecolor="white")
        return Canvas(figure, Affine2D().translate(0, below).scale(1 / 72) + figure.dpi_scale_trans)

    def text(self, x: float, y: float, text: str, size: float, colour: str = INK, **how: Any) -> None:
        """Writes a plain text, without mathematics, centred unless told otherwise.

        Args:
            x: In points.
            y: In points.
            text: One line.
            size: Font size in points.
            colour: Any colour of matplotlib.
            how: More properties of a matplotlib `Text`, such as ha, va and rotation.
        """
        how = {"va": "center", "ha": "center"} | how
        self.figure.text(
            x, y, text, fontsize=size, color=colour, family=FONT, transform=self.points, parse_math=False, **how
        )

    def lines(self, ends: Floats, widths: Floats, colours: Floats, name: str) -> None:
        """Draws straight lines, the last on top.

        Args:
            ends: Both ends of each, in points, shape (n, 2, 2).
            widths: In points, shape (n,).
            colours: Red, green, blue and opacity from 0 to 1, shape (n, 4).
            name: Identifies them among the figure's artists and in an SVG.
        """
        many = len(ends) > MANY_LINES
        lines = LineCollection(list(ends), linewidths=widths, colors=colours, transform=self.points, rasterized=many)
        lines.set_gid(name)
        self.figure.add_artist(lines)

    def areas(self, corners: Floats, colour: str, edge: str, name: str) -> None:
        """Fills polygons, under all lines.

        Args:
            corners: In points, shape (n, corners, 2).
            colour: Of the areas.
            edge: Colour of their edges.
            name: Identifies them among the figure's artists and in an SVG.
        """
        areas = PolyCollection(list(corners), facecolors=colour, edgecolors=edge, linewidths=0.6, transform=self.points)
        areas.set(gid=name, zorder=1)
        self.figure.add_artist(areas)

    def circles(self, centres: Floats, diameters: Floats, colours: Sequence[str], name: str) -> None:
        """Draws discs with a thin white edge, over all lines.

        Args:
            centres: In points, shape (n, 2).
            diameters: In points, shape (n,).
            colours: One a disc.
            name: Identifies them among the figure's artists and in an SVG.
        """
        area = np.pi / 4 * diameters**2
        circles = CircleCollection(area, offsets=centres, offset_transform=self.points, facecolors=colours)
        circles.set(gid=name, edgecolor="white", linewidths=0.06 * diameters, zorder=3)
        self.figure.add_artist(circles)


def to_png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as a PNG file; equal figures give equal bytes.

    Args:
        figure: Any figure.
        dpi: Pixels per inch; diagrams are 7 inches wide.
    """
    file = io.BytesIO()
    image = to_image(figure, dpi)
    image.save(file, "png", compress_level=PNG_LEVEL)
    if len(file.getvalue()) <= LARGE_PNG:
        return file.getvalue()
    file = io.BytesIO()
    with_palette(image).save(file, "png", compress_level=PNG_LEVEL)
    return file.getvalue()


def to_image(figure: Figure, dpi: int = 110) -> Image.Image:
    """The figure as an image of red, green and blue.

    Args:
        figure: Any figure; it stays as it is.
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


def with_palette(image: Image.Image) -> Image.Image:
    """The image in at most 256 colours of its own; what has the colour of the upper left corner keeps it exactly."""
    reduced = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette, corner = reduced.getpalette() or [], reduced.getpixel((0, 0))
    assert isinstance(corner, int)
    palette[3 * corner : 3 * corner + 3] = image.getpixel((0, 0))
    reduced.putpalette(palette)
    return reduced


def to_svg(figure: Figure) -> bytes:
    """The figure as an SVG file, text as outlines; equal figures give equal bytes."""
    file = io.BytesIO()
    with _svg_salt, mpl.rc_context({"svg.hashsalt": "bimt", "svg.fonttype": "path"}):  # process-wide, hence the lock
        FigureCanvasSVG(figure).print_figure(file, dpi=SVG_DPI, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()
