import io

import pytest
from rich.console import Console
from support.example_sweeps import BASELINE, FRONT, create_sweep, example_spec

from sweeps.cli.tables import BIMODAL, explain_marks, format_value, label_trial, render_confirmed, render_front
from sweeps.study.trial import Trial

METRICS = ("val_score", "connection_cost", "modularity")


def make_trial(number, scores=(0.9, 0.91)):
    networks = {"val_score": list(scores), "connection_cost": [1.0] * len(scores)}
    return Trial(
        number,
        "COMPLETE",
        {"cost_weight": 0.01 * number},
        networks=networks,
        values=dict.fromkeys(METRICS, number / 10),
        stderr=dict.fromkeys(METRICS, 0.01),
    )


def render(table):
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return console.file.getvalue()


def list_rows(text):
    """Rows of a table, which begin with a trial."""
    return [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()]


@pytest.fixture
def sweep(tmp_path, small_spec):
    """A front of four trials, of which three are confirmed: one has dropped from the front."""
    confirmed = {0: (0.80, 32.0), 1: (0.94, 21.0), 2: (0.91, 11.0), None: (0.92, 41.0)}
    return create_sweep(tmp_path, example_spec(small_spec), FRONT, baseline=BASELINE, confirmed=confirmed)


def render_sweep(sweep, spec=None):
    front = [trial for trial in sweep.completed_trials() if trial.role == "search"]
    return render(render_confirmed(front, sweep.confirmed_trials(), spec or sweep.spec, "Searched and confirmed"))


def test_a_front_is_sorted_by_its_first_objective(small_spec):
    text = render(render_front([make_trial(n) for n in (1, 3, 2)], small_spec(), "Pareto front"))
    assert text.splitlines()[0].strip() == "Pareto front"
    assert [row[0] for row in list_rows(text)] == ["3", "2", "1"]
    assert "0.3 ±0.01" in text


def test_a_bimodal_trial_is_marked(small_spec):
    trials = [make_trial(1), make_trial(2, (0.99, 0.99, 0.5, 0.98))]
    text = render(render_front(trials, small_spec(), "Pareto front"))
    assert [row[0] for row in list_rows(text)] == ["2*", "1"]
    assert explain_marks(trials, small_spec()) == [BIMODAL]
    assert explain_marks(trials[:1], small_spec()) == []
    assert label_trial(2, "baseline", bimodal=True) == "2* baseline"


def test_an_aggregate_is_named(small_spec):
    objective = {"metric": "val_score", "direction": "maximize", "aggregate": "median"}
    text = render(render_front([make_trial(1)], small_spec(objectives=[objective]), "Pareto front"))
    assert "(median)" in text


def test_searched_and_confirmed_values_are_side_by_side_and_drops_stay(sweep):
    rows = list_rows(render_sweep(sweep))
    assert [row[:2] for row in rows] == [
        ["4", "baseline"],
        *[[str(n), s] for n, s in enumerate(("0.99", "0.95", "0.9", "0.5"))],
    ]
    verdicts = [" ".join(row[-2:]) for row in rows[1:]]
    assert verdicts == ["no (0%)", "yes (99%)", "yes (100%)", "not confirmed"]
    assert rows[1][1:4] == ["0.99", "±0.01", "0.8"]
    low, high = float(rows[1][4].strip("[,")), float(rows[1][5].strip("]"))
    assert (low, high) == pytest.approx((0.8 - 0.032, 0.8 + 0.032), abs=0.002), "Student's t with 3 degrees of freedom"
    assert rows[1][-5:-2] == ["2", "+", "4"], "networks"


def test_values_on_the_papers_rows_are_marked(sweep, small_spec):
    published = example_spec(small_spec, published=True)
    assert "Searched and confirmed (on the paper's rows)" in render_sweep(sweep, published)
    assert "Pareto front (on the paper's rows)" in render(render_front([], published, "Pareto front"))
    assert "paper" not in render_sweep(sweep)


def test_values_of_hyperparameters_are_short():
    values = (0.00034567, 3, "greedy", None, True)
    assert [format_value(value) for value in values] == ["0.000346", "3", "greedy", "", "True"]
