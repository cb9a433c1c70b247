import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bimt_core.pictures.canvas import WIDTH
from bimt_core.pictures.chart import create_chart, create_message, set_titles, write_message


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (5, 2), (6, 3)])
def test_panels_fill_a_grid_row_by_row(n: int, columns: int) -> None:
    figure, panels = create_chart("a title", n, columns=columns, height=72.0)
    assert len(panels) == len(figure.axes) == n and figure.get_figwidth() == WIDTH / 72
    boxes = [axes.get_position() for axes in panels]
    for i, box in enumerate(boxes):
        assert box.height * figure.get_figheight() == pytest.approx(1.0)
        assert box.y0 == pytest.approx(boxes[i - i % columns].y0) and box.x0 == pytest.approx(boxes[i % columns].x0)
        assert i < columns or box.y1 < boxes[i - columns].y0
        assert i % columns == 0 or box.x0 > boxes[i - 1].x1
    assert min(box.y0 for box in boxes) > 0 and max(box.x1 for box in boxes) <= 1


def test_space_below_makes_the_figure_higher() -> None:
    heights = [create_chart("a", 1, columns=1, height=50.0, foot=foot)[0].get_figheight() for foot in (0.0, 36.0)]
    assert heights[1] - heights[0] == pytest.approx(0.5)


def test_titles_are_above_all_panels_and_fit() -> None:
    figure, panels = create_chart("a long title " * 20 + "\nline 2", 2, columns=2, height=60.0)
    set_titles(panels[0], "$one", "x", "y", colour="#123456")
    renderer = FigureCanvasAgg(figure).get_renderer()
    first, second = (text.get_window_extent(renderer) for text in figure.texts)
    assert first.y0 >= second.y1 - 1 and first.x1 <= figure.bbox.x1
    assert second.y0 >= panels[0].get_window_extent(renderer).y1
    assert panels[0].get_title(loc="left") == "$one" and panels[0]._left_title.get_color() == "#123456"
    assert (panels[0].get_xlabel(), panels[0].get_ylabel()) == ("x", "y")


def test_a_message_replaces_axes() -> None:
    figure = create_message("a title", "nothing to show")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["nothing to show"]
    assert not axes.axison
    _, (other,) = create_chart("", 1, columns=1, height=60.0)
    write_message(other, "message")
    np.testing.assert_allclose(other.texts[0].get_position(), 0.5)
