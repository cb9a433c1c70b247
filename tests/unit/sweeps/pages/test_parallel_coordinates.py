import numpy as np
import pytest
from support.example_sweeps import BASELINE, DOMINATED, FRONT

from sweeps.pages.parallel_coordinates import FRONT_COLOUR, SHADES, plot_parallel_coordinates
from sweeps.tracking.naming import PUBLISHED_SETTING


@pytest.fixture
def frame_and_chart(create, chart):
    sweep = create([*DOMINATED, *FRONT])
    return sweep.trials(), plot_parallel_coordinates(chart(sweep), sweep.spec)


def read_axis(chart, axis):
    """Position of each trial on an axis."""
    positions = {}
    for trace in chart["data"]:
        points = zip(trace["customdata"], trace["x"], trace["y"], strict=True)
        positions |= {number: y for number, x, y in points if x == axis}
    return positions


def test_values_are_placed_between_the_ends_of_the_range(frame_and_chart):
    trials, chart = frame_and_chart
    expected = (trials["hidden_width"].astype(float) - 4) / (9 - 4)
    assert read_axis(chart, 3) == pytest.approx(expected.to_dict())


def test_a_logarithmic_range_has_a_logarithmic_axis(frame_and_chart):
    trials, chart = frame_and_chart
    expected = (np.log10(trials["cost_weight"].astype(float)) + 4) / 3
    assert read_axis(chart, 0) == pytest.approx(expected.to_dict())
    texts = [a["text"] for a in chart["layout"]["annotations"] if a["x"] == 0]
    assert (texts[0], texts[-1]) == ("0.0001", "0.1")


def test_better_trials_are_darker_and_the_front_has_its_colour(frame_and_chart):
    _, chart = frame_and_chart
    *shades, front = chart["data"]
    assert [trace["line"]["color"] for trace in shades] == list(SHADES)
    assert front["line"]["color"] == FRONT_COLOUR
    assert set(front["customdata"]) == {10, 11, 12, 13}
    numbers = [sorted(set(trace["customdata"])) for trace in shades]
    assert [n for shade in numbers for n in shade] == list(range(10)), "scores of DOMINATED rise with the number"


def test_the_published_setting_is_drawn_last_with_its_own_name(create, chart):
    sweep = create(FRONT, baseline=BASELINE)
    drawn = plot_parallel_coordinates(chart(sweep), sweep.spec)
    last = drawn["data"][-1]
    assert (last["name"], set(last["customdata"]), last["line"]["dash"]) == (PUBLISHED_SETTING, {4}, "dash")
    assert [y is None for y in last["y"]] == [False] * 3 + [True] + [False] * 2 + [True]
    assert "hidden_width" not in sweep.completed_trials()[-1].params, "layers of two_moons differ in width"


def test_axes_reach_to_a_published_setting_beyond_the_search_space(create, chart):
    sweep = create(FRONT, baseline=BASELINE)
    trials = chart(sweep)
    trials.baseline["weight_factor"] = 8.0  # the space ends at 4
    trials.baseline["relocation"] = "none"  # not one of the choices
    drawn = plot_parallel_coordinates(trials, sweep.spec)
    assert read_axis(drawn, 1)[4] == 1.0
    assert max(y for number, y in read_axis(drawn, 1).items() if number != 4) <= 0.5
    assert read_axis(drawn, 2)[4] == 1.0
    assert [a["text"] for a in drawn["layout"]["annotations"] if a["x"] == 2] == ["greedy", "assignment", "none"]


def test_aggregates_are_named(create, chart):
    sweep = create(FRONT, objectives=[{"metric": "val_score", "direction": "maximize", "aggregate": "median"}])
    titles = plot_parallel_coordinates(chart(sweep), sweep.spec)["layout"]["xaxis"]["ticktext"]
    assert titles[-1] == "val<br>score<br>(median)"
