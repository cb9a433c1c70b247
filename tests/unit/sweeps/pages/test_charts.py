import itertools

import pytest
from support.example_sweeps import COST, DOMINATED, FRONT, MODULARITY, SCORE, create_sweep, example_spec

from sweeps.pages import charts


@pytest.fixture
def create(tmp_path, small_spec):
    """Creates the frame of completed trials, the numbers of the front, and the objectives."""

    def frames(results, **changes):
        sweep = create_sweep(tmp_path, example_spec(small_spec, **changes), results)
        return sweep.trials(), sweep.pareto().index.tolist(), sweep.spec.objectives

    return frames


def test_the_front_chart_has_every_trial_with_its_errors(create):
    chart = charts.plot_front(*create([*DOMINATED, *FRONT], constraints=["score >= 0.45"]))
    traces = {trace["name"]: trace for trace in chart["data"] if "name" in trace}
    assert traces.keys() == {"Pareto front", "other trials", "breaks a constraint"}
    front = traces["Pareto front"]
    points = dict(zip(front["customdata"], zip(front["x"], front["y"], strict=True), strict=True))
    assert points == {10 + i: pair for i, pair in enumerate(FRONT)}
    assert set(front["error_x"]["array"]) == set(front["error_y"]["array"]) == {0.01}
    assert sorted(n for trace in traces.values() for n in trace["customdata"]) == list(range(14))


def test_a_single_objective_is_plotted_by_number(create):
    trials, front, objectives = create(FRONT, objectives=[SCORE])
    (best, others) = charts.plot_front(trials, front, objectives)["data"][::-1]
    assert (best["x"], best["y"]) == ([0], [0.99])
    assert (others["x"], others["y"]) == ([1, 2, 3], [0.95, 0.9, 0.5])


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
    results = [(0.9, 3.0, 0.2), (0.8, 2.0, 0.4), (0.7, 1.0, 0.6)]
    stairs = charts.plot_front(*create(results, objectives=[first, second]))["data"][-1]
    steps = list(itertools.pairwise(zip(stairs["x"], stairs["y"], strict=True)))
    if stairs["line"]["shape"] == "hv":
        assert [(x1, y0) for (_, y0), (x1, _) in steps] == corners
    else:
        assert [(x0, y1) for (x0, _), (_, y1) in steps] == corners


def test_bars_are_ordered_by_importance(create):
    chart = charts.plot_importance({"score": {"a": 0.1, "b": 0.9}, "modularity": {"a": 0.6, "b": 0.4}})
    assert [bar["y"] for bar in chart["data"]] == [["a", "b"]] * 2
    assert [bar["x"] for bar in chart["data"]] == [[0.1, 0.9], [0.6, 0.4]]


@pytest.mark.parametrize(("low", "kind"), [(1e-4, "log"), (0.0, "linear")])
def test_a_hyperparameter_above_0_has_a_logarithmic_axis(create, low, kind):
    trials, front, _ = create(FRONT)
    trials["weight_factor"] = [low, 1e-3, 1e-2, 1e-1]
    chart = charts.plot_against(trials, front, "weight_factor", ("score", "modularity"))
    assert chart["layout"]["xaxis"]["type"] == chart["layout"]["xaxis2"]["type"] == kind
    assert chart["data"][0]["x"] == [low, 1e-3, 1e-2, 1e-1]


def test_the_history_has_the_best_of_feasible_trials_so_far(create):
    results = [(0.2, 9.0), (0.6, 8.0), (0.5, 7.0), (0.99, 50.0), (0.7, 6.0)]
    trials, _, objectives = create(results, constraints=["connection_cost <= 10"])
    data = charts.plot_history(trials, {0: 0.1, 4: 0.7}, objectives)["data"]
    assert (data[0]["x"], data[0]["y"]) == ([0, 4], [0.1, 0.7])
    score, cost = (trace for trace in data if trace.get("name") == "best so far")
    assert score["x"] == [0, 1, 2, 4]
    assert score["y"] == [0.2, 0.6, 0.6, 0.7]
    assert cost["y"] == [9.0, 8.0, 7.0, 6.0]


def test_figures_are_json_without_nan(create):
    trials, front, objectives = create([FRONT[0]])
    trials["score_stderr"] = float("nan")
    assert charts.plot_front(trials, front, objectives)["data"][0]["error_x"]["array"] == [0.0]
