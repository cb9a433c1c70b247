import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bimt_core.pictures.text import FONT, SMALLEST_TEXT, fit_text, format_name, width_ems
from bimt_core.tasks import load_task


def test_formulas_have_sub_and_superscripts() -> None:
    names = [name for task in ("independence", "compositionality") for name in load_task(task).output_names]
    assert list(map(format_name, names)) == ["(x₁ + x₃)³", "x₂² + sin(π x₄)", "√((x₁-x₂)² + (x₃-x₄)²)"]
    plain = ("upper moon", "0231", "e12", "x^12")
    assert [format_name(name) for name in plain] == ["upper moon", "0231", "e12", "x¹²"]


@pytest.mark.parametrize("text", ["i", "a longer text", "√((x₁-x₂)² + (x₃-x₄)²)"])
def test_widths_are_those_of_matplotlib_rounded_up(text: str) -> None:
    figure = Figure()
    drawn = figure.text(0, 0, text, fontsize=50, family=FONT)
    width = drawn.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width * 72 / figure.dpi
    assert 0.97 * width <= 50 * width_ems(text) <= 1.1 * width


def test_text_shrinks_and_is_cut_only_if_it_would_be_too_small() -> None:
    text = "a text of some length"
    width = width_ems(text)
    assert fit_text(text, 9.0, 10 * width) == (text, 9.0)
    assert fit_text(text, 9.0, 7 * width) == (text, pytest.approx(7.0))
    cut, size = fit_text(text, 9.0, 3 * width)
    assert size == SMALLEST_TEXT and cut.endswith("…") and text.startswith(cut[:-1])
    assert size * width_ems(cut) <= 3 * width
    assert fit_text("", 9.0, 1.0) == ("", 9.0)
