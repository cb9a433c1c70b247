"""How sweeps share a cluster: the parts by arithmetic, the signs on a real Ray."""

import subprocess
import sys
import time

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st

from sweeps.cluster import sharing as share_module
from sweeps.cluster.sharing import claim_share, divide_evenly

PARTS = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("wanted", "parts"),
    [
        ([0.3], [0.3]),
        ([1.0], [1.0]),
        ([1.0, 1.0], [0.5, 0.5]),
        ([1.0, 0.1], [0.9, 0.1]),
        ([1.0, 1.0, 0.2], [0.4, 0.4, 0.2]),
    ],
)
def test_parts_are_even_but_none_is_larger_than_wanted(wanted, parts):
    assert divide_evenly(wanted) == pytest.approx(parts)


@given(PARTS)
def test_parts_are_fair(wanted):
    parts = divide_evenly(wanted)
    assert sum(parts) <= 1 + 1e-9
    assert all(0 <= part <= want + 1e-9 for part, want in zip(parts, wanted, strict=True))
    short = [part for part, want in zip(parts, wanted, strict=True) if part < want - 1e-9]
    if short:  # nothing is left over, and whoever has too little has as much as anyone
        assert sum(parts) == pytest.approx(1)
        assert min(short) == pytest.approx(max(parts))


@pytest.fixture(scope="module")
def ray_here():
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
    yield
    ray.shutdown()


def test_sweeps_share_while_both_run(ray_here, monkeypatch):
    monkeypatch.setattr(share_module, "FRESH_S", 0.0)
    with claim_share("one", room=10, most=10) as one:
        assert one() == 10
        with claim_share("two", room=4, most=1) as two:
            assert (one(), two()) == (7, 1), "a quarter is all that the other can use"
        assert one() == 10


OTHER = """
import sys, time, ray
from sweeps.cluster.sharing import shared
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="CRITICAL")
with shared("other", room=10, most=10) as share:
    print(share(), flush=True)
    time.sleep(600)
"""


def test_a_driver_that_is_killed_takes_its_sign_down(ray_here, monkeypatch):
    monkeypatch.setattr(share_module, "FRESH_S", 0.0)
    address = ray.get_runtime_context().gcs_address
    with claim_share("one", room=10, most=10) as one:
        other = subprocess.Popen([sys.executable, "-c", OTHER, address], stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline().strip() == "5"
        assert one() == 5
        other.kill()
        other.communicate()
        until = time.monotonic() + 60
        while one() != 10 and time.monotonic() < until:
            time.sleep(0.1)
        assert one() == 10
