import itertools
import math

import pandas as pd
import pytest

from bimt_core import METRICS
from sweeps.results.network_frames import is_feasible, make_network_frame, select_network_front
from sweeps.study.trial import Trial

PARAMS = {"cost_weight": 1e-3, "steps": 40}


@pytest.fixture
def spec(small_spec):
    return small_spec(constraints=["val_score >= 0.5"])


def entry(number, points, seeds, role="search", of=None, data_seed=None, state="COMPLETE"):
    """An entry with a network per (val_score, connection cost)."""
    networks = {name: [0.0] * len(points) for name in METRICS}
    networks |= dict(zip(("val_score", "connection_cost"), map(list, zip(*points, strict=True)), strict=True))
    return Trial(number, state, PARAMS, role, of, tuple(seeds), data_seed, networks=networks)


@pytest.fixture
def entries():
    return [
        entry(0, [(0.9, 9.0)], [0], role="baseline"),
        entry(1, [(0.9, 5.0), (0.4, 1.0)], [0, 1]),
        entry(2, [(0.8, 6.0)], [2], role="replicates", of=1),
        entry(3, [(0.9, 5.0)], [0]),
        entry(4, [(0.95, 8.0), (0.6, 2.0)], [3, 4], role="confirmation", of=1),
        entry(5, [(1.0, 0.1)], [3], role="confirmation", of=1, data_seed=7),
        entry(6, [(1.0, 0.1)], [3], role="confirmation", of=3, state="FAIL"),
    ]


def test_every_network_of_every_phase_is_a_row(entries, spec):
    frame = make_network_frame(entries, spec)
    assert frame[["trial", "seed", "phase", "role"]].to_numpy().tolist() == [
        [0, 0, "search", "baseline"],
        [1, 0, "search", "search"],
        [1, 1, "search", "search"],
        [1, 2, "search", "search"],
        [1, 3, "confirmation", "search"],
        [1, 4, "confirmation", "search"],
        [1, 3, "confirmation", "search"],
        [3, 0, "search", "search"],
    ]
    assert frame["data_seed"].tolist() == [*[pd.NA] * 6, 7, pd.NA]
    assert frame["feasible"].tolist() == [True, True, False, True, True, True, True, True]
    assert frame["val_score"].tolist() == [0.9, 0.9, 0.4, 0.8, 0.95, 0.6, 1.0, 0.9]
    assert (frame["steps"] == 40).all()
    assert set(METRICS) < set(frame.columns)


def test_the_front_of_networks_is_that_of_feasible_ones_on_the_sweeps_own_data(entries, spec):
    frame = make_network_frame(entries, spec)
    front = select_network_front(frame, spec)
    assert front[["trial", "seed"]].to_numpy().tolist() == [[1, 3], [1, 0], [3, 0], [1, 4]]
    candidates = frame[frame["feasible"] & frame["data_seed"].isna()]
    better = {
        one
        for one, other in itertools.permutations(candidates.index, 2)
        if candidates.loc[other, "val_score"] >= candidates.loc[one, "val_score"]
        and candidates.loc[other, "connection_cost"] <= candidates.loc[one, "connection_cost"]
        and tuple(candidates.loc[other, ["val_score", "connection_cost"]])
        != tuple(candidates.loc[one, ["val_score", "connection_cost"]])
    }
    assert set(front.index) == set(candidates.index) - better


def test_test_rows_choose_nothing(entries, spec):
    frame = make_network_frame(entries, spec)
    changed = frame.assign(test_score=range(len(frame)), test_loss=range(len(frame)))
    assert select_network_front(changed, spec).index.tolist() == select_network_front(frame, spec).index.tolist()


def test_no_networks_make_empty_frames(spec):
    frame = make_network_frame([], spec)
    assert len(frame) == len(select_network_front(frame, spec)) == 0
    assert "val_score" in frame.columns


def test_a_network_without_a_value_is_not_feasible(spec):
    assert is_feasible({"val_score": 0.5}, spec)
    assert not is_feasible({"val_score": 0.49}, spec)
    assert not is_feasible({"val_score": math.nan}, spec)
