import pytest
from support.example_sweeps import BASELINE, DOMINATED, FRONT

from sweeps.pages import charts
from sweeps.tracking.naming import PUBLISHED_SETTING


def by_name(traces):
    return {trace.name: trace for trace in traces}


def test_every_trial_is_in_one_group_with_its_errors(create, chart):
    trials = chart(create([*DOMINATED, *FRONT], baseline=BASELINE, constraints=["val_score >= 0.45"]))
    traces = charts.plot_groups(trials, "connection_cost", "val_score", showlegend=True, error_x=True)
    groups = by_name(traces)
    assert list(groups) == ["breaks a constraint", "other trials", "Pareto front", PUBLISHED_SETTING]
    front = groups["Pareto front"]
    points = dict(zip(front.customdata, zip(front.y, front.x, strict=True), strict=True))
    assert points == {10 + i: pytest.approx(pair) for i, pair in enumerate(FRONT)}
    assert front.error_x.array == pytest.approx([0.01] * 4)
    assert front.error_y.array == pytest.approx([0.01] * 4)
    published = groups[PUBLISHED_SETTING]
    assert (published.x, published.y, published.customdata) == ((40.0,), (0.93,), (14,))
    assert published.marker.symbol == "diamond"
    assert sorted(n for trace in traces for n in trace.customdata) == list(range(15))


def test_searched_values_are_hollow_beside_confirmed_ones(create, chart):
    trials = chart(create(FRONT, baseline=BASELINE))
    groups = by_name(charts.plot_groups(trials, None, "val_score", showlegend=True, faint_front=True))
    assert groups["Pareto front, searched"].marker.symbol == "circle-open"
    assert groups[f"{PUBLISHED_SETTING}, searched"].marker.symbol == "diamond-open"
    assert groups["Pareto front, searched"].x == (0, 1, 2, 3)


def test_bars_are_ordered_by_importance():
    chart = charts.plot_importance({"val_score": {"a": 0.1, "b": 0.9}, "modularity": {"a": 0.6, "b": 0.4}})
    assert [bar["y"] for bar in chart["data"]] == [["a", "b"]] * 2
    assert [bar["x"] for bar in chart["data"]] == [[0.1, 0.9], [0.6, 0.4]]


@pytest.mark.parametrize(
    ("low", "published", "kind"), [(1e-4, 1e-3, "log"), (0.0, 1e-3, "linear"), (1e-4, 0.0, "linear")]
)
def test_a_hyperparameter_above_0_has_a_logarithmic_axis(create, chart, low, published, kind):
    sweep = create(FRONT, baseline=BASELINE)
    trials = chart(sweep)
    trials.search["weight_factor"] = [low, 1e-3, 1e-2, 1e-1]
    trials.baseline["weight_factor"] = [published]
    drawn = charts.plot_against(trials, "weight_factor", ("val_score", "modularity"), sweep.spec)
    assert drawn["layout"]["xaxis"]["type"] == drawn["layout"]["xaxis2"]["type"] == kind
    assert drawn["data"][0]["x"] == [low, 1e-3, 1e-2, 1e-1]
    assert [trace["name"] for trace in drawn["data"]] == ["Pareto front", PUBLISHED_SETTING] * 2


def test_the_history_has_the_best_of_feasible_trials_so_far_and_the_published_setting(create, chart):
    results = [(0.2, 9.0), (0.6, 8.0), (0.5, 7.0), (0.99, 50.0), (0.7, 6.0)]
    sweep = create(results, baseline=BASELINE, constraints=["connection_cost <= 10"])
    data = charts.plot_history(chart(sweep), {0: 0.1, 4: 0.7}, sweep.spec)["data"]
    assert (data[0]["x"], data[0]["y"]) == ([0, 4], [0.1, 0.7])
    score, cost = (trace for trace in data if trace.get("name") == "best so far")
    assert score["x"] == [0, 1, 2, 4]
    assert score["y"] == pytest.approx([0.2, 0.6, 0.6, 0.7])
    assert cost["y"] == pytest.approx([9.0, 8.0, 7.0, 6.0])
    levels = [trace for trace in data if trace.get("name") == PUBLISHED_SETTING]
    assert [trace["y"] for trace in levels] == [pytest.approx([0.93] * 2), pytest.approx([40.0] * 2)]
    assert [trace["x"] for trace in levels] == [[0, 5]] * 2


def test_aggregates_are_named_on_the_axes(create, chart):
    objectives = [{"metric": "val_score", "direction": "maximize", "aggregate": "median"}]
    sweep = create(FRONT, objectives=objectives)
    drawn = charts.plot_history(chart(sweep), {}, sweep.spec)
    assert drawn["layout"]["yaxis"]["title"]["text"] == "val_score (median)"


def test_a_sweep_without_baseline_has_charts(create, chart):
    sweep = create(FRONT)
    names = {trace.get("name") for trace in charts.plot_history(chart(sweep), {}, sweep.spec)["data"]}
    assert names == {"a trial", "best so far"}


def test_figures_are_json_without_nan(create, chart):
    trials = chart(create([FRONT[0]]))
    trials.search["val_score_stderr"] = float("nan")
    (front,) = charts.plot_groups(trials, "val_score", "connection_cost", showlegend=True, error_x=True)
    assert front.error_x.array == (0.0,)
    assert charts.to_json(trials.search["reason"]) == [None]
