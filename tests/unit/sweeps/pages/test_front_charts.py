import itertools
import math

import pytest
from support.example_sweeps import BASELINE, COST, DOMINATED, FRONT, MODULARITY, SCORE

from sweeps.pages import front_charts
from sweeps.pages.front_charts import plot_front, plot_network_front, plot_staircase
from sweeps.tracking.naming import PUBLISHED_SETTING

CONFIRMED = {None: (0.9, 38.0), 0: (0.6, 31.0), 1: (0.93, 19.0), 2: (0.9, 10.0), 3: (0.5, 1.0)}


def by_name(drawn):
    return {trace["name"]: trace for trace in drawn["data"] if "name" in trace}


def test_a_front_that_is_not_confirmed_is_drawn_as_searched(create, chart):
    sweep = create([*DOMINATED, *FRONT], baseline=BASELINE)
    drawn = plot_front(chart(sweep), [], sweep.spec)
    traces = by_name(drawn)
    assert traces.keys() == {"Pareto front", "other trials", PUBLISHED_SETTING}
    assert sorted(n for trace in traces.values() for n in trace["customdata"]) == list(range(15))
    assert drawn["layout"]["xaxis"]["title"]["text"] == "val_score; more is better"


def test_confirmed_trials_have_a_second_point_with_its_interval(create, chart, judge):
    sweep = create([*FRONT, DOMINATED[0]], baseline=BASELINE, confirmed=CONFIRMED)
    confirmed = judge(sweep)
    drawn = plot_front(chart(sweep), confirmed, sweep.spec)
    traces = by_name(drawn)
    lost = traces["confirmed: no longer on the front"]
    assert (lost["customdata"], lost["x"], lost["y"]) == ([0], pytest.approx([0.6]), pytest.approx([31.0]))
    score = next(one for one in confirmed if one.trial.number == 0).objectives[0]
    assert lost["error_x"]["array"] == pytest.approx([score.high - 0.6])
    assert lost["error_x"]["arrayminus"] == pytest.approx([0.6 - score.low])
    assert traces["confirmed: still on the front"]["customdata"] == [1, 2, 3]
    published = traces[f"{PUBLISHED_SETTING}, confirmed"]
    assert (published["x"], published["y"]) == (pytest.approx([0.9]), pytest.approx([38.0]))
    assert drawn["layout"]["xaxis"]["title"]["text"] == "val_score searched, test_score confirmed; more is better"
    assert drawn["layout"]["yaxis"]["title"]["text"] == "connection_cost; less is better"


def test_lines_lead_from_searched_to_confirmed_values(create, chart, judge):
    sweep = create(FRONT, baseline=BASELINE, confirmed={None: (0.9, 38.0), 0: (0.6, 31.0)})
    drops = plot_front(chart(sweep), judge(sweep), sweep.spec)["data"][0]
    assert drops["x"] == [pytest.approx(0.93), pytest.approx(0.9), None, pytest.approx(0.99), pytest.approx(0.6), None]
    assert drops["y"][3:5] == pytest.approx([30.0, 31.0])


def test_the_border_is_that_of_the_confirmed_front(create, chart, judge):
    sweep = create(FRONT, baseline=(0.999, 0.1), confirmed=CONFIRMED | {None: (0.999, 0.1)})
    stairs = plot_front(chart(sweep), judge(sweep), sweep.spec)["data"][-1]
    assert stairs["x"] == pytest.approx([0.5, 0.9, 0.93]), "neither trial 0, which was lucky, nor the baseline"


def test_a_single_network_has_no_interval(create, chart, judge):
    sweep = create(FRONT, confirmed={0: (0.6, 31.0)}, n_confirmed=1)
    (confirmed,) = judge(sweep)
    assert math.isnan(confirmed.objectives[0].low)
    trace = by_name(plot_front(chart(sweep), [confirmed], sweep.spec))["confirmed: still on the front"]
    assert trace["error_x"]["array"] == trace["error_x"]["arrayminus"] == [0.0]


