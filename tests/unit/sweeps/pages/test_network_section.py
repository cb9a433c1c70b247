import pytest
from support.example_sweeps import BASELINE, DOMINATED, FRONT

from sweeps.pages import network_section
from sweeps.pages.network_section import make_network_section


@pytest.fixture
def make():
    return lambda sweep: make_network_section(sweep.networks(), sweep.network_front(), sweep.spec)


def test_the_front_of_single_networks_is_a_table_with_values_on_test_rows(create, make):
    sweep = create([*FRONT, DOMINATED[0]], baseline=BASELINE, confirmed={0: (0.995, 29.0)})
    section, front = make(sweep), sweep.network_front()
    assert section["columns"] == [
        "trial",
        "seed",
        "val_score",
        "test_score",
        "connection_cost",
        "modularity",
        "active_weights",
    ]
    assert (section["count"], section["front"], len(section["rows"])) == (6 * 2 + 4, len(front), len(front))
    assert [row[0] for row in section["rows"]] == front["trial"].tolist()
    assert section["rows"][0][1].endswith(" (confirmation)")
    assert section["rows"][-1][1:3] == ["0", f"{front.iloc[-1]['val_score']:.4g}"]


def test_a_long_front_is_thinned_out(create, make, monkeypatch):
    monkeypatch.setattr(network_section, "MAX_ROWS", 2)
    sweep = create(FRONT)
    section, front = make(sweep), sweep.network_front()
    assert (section["front"], [row[0] for row in section["rows"]]) == (len(front), [0, 3])


def test_single_networks_of_trials_of_one_network_are_the_trials(create, make):
    assert make(create(FRONT, replicates=1)) is None
    assert make(create([], name="empty")) is None


def test_the_papers_rows_are_not_repeated(create, make):
    objectives = [{"metric": "test_score", "direction": "maximize"}]
    section = make(create(FRONT, published=True, objectives=objectives))
    assert section["columns"] == ["trial", "seed", "test_score", "modularity", "active_weights"]
