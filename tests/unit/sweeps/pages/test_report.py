import json
import re

import pytest
import yaml
from support.example_sweeps import DIAGRAM, DOMINATED, FRONT, REASON, SEARCH, create_sweep, example_spec

from sweeps.pages import report as report_module
from sweeps.pages.report import render_report
from sweeps.spec.sweep import parse_spec


@pytest.fixture
def create(tmp_path, small_spec):
    """Creates sweeps with given results and changes of the spec."""
    return lambda results, **changes: create_sweep(tmp_path / "store", example_spec(small_spec, **changes), results)


def read_data(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def test_the_front_comes_first_and_in_order(create):
    data = read_data(render_report(create([*DOMINATED, *reversed(FRONT)]), {}))
    assert data["front"] == [13, 12, 11, 10]
    assert list(data["trials"])[:4] == ["13", "12", "11", "10"]
    assert len(data["trials"]) == 14
    assert data["trials"]["13"]["metrics"][0] == ["score", "0.99 ±0.01"]
    searched = [name for name in SEARCH if name != "cost_phases"]
    assert [name for name, _ in data["trials"]["13"]["params"]] == searched
    assert [chart["name"] for chart in data["charts"]] == ["pareto", "parallel", "importance", "lambda", "history"]


def test_a_configuration_trains_the_trial_again(create):
    sweep = create([*FRONT, None])
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
    assert [chart["name"] for chart in data["charts"]] == ["pareto", "parallel", "history"]


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
