"""Claims on a real Ray."""

import subprocess
import sys
import time

import pytest
import ray

from sweeps.cluster import sharing
from sweeps.cluster.sharing import claim_share

OTHER_DRIVER = """
import sys, time, ray
from sweeps.cluster.sharing import claim_share
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="CRITICAL")
with claim_share("other", slots=10, max_cohorts=10) as share:
    print(share(), flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def local_ray():
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch, local_ray):
    monkeypatch.setattr(sharing, "MAX_AGE_S", 0.0)


def test_sweeps_share_while_both_run():
    with claim_share("one", slots=10, max_cohorts=10) as one:
        assert one() == 10
        with claim_share("two", slots=4, max_cohorts=1) as two:
            assert (one(), two()) == (7, 1), "the other can use no more than a quarter"
        assert one() == 10


def test_the_claim_of_a_killed_driver_disappears():
    address = ray.get_runtime_context().gcs_address
    with claim_share("one", slots=10, max_cohorts=10) as one:
        other = subprocess.Popen([sys.executable, "-c", OTHER_DRIVER, address], stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline().strip() == "5"
        assert one() == 5
        other.kill()
        other.communicate()
        deadline = time.monotonic() + 60
        while one() != 10 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert one() == 10
