import json

import pytest
from support.example_sweeps import BASELINE, FRONT, create_sweep, example_spec

from sweeps.cli.listings import print_networks, print_trials
from sweeps.cli.tables import BIMODAL


@pytest.fixture
def sweep(tmp_path, small_spec):
    confirmed = {0: (0.80, 32.0), 1: (0.94, 21.0), None: (0.92, 41.0)}
    return create_sweep(tmp_path, example_spec(small_spec), FRONT, baseline=BASELINE, confirmed=confirmed)


def list_rows(text):
    return [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()]


def test_trials_are_listed_as_searched_with_the_baseline_marked(capsys, sweep):
    print_trials(sweep.trials(), sweep.spec, False, ("state", "confirmed"))
    out = capsys.readouterr().out
    rows = list_rows(out)
    assert [row[0] for row in rows] == ["0", "1", "2", "3", "4"]
    assert rows[4][1] == "baseline"
    assert [row[2] for row in rows[:4]] == ["4", "4", "no", "no"]
    assert "0.99 ±0.01" in out
    assert BIMODAL not in out


def test_the_front_is_listed_with_verdicts_and_test_rows(capsys, sweep):
    print_trials(sweep.pareto(), sweep.spec, False, ("still_on_front",), test=True)
    out = capsys.readouterr().out
    rows = list_rows(out)
    assert [" ".join(row[1:3]) for row in rows] == ["yes 0.94", "not confirmed", "no 0.8", "not confirmed"]
    assert "test" in out.splitlines()[2] or "test" in out.splitlines()[1]
    assert "Confirmed trials have the values of their confirmation, on fresh seeds.\n" in out
    assert max(map(len, out.splitlines())) <= 140


def test_the_published_mode_is_marked(capsys, sweep, small_spec):
    published = example_spec(small_spec, published=True)
    for show in (
        lambda: print_trials(sweep.trials(), published, False),
        lambda: print_networks(sweep.networks(), published, False),
    ):
        show()
        assert "Values are on the paper's rows.\n" in capsys.readouterr().out


def test_networks_are_listed_with_their_seeds_and_phases(capsys, sweep):
    print_networks(sweep.networks(), sweep.spec, False)
    rows = list_rows(capsys.readouterr().out)
    assert len(rows) == 5 * 2 + 3 * 4
    assert [row[:3] for row in rows[:3]] == [["0", "0", "search"], ["0", "1", "search"], ["0", "2", "confirmation"]]
    assert rows[-1][:4] == ["4", "baseline", "5", "confirmation"]


def test_lists_as_json_have_every_column(capsys, sweep):
    print_trials(sweep.pareto(), sweep.spec, True)
    rows = json.loads(capsys.readouterr().out)
    assert set(rows[0]) == {"trial", *sweep.pareto().columns}
    assert [row["front_probability"] for row in rows] == [1.0, None, 0.0, None]
    print_networks(sweep.networks(), sweep.spec, True)
    rows = json.loads(capsys.readouterr().out)
    assert set(rows[0]) == set(sweep.networks().columns)
    assert rows[0]["data_seed"] is None
