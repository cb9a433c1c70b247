import math

import pandas as pd
import pytest

from sweeps.pages.scale import Scale, is_missing
from sweeps.spec.search_space import Choices, Range


@pytest.mark.parametrize(("value", "missing"), [(None, True), (math.nan, True), (0.0, False), ("", False)])
def test_missing_values(value, missing):
    assert is_missing(value) is missing


def test_numbers_are_placed_by_size_between_the_ends_of_the_range():
    scale = Scale(pd.Series([2.0, 3.0]), Range(low=1, high=5))
    assert [scale.at(v) for v in (1, 2.0, 5)] == [0, 0.25, 1]
    assert scale.ticks() == [(0.0, "1"), (0.25, "2"), (0.5, "3"), (0.75, "4"), (1.0, "5")]


def test_numbers_of_a_logarithmic_range_are_placed_by_logarithm():
    scale = Scale(pd.Series([1e-3]), Range(low=1e-4, high=1.0, log=True))
    assert [scale.at(v) for v in (1e-4, 1e-3, 1e-2, 1.0)] == pytest.approx([0, 0.25, 0.5, 1])
    assert [text for _, text in scale.ticks()] == ["0.0001", "0.001", "0.01", "0.1", "1"]


def test_without_a_range_the_values_set_the_ends():
    assert Scale(pd.Series([2.0, 4.0, math.nan])).at(3.0) == 0.5
    assert Scale(pd.Series([2.0, 4.0, math.nan])).at(math.nan) is None
    same = Scale(pd.Series([2.0, 2.0]))
    assert (same.at(2.0), same.ticks()) == (0.5, [(0.5, "2")])


def test_other_values_are_placed_in_order():
    choices = Scale(pd.Series(["none"]), Choices(choices=("none", "greedy", "assignment")))
    assert [choices.at(v) for v in ("none", "greedy", "assignment")] == [0, 0.5, 1]
    switch = Scale(pd.Series([True, False, True]))
    assert [switch.at(v) for v in (False, True)] == [0, 1]
    assert switch.ticks() == [(0.0, "False"), (1.0, "True")]


def test_values_beyond_the_search_space_widen_the_scale():
    scale = Scale(pd.Series([2.0, 9.0]), Range(low=1, high=5))
    assert [scale.at(v) for v in (1, 5, 9.0)] == [0, 0.5, 1]
    zero = Scale(pd.Series([0.0]), Range(low=0.5, high=1.0, log=True))
    assert [zero.at(v) for v in (0.0, 0.5, 1.0)] == [0, 0.5, 1], "0 has no logarithm"
    choices = Scale(pd.Series(["none", "x"]), Choices(choices=("greedy", "none")))
    assert [choices.at(v) for v in ("greedy", "none", "x")] == [0, 0.5, 1]
