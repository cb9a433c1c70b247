import pytest

from bimt_core.pictures import to_png
from bimt_core.pictures.tasks.loss_curves import plot_loss_curves

ROWS = [(0, {"train_loss": 1.0, "val_loss": 2.0, "connection_cost": 40.0, "val_score": 0.1})] + [
    (step, {"train_loss": 0.1, "val_loss": 0.2, "connection_cost": 8.0, "val_score": 0.9}) for step in (100, 200)
]


def lines_of(figure):
    return {line.get_label(): line for axes in figure.axes for line in axes.lines}


def test_each_term_is_a_line_in_its_panel():
    figure = plot_loss_curves(ROWS, title="a title")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["prediction loss", "connection cost"]
    lines = lines_of(figure)
    assert list(lines) == ["train loss", "val loss", "connection cost"]
    assert lines["val loss"].get_xydata().tolist() == [[0, 2], [100, 0.2], [200, 0.2]]
    assert all(axes.get_yscale() == "log" for axes in figure.axes)
    assert figure.texts[0].get_text() == "a title"
    to_png(figure)


def test_metrics_and_values_may_be_missing():
    rows = [(1, {"val_loss": 0.0}), (2, {"val_loss": float("nan")}), (3, {})]
    figure = plot_loss_curves(rows)
    (line,) = figure.axes[0].lines
    assert len(figure.axes) == 1 and len(line.get_xdata()) == 2 and figure.axes[0].get_yscale() == "linear"
    to_png(figure)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least 1 row"),
        ([(0, {"val_score": 1.0})], "need one of train_loss, val_loss, connection_cost, got val_score"),
    ],
)
def test_rows_without_losses_are_rejected(rows, message):
    with pytest.raises(ValueError, match=message):
        plot_loss_curves(rows)
