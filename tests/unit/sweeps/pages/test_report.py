import json
import re

import yaml
from support.example_sweeps import BASELINE, DIAGRAM, DOMINATED, FRONT, REASON, SEARCH

from sweeps.pages import report as report_module
from sweeps.pages.report import render_report
from sweeps.spec.sweep import parse_spec

CONFIRMED = {None: (0.9, 38.0), 0: (0.6, 31.0), 1: (0.93, 19.0)}


def read_data(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def test_the_front_comes_first_and_in_order(create):
    data = read_data(render_report(create([*DOMINATED, *reversed(FRONT)]), {}))
    assert data["front"] == [13, 12, 11, 10]
    assert data["order"][:4] == [13, 12, 11, 10]
    assert len(data["trials"]) == 14
    assert data["trials"]["13"]["metrics"][:3] == [
        ["val_score", "0.99 ±0.01", ""],
        ["test_score", "0.99 ±0.01", ""],
        ["connection_cost", "30 ±0.01", ""],
    ]
    searched = [name for name in SEARCH if name != "cost_phases"]
    assert [name for name, _ in data["trials"]["13"]["params"]] == searched
    assert [chart["name"] for chart in data["charts"]] == [
        "pareto",
        "networks",
        "parallel",
        "importance",
        "lambda",
        "history",
    ]


def test_the_published_setting_comes_first(create):
    data = read_data(render_report(create(FRONT, baseline=BASELINE), {}))
    assert data["order"] == [4, 0, 1, 2, 3]
    assert (data["baseline"], data["front"]) == (4, [0, 1, 2, 3])
    published = data["trials"]["4"]
    assert published["metrics"][0] == ["val_score", "0.93 ±0.01", ""]
    assert published["verdict"] == ""
    assert all(
        any(trace.get("name", "").startswith("published") for trace in chart["figure"]["data"])
        for chart in data["charts"]
        if chart["name"] not in ("importance", "networks")
    )


def test_confirmed_values_are_on_the_cards_in_the_table_and_in_the_chart(create):
    data = read_data(render_report(create(FRONT, baseline=BASELINE, confirmed=CONFIRMED), {}))
    lucky = data["trials"]["0"]
    names = [(name, kind) for name, _, kind in lucky["metrics"][:5]]
    assert names == [
        ("val_score", ""),
        ("test_score", ""),
        ("confirmed", "confirmed"),
        ("connection_cost", ""),
        ("confirmed", "confirmed"),
    ]
    assert lucky["metrics"][2][1].startswith("0.6 [")
    assert [data["trials"][n]["verdict"] for n in "0123"] == ["no", "yes", "", ""]
    assert [row["trial"] for row in data["confirmed"]["tables"][0]["rows"]] == [4, 0, 1, 2, 3]
    names = {trace.get("name") for trace in data["charts"][0]["figure"]["data"]}
    assert {"confirmed: still on the front", "confirmed: no longer on the front"} < names


def test_the_papers_rows_are_marked_and_not_repeated(create):
    objectives = [{"metric": "test_score", "direction": "maximize"}]
    data = read_data(render_report(create(FRONT, published=True, objectives=objectives), {}))
    assert data["published"] is True
    names = [name for name, _, _ in data["trials"]["0"]["metrics"]]
    assert names == ["test_score", "connection_cost", "modularity", "communities", "active_weights"]


def test_bimodal_trials_and_aggregates_are_marked(create):
    objectives = [{"metric": "val_score", "direction": "maximize", "aggregate": "best_quarter"}]
    sweep = create(FRONT, objectives=objectives, replicates=4, confirmed={0: (0.4, 30.0)})
    data = read_data(render_report(sweep, {}))
    assert data["trials"]["0"]["mark"] == "two groups of networks"
    assert data["objectives"][0]["aggregate"] == "best quarter"
    assert data["trials"]["0"]["metrics"][0][0] == "val_score (best quarter)"


def test_a_configuration_trains_the_trial_again(create):
    sweep = create([*FRONT, None], baseline=BASELINE)
    params = {str(trial.number): trial.params for trial in sweep.completed_trials()}
    for number, trial in read_data(render_report(sweep, {}))["trials"].items():
        spec = parse_spec(yaml.safe_load(trial["yaml"]))
        assert (spec.trials, spec.seeds, spec.searched) == (1, sweep.spec.seeds, ())
        assert spec.recipe(spec.fixed) == sweep.spec.recipe(params[number])


def test_variants_have_configurations_too(create):
    variants = {"vanilla": {"cost_weight": 0, "relocation": "none"}, "BIMT": {"relocation": "greedy"}}
    data = read_data(render_report(create(FRONT[:2], search={"steps": 40}, variants=variants, trials=None), {}))
    assert {dict(trial["params"])["variant"] for trial in data["trials"].values()} == {"vanilla", "BIMT"}
    for trial in data["trials"].values():
        assert parse_spec(yaml.safe_load(trial["yaml"])).variants == {}
    assert [chart["name"] for chart in data["charts"]] == ["pareto", "networks", "parallel", "history"]


def test_text_cannot_leave_the_script_that_holds_it(create):
    nasty = "</script><script>alert(1)</script> __PLOTLY__ __DATA__"
    page = render_report(create([*FRONT, None], description=nasty), {0: nasty})
    assert "<script>alert(1)" not in page
    assert read_data(page)["description"] == nasty
    assert read_data(page)["failures"] == [[4, REASON]]


def test_a_sweep_without_completed_trials_has_no_charts(create):
    data = read_data(render_report(create([None]), {}))
    assert data["trials"] == {}
    assert data["front"] == data["charts"] == []
    assert data["counts"]["fail"] == 1


def test_diagrams_are_limited_and_the_front_comes_first(create, monkeypatch):
    monkeypatch.setattr(report_module, "MAX_DIAGRAMS", 6 * len(DIAGRAM))
    sweep = create([*DOMINATED, *FRONT])
    diagrams = read_data(render_report(sweep, dict.fromkeys(range(14), DIAGRAM)))["diagrams"]
    assert len(diagrams) == 6
    assert {"10", "11", "12", "13"} < diagrams.keys()
