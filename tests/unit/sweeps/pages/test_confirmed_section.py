import json

import pytest
from support.example_sweeps import BASELINE, DOMINATED, FRONT

from sweeps.pages.confirmed_section import TWO_GROUPS, make_confirmed_section
from sweeps.study.confirmation import judge_all_confirmed
from sweeps.study.front import select_front
from sweeps.study.gains import find_baseline

CONFIRMED = {None: (0.9, 38.0), 0: (0.6, 31.0), 1: (0.93, 19.0)}


@pytest.fixture
def make():
    """Makes the section of a sweep."""

    def make(sweep, confirmed=None):
        trials = sweep.completed_trials()
        front = select_front(trials, sweep.spec.objectives)
        judged = judge_all_confirmed(trials, sweep.spec) if confirmed is None else confirmed
        return make_confirmed_section(front, find_baseline(trials), judged, sweep.spec)

    return make


def test_the_published_setting_comes_first_and_then_the_front_as_searched(create, make):
    section = make(create([*reversed(FRONT), DOMINATED[0]], baseline=BASELINE, confirmed={None: BASELINE}))
    (table,) = section["tables"]
    assert [row["trial"] for row in table["rows"]] == [5, 3, 2, 1, 0]
    assert table["columns"] == [
        {"searched": "val_score", "confirmed": "test_score"},
        {"searched": "connection_cost", "confirmed": "connection_cost"},
    ]


def test_rows_have_searched_and_confirmed_values_and_what_was_gained(create, make):
    rows = make(create(FRONT, baseline=BASELINE, confirmed=CONFIRMED))["tables"][0]["rows"]
    published, lucky, good, other = rows[:4]
    score, cost = lucky["cells"]
    assert (score["searched"], score["confirmed"][:5]) == ("0.99 ±0.01", "0.6 [")
    assert score["ratio"].startswith("0.667 [")
    assert (score["change"], cost["change"]) == ("loss", "gain")
    assert score["p"] == "0.029", "4 networks against 4"
    assert (lucky["verdict"], lucky["probability"]) == ("no", "0%")
    assert (good["verdict"], good["probability"], good["networks"]) == ("yes", "100%", "2 + 4")
    assert [cell["ratio"] for cell in published["cells"]] == ["", ""]
    assert (published["verdict"], published["probability"]) == ("", "")
    assert [cell["confirmed"] for cell in other["cells"]] == ["not confirmed"] * 2
    assert (other["verdict"], other["networks"]) == ("not confirmed", "2")


def test_what_is_not_confirmed_is_said(create, make):
    section = make(create(FRONT, baseline=BASELINE))
    assert section["notes"][0].startswith("Not confirmed: these values chose the front")
    assert "bimt confirm small trains" in section["notes"][0]
    assert section["gains"] == []
    section = make(create(FRONT, baseline=BASELINE, name="later", confirm={"replicates": 4}))
    assert section["notes"][0].startswith("Not confirmed yet: ")
    section = make(create(FRONT, baseline=BASELINE, name="some", confirmed=CONFIRMED))
    assert section["notes"] == ["2 of 5 configurations are not confirmed."]
    assert len(section["gains"]) == 2


def test_a_failed_confirmation_is_said(create, make):
    sweep = create(FRONT[:2])
    study = sweep._study
    failed = study.start_networks("confirmation", sweep.spec.confirmation_seeds(4), 0)
    study.fail(failed.number, "replicate 2 diverged")
    notes = make(sweep)["notes"]
    assert notes[0].startswith("Not confirmed")
    assert notes[1:] == ["Trial 0: replicate 2 diverged"]


def test_there_is_nothing_to_confirm_without_a_front_or_with_variants(create, make):
    assert make(create([])) is None
    variants = {"vanilla": {"cost_weight": 0, "relocation": "none"}, "BIMT": {"relocation": "greedy"}}
    compared = create(FRONT[:2], name="compared", search={"steps": 40}, variants=variants, trials=None)
    assert make(compared) is None


def test_other_data_have_a_table_of_their_own(create, make):
    sweep = create(FRONT, baseline=BASELINE, confirmed=CONFIRMED)
    own = judge_all_confirmed(sweep.completed_trials(), sweep.spec)[None]
    first, second = make(sweep, {None: own, 7: own[:2]})["tables"]
    assert (first["data_seed"], second["data_seed"]) == (None, 7)
    assert [len(first["rows"]), len(second["rows"])] == [5, 2]
    (alone, other) = make(sweep, {7: own[:2]})["tables"]
    assert [row["verdict"] for row in alone["rows"]] == ["not confirmed"] * 5
    assert other["data_seed"] == 7


def test_aggregates_and_bimodal_trials_are_marked(create, make):
    objectives = [{"metric": "val_score", "direction": "maximize", "aggregate": "median"}]
    (table,) = make(create(FRONT, objectives=objectives, confirmed={0: (0.4, 30.0)}))["tables"]
    assert table["columns"] == [{"searched": "val_score (median)", "confirmed": "test_score (median)"}]
    (row,) = table["rows"]
    assert row["mark"] == TWO_GROUPS, "networks at 0.99 and at 0.4"


def test_a_section_is_plain_data(create, make):
    for n, name in enumerate(("one", "many")):
        confirmed = {None: (0.0, 38.0), 0: (0.6, 31.0)}
        sweep = create(FRONT, name=name, replicates=1 + n, baseline=BASELINE, confirmed=confirmed, n_confirmed=1 + n)
        json.dumps(make(sweep), allow_nan=False)