def test_a_single_objective_is_plotted_by_number(create, chart, judge):
    sweep = create(FRONT, objectives=[SCORE], confirmed={0: (0.6, 31.0)})
    traces = by_name(plot_front(chart(sweep), judge(sweep), sweep.spec))
    assert (traces["Pareto front, searched"]["x"], traces["confirmed: still on the front"]["x"]) == ([0], [0])
    assert traces["other trials"]["x"] == [1, 2, 3]
    assert "error_x" not in traces["confirmed: still on the front"]


@pytest.mark.parametrize(
    ("first", "second", "corners"),
    [
        (SCORE, COST, [(0.7, 2.0), (0.8, 3.0)]),
        (COST, SCORE, [(2.0, 0.7), (3.0, 0.8)]),
        (COST, MODULARITY | {"direction": "minimize"}, [(2.0, 0.6), (3.0, 0.4)]),
        (SCORE, MODULARITY, [(0.7, 0.4), (0.8, 0.2)]),
    ],
)
def test_the_staircase_is_the_border_of_the_dominated_region(create, first, second, corners):
    results = {"val_score": (0.9, 0.8, 0.7), "connection_cost": (3.0, 2.0, 1.0), "modularity": (0.2, 0.4, 0.6)}
    spec = create([], objectives=[first, second]).spec
    points = list(zip(*(results[objective["metric"]] for objective in (first, second)), strict=True))
    stairs = plot_staircase(points, spec)
    steps = list(itertools.pairwise(zip(stairs.x, stairs.y, strict=True)))
    if stairs.line.shape == "hv":
        assert [(x1, y0) for (_, y0), (x1, _) in steps] == corners
    else:
        assert [(x0, y1) for (x0, _), (_, y1) in steps] == corners


def test_three_objectives_have_a_panel_per_pair_and_one_legend(create, chart, judge):
    results = [(0.9, 3.0, 0.2), (0.8, 2.0, 0.4)]
    sweep = create(results, objectives=[SCORE, COST, MODULARITY], confirmed={0: results[0]})
    drawn = plot_front(chart(sweep), judge(sweep), sweep.spec)
    front = [trace for trace in drawn["data"] if trace.get("name") == "Pareto front, searched"]
    assert [trace["showlegend"] for trace in front] == [True, False, False]
    assert "yaxis3" in drawn["layout"]


def test_aggregates_are_named_on_the_axes(create, chart):
    objectives = [SCORE | {"aggregate": "median"}, COST]
    sweep = create(FRONT, objectives=objectives)
    title = plot_front(chart(sweep), [], sweep.spec)["layout"]["xaxis"]["title"]["text"]
    assert title == "val_score (median); more is better"


def test_single_networks_are_drawn_with_their_front(create, chart):
    sweep = create([*FRONT, DOMINATED[0]], baseline=BASELINE, confirmed={0: (0.6, 31.0)})
    networks, front = sweep.networks(), sweep.network_front()
    traces = by_name(plot_network_front(networks, front, chart(sweep), sweep.spec))
    assert len(traces["a network"]["x"]) + len(traces["front of single networks"]["x"]) == 5 * 2 + 4
    assert traces[f"a network of the {PUBLISHED_SETTING}"]["customdata"] == [5, 5]
    assert traces["front of single networks"]["customdata"] == front["trial"].tolist()
    first = front.iloc[0]
    assert (
        traces["front of single networks"]["text"][0]
        == f"trial {first['trial']}, seed {first['seed']}<br>test_score {first['test_score']:.4g}"
    )
    assert traces["front of configurations"]["x"] == pytest.approx([0.5, 0.9, 0.95, 0.99])


def test_dots_are_limited_but_the_front_is_whole(create, chart, monkeypatch):
    monkeypatch.setattr(front_charts, "MAX_DOTS", 3)
    sweep = create([*DOMINATED, *FRONT])
    front = sweep.network_front()
    traces = by_name(plot_network_front(sweep.networks(), front, chart(sweep), sweep.spec))
    assert len(traces["a network"]["x"]) == 3
    assert len(traces["front of single networks"]["x"]) == len(front)


def test_networks_of_one_objective_are_plotted_by_trial(create, chart):
    sweep = create(FRONT, objectives=[SCORE])
    traces = by_name(plot_network_front(sweep.networks(), sweep.network_front(), chart(sweep), sweep.spec))
    assert traces["front of single networks"]["x"] == [0]
    assert set(traces["a network"]["x"]) == {0, 1, 2, 3}
