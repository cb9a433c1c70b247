import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.image import imread
from PIL import Image

from bimt_core.pictures.canvas import WIDTH, Canvas, to_image, to_png, to_svg


def draw() -> Figure:
    """Draws a text, a line and a disc."""
    canvas = Canvas.create(WIDTH, 72)
    canvas.write(100, 36, "a text", 8)
    canvas.draw_lines(np.array([[(200.0, 10.0), (300.0, 60.0)]]), np.array([2.0]), to_rgba_array(["#dc4a2a"]), "lines")
    canvas.draw_circles(np.array([(400.0, 18.0)]), np.array([12.0]), ["#16a085"], "circles")
    return canvas.figure


def test_files_have_their_format() -> None:
    figure = draw()
    png, svg = to_png(figure, dpi=100), to_svg(figure)
    assert imread(io.BytesIO(png)).shape == (100, 700, 3)
    assert b"<svg" in svg and svg.rstrip().endswith(b"</svg>")
    assert b"<dc:date>" not in svg and b"matplotlib" not in png
    assert to_png(figure, dpi=100) == png  # encoding leaves the figure unchanged


def test_lengths_are_points_from_the_lower_left() -> None:
    pixels = imread(io.BytesIO(to_png(draw(), dpi=72)))[..., :3]
    rows, columns = np.nonzero(np.abs(pixels[:, 390:410] - (0x16 / 255, 0xA0 / 255, 0x85 / 255)).max(axis=-1) < 0.02)
    assert abs((rows.mean() + 0.5) - (72 - 18)) < 0.6
    assert abs((columns.mean() + 0.5) - 10) < 0.6
    assert abs(len(rows) - np.pi / 4 * 12**2) < 30  # the edge is white


def test_files_are_reproducible_also_in_threads() -> None:
    with ThreadPoolExecutor(4) as threads:
        files = {*threads.map(lambda _: (to_png(draw()), to_svg(draw())), range(8))}
    assert len(files) == 1


def test_areas_lie_under_lines() -> None:
    canvas = Canvas.create(WIDTH, 72)
    canvas.draw_lines(np.array([[(10.0, 36.0), (90.0, 36.0)]]), np.array([8.0]), to_rgba_array(["#dc4a2a"]), "lines")
    canvas.draw_polygons(
        np.array([[(20.0, 10.0), (60.0, 10.0), (60.0, 60.0), (20.0, 60.0)]]), "#16a085", "#16a085", "areas"
    )
    pixels = imread(io.BytesIO(to_png(canvas.figure, dpi=72)))
    np.testing.assert_allclose(pixels[20, 40, :3] * 255, (0x16, 0xA0, 0x85), atol=1)
    np.testing.assert_allclose(pixels[36, 40, :3] * 255, (0xDC, 0x4A, 0x2A), atol=1)
    np.testing.assert_allclose(pixels[20, 70, :3], 1.0)


def test_there_can_be_space_under_the_canvas() -> None:
    figures = [Canvas.create(WIDTH, 72, below=space).figure for space in (0.0, 36.0)]
    assert [figure.get_figheight() for figure in figures] == [1.0, 1.5]
    canvas = Canvas.create(WIDTH, 72, below=36.0)
    np.testing.assert_allclose(canvas.points.transform((0.0, 0.0)) * 72 / canvas.figure.dpi, (0.0, 36.0))


def test_a_large_png_has_a_palette_and_a_white_background() -> None:
    canvas = Canvas.create(WIDTH, WIDTH)
    random = np.random.default_rng(0)
    colours = np.concatenate([random.random((4000, 3)), np.full((4000, 1), 0.4)], axis=1)
    canvas.draw_lines(random.random((4000, 2, 2)) * 0.8 * WIDTH + 40, np.full(4000, 0.8), colours, "lines")
    image = Image.open(io.BytesIO(to_png(canvas.figure)))
    assert image.mode == "P" and image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    exact, reduced = (np.asarray(i.convert("RGB")).astype(int) for i in (to_image(canvas.figure), image))
    assert np.abs(exact - reduced).mean() < 6
    assert Image.open(io.BytesIO(to_png(draw()))).mode == "RGB"
