import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.cluster import sharing
from sweeps.cluster.sharing import Share, divide_evenly


def test_parts_are_even_but_not_larger_than_wanted():
    for wanted, parts in [
        ([0.3], [0.3]),
        ([1.0], [1.0]),
        ([1.0, 1.0], [0.5, 0.5]),
        ([1.0, 0.1], [0.9, 0.1]),
        ([1.0, 1.0, 0.2], [0.4, 0.4, 0.2]),
    ]:
        assert divide_evenly(wanted) == pytest.approx(parts)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_parts_are_fair(wanted):
    parts = divide_evenly(wanted)
    assert sum(parts) <= 1 + 1e-9
    assert all(0 <= part <= want + 1e-9 for part, want in zip(parts, wanted, strict=True))
    short = [part for part, want in zip(parts, wanted, strict=True) if part < want - 1e-9]
    if short:  # nothing is left over, and who has less than wanted has as much as anyone
        assert sum(parts) == pytest.approx(1)
        assert min(short) == pytest.approx(max(parts))


def test_claims_are_read_again_only_when_they_are_old(monkeypatch):
    claims, now = [json.dumps({"wants": 1.0})], [0.0]
    monkeypatch.setattr(sharing, "_list_claims", lambda: claims)
    monkeypatch.setattr(sharing.time, "monotonic", lambda: now[0])
    share = Share("own", slots=10, max_cohorts=8)
    assert share() == 5
    claims.clear()
    assert share() == 5
    now[0] = sharing.MAX_AGE_S + 0.1
    assert share() == 8


def test_a_share_is_at_least_one_cohort(monkeypatch):
    monkeypatch.setattr(sharing, "_list_claims", lambda: [json.dumps({"wants": 1.0})] * 9)
    assert Share("own", slots=2, max_cohorts=2)() == 1
