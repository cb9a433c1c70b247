import json
import math

import pytest

from sweeps.study.confirmation import judge_all_confirmed
from sweeps.study.group_comparison import Comparison
from sweeps.tracking.confirmed_table import (
    NO_BREAK,
    NOT_BETTER,
    describe_gains,
    format_comparison,
    format_confirmed,
    format_interval,
    make_confirmed_table,
)


def read_rows(table):
    return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]


def test_the_table_has_searched_and_confirmed_values_with_the_published_setting_first(sweep):
    found = sweep()
    rows = read_rows(make_confirmed_table(found.confirmed, found.spec))
    assert [row["trial"] for row in rows] == ["published setting", "trial 000", "trial 001", "trial 002", "trial 003"]
    lucky = rows[1]
    assert (lucky["val_score searched"], lucky["test_score confirmed"]) == pytest.approx((0.99, 0.6))
    assert lucky["test_score low"] < 0.6 < lucky["test_score high"]
    assert lucky["connection_cost / published"] == pytest.approx(31 / 24, rel=1e-5)
    assert (lucky["probability of being on the front"], lucky["still on the front"]) == (0.0, "no")
    assert (lucky["networks searched"], lucky["networks confirmed"]) == (2, 4)
    assert rows[2]["still on the front"] == "yes"


def test_the_published_setting_is_not_compared_with_itself(sweep):
    found = sweep()
    baseline = read_rows(make_confirmed_table(found.confirmed, found.spec))[0]
    empty = {name for name, value in baseline.items() if value is None}
    assert empty == {
        *(f"{m} / published{end}" for m in ("test_score", "connection_cost") for end in ("", " low", " high")),
        "test_score p",
        "connection_cost p",
        "probability of being on the front",
        "still on the front",
    }


def test_values_that_are_not_finite_are_empty(sweep):
    found = sweep(confirmed={1: (0.92, 12.0)}, replicates=1)
    (row,) = read_rows(make_confirmed_table(found.confirmed, found.spec))
    assert row["val_score searched stderr"] is None
    assert not any(name.endswith(" p") for name in row), "there is no confirmed baseline"
    json.dumps(row, allow_nan=False)


def test_confirmations_on_other_data_have_their_seed(sweep):
    found = sweep()
    both = {None: found.confirmed[None], 7: found.confirmed[None][:1]}
    rows = read_rows(make_confirmed_table(both, found.spec))
    assert [row["data seed"] for row in rows] == [None] * 5 + [7]


def test_the_markdown_table_shows_drops(sweep):
    found = sweep()
    text = format_confirmed(found.confirmed[None], found.spec).replace(NO_BREAK, " ")
    lines = [line.split(" | ") for line in text.strip().splitlines()]
    assert lines[0][:4] == ["| trial", "val_score, searched", "test_score, confirmed", "/ published"]
    published, lucky = lines[2:4]
    assert published[:2] == ["| published setting", "0.91 ±0.01"]
    assert published[2].startswith("0.9 [0.8")
    assert published[3:] == ["", "25 ±0.01", "24 [24, 24]", "", " |"]
    assert lucky[1] == "0.99 ±0.01"
    assert lucky[2].startswith("0.6 [0.5")
    assert lucky[3:] == ["0.667*", "30 ±0.01", "31 [31, 31]", "1.29*", "no (0%) |"]


def test_other_aggregates_are_named(sweep):
    objectives = [{"metric": "val_score", "direction": "maximize", "aggregate": "median"}]
    found = sweep(objectives=objectives)
    head = format_confirmed(found.confirmed[None], found.spec).splitlines()[0]
    assert "val_score (median), searched | test_score (median), confirmed" in head


def test_gains_are_chosen_as_searched_and_told_as_confirmed(sweep):
    found = sweep()
    score, cost = describe_gains(found.confirmed[None], found.spec)
    assert score.startswith(
        "Highest val_score at no worse connection_cost than the published setting, as searched: tri"
    )
    assert cost.startswith("Lowest connection_cost at no worse val_score than the published setting")
    for line in (score, cost):
        assert "trial 001. Confirmed: test_score times 1.02 [" in line
        assert "connection_cost times 0.5 [" in line


def test_a_sweep_may_gain_nothing_or_lack_a_baseline(sweep):
    found = sweep(baseline=(0.999, 0.1))
    assert describe_gains(found.confirmed[None], found.spec) == [NOT_BETTER]
    without = [one for one in found.confirmed[None] if one.trial.role == "search"]
    assert describe_gains(without, found.spec) == []


def test_ratios_without_meaning_are_left_out():
    assert format_comparison(Comparison(-3.0, math.nan, math.nan, 0.04)) == "no ratio, p 0.04"
    assert format_comparison(Comparison(0.123456, 0.1, math.inf, 1e-5)) == "0.123 [0.1, inf], p 1e-05"
    assert format_interval(1234.5678, 1000.0, 2000.0) == "1235 [1000, 2000]"


def test_without_confirmations_there_is_nothing_to_judge(sweep):
    found = sweep(confirmed={})
    assert judge_all_confirmed(found.trials, found.spec) == {}
    assert make_confirmed_table({}, found.spec) == {"columns": [], "data": []}
