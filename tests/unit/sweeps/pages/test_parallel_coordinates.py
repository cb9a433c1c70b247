import numpy as np
import pytest
from support.example_sweeps import DOMINATED, FRONT, create_sweep, example_spec

from sweeps.pages.parallel_coordinates import FRONT_COLOUR, SHADES, plot_parallel_coordinates


@pytest.fixture
def frame_and_chart(tmp_path, small_spec):
    sweep = create_sweep(tmp_path, example_spec(small_spec), [*DOMINATED, *FRONT])
    spec, trials = sweep.spec, sweep.trials()
    searched = {name: spec.search[name] for name in spec.searched}
    return trials, plot_parallel_coordinates(trials, sweep.pareto().index.tolist(), searched, spec.objectives)


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
