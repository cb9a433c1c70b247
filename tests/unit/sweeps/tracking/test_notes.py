import pytest

from bimt_core import METRICS
from sweeps.study.trial import Trial
from sweeps.tracking.notes import TAGS, describe_result, describe_sweep, describe_trial, make_front_table


def test_a_sweep_is_described_by_its_search_and_how_to_find_the_best(small_spec):
    note = describe_sweep(small_spec(description="As *small* as it gets."))
    assert note.startswith("As *small* as it gets.")
    assert "maximize **val_score**, minimize **connection_cost**" in note
    assert 'sweeps.open_sweep("small").pareto()' in note
    assert all(f"- `{name}`: {METRICS[name].description}\n" in note for name in METRICS)
    assert all(f"- `{name}`: {meaning}\n" in note for name, meaning in TAGS.items())
    assert "paper's rows" not in note


def test_data_seed_aggregate_and_rows_are_named(small_spec):
    objectives = [{"metric": "test_score", "direction": "maximize", "aggregate": "median"}]
    assert "Task `two_moons`: " in describe_sweep(small_spec())
    note = describe_sweep(small_spec(data_seed=7, published=True, objectives=objectives))
    assert "Task `two_moons` (data seed 7): " in note
    assert "maximize **test_score (median)**" in note
    assert note.startswith("**On the paper's rows**")


@pytest.mark.parametrize(
    ("role", "beginning"),
    [
        ("search", "val_score 2.5; connection_cost 3; modularity 3.000 in 3.0 communities.\n\n*Artifacts*: "),
        ("baseline", "**The published setting**"),
        ("replicates", "Further networks of a trial near the front."),
        ("confirmation", "Networks on seeds that the search has not used"),
    ],
)
def test_a_trial_is_described_by_its_purpose_and_values(small_spec, role, beginning):
    values = dict.fromkeys(METRICS, 3.0) | {"val_score": 2.5}
    spec = small_spec()
    trial = Trial(3, "COMPLETE", {}, role=role, values=values)
    note = describe_trial(trial, spec)
    assert note.startswith(beginning)
    assert "val_score 2.5; connection_cost 3; modularity" in note
    assert "Searched and confirmed" not in note
    assert describe_trial(trial, small_spec(published=True)).startswith("**On the paper's rows**")


def test_a_confirmed_trial_is_shown_beside_the_published_setting(sweep):
    found = sweep()
    baseline, lucky = found.confirmed[None][:2]
    rows = [line for line in describe_trial(lucky.trial, found.spec, [baseline, lucky]).splitlines() if line[:1] == "|"]
    assert [row.split(" | ")[0] for row in rows[2:]] == [
        "| published\N{NO-BREAK SPACE}setting",
        "| trial\N{NO-BREAK SPACE}000",
    ]


def test_a_result_has_the_front_the_published_setting_and_what_was_confirmed(sweep):
    found = sweep()
    note = describe_result(found.front, found.baseline, found.confirmed, found.spec)
    confirmed, front = note.split("**Pareto front**")
    assert "| trial 000 | 0.99 | 30 |" in front
    assert "| published setting | 0.91 | 25 |" in front
    assert "0.6\N{NO-BREAK SPACE}[0.5" in confirmed
    assert "\nLowest connection_cost at no worse val_score" in confirmed
    assert "Not confirmed" not in note
    assert note.endswith(describe_sweep(found.spec))


def test_a_result_on_other_data_is_apart(sweep):
    found = sweep()
    note = describe_result(found.front, None, {None: found.confirmed[None], 7: found.confirmed[None][:2]}, found.spec)
    assert note.count("**Searched and confirmed**") == 2
    assert "**Searched and confirmed**, on data of seed 7." in note


def test_a_front_that_is_not_confirmed_says_so(sweep, small_spec):
    found = sweep(confirmed={})
    assert "`bimt confirm small` trains the front" in describe_result(found.front, None, {}, found.spec)
    assert "Not confirmed" not in describe_result([], None, {}, found.spec)
    compared = small_spec(search={"steps": 40}, variants={"BIMT": {"relocation": "greedy"}}, trials=None)
    assert "Not confirmed" not in describe_result(found.front, None, {}, compared)


def test_the_front_table_has_values_and_hyperparameters(small_spec):
    values = dict.fromkeys(METRICS, 0.123456789)
    trial = Trial(3, "COMPLETE", {"cost_weight": 0.00123456, "steps": 40}, values=values, feasible=True)
    baseline = Trial(0, "COMPLETE", {"steps": 40}, role="baseline", values=values)
    assert make_front_table([trial], baseline, small_spec()) == {
        "columns": ["trial", "val_score", "connection_cost", "modularity", "cost_weight", "steps"],
        "data": [
            ["trial 003", 0.123456789, 0.123456789, 0.123456789, 0.00123456, 40],
            ["published setting", 0.123456789, 0.123456789, 0.123456789, None, 40],
        ],
    }
