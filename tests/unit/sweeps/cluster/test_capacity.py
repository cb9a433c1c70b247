from types import SimpleNamespace

import psutil
import pytest

from sweeps.cluster import capacity
from sweeps.cluster.capacity import check_memory, count_slots, should_compile
from sweeps.cluster.resources import ClusterResources, NodeGroup
from sweeps.errors import BadInputError


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine of 8 cores, 2 GPUs and 1 GiB of free memory."""
    monkeypatch.setattr(capacity, "count_cores", lambda: 8)
    monkeypatch.setattr(capacity.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**30))


def test_slots_of_this_machine(small_spec):
    for asked, slots in [({}, 8), ({"cpus": 3}, 2), ({"gpus": 1}, 2), ({"gpus": 0.25}, 8), ({"cpus": 4, "gpus": 2}, 1)]:
        assert count_slots(small_spec(resources=asked)) == slots, asked


def test_slots_of_a_cluster(small_spec):
    assert count_slots(small_spec(), ClusterResources((NodeGroup("a", 3, 2.0, 0.0),))) == 6
    assert count_slots(small_spec(), ClusterResources(())) == capacity.UNKNOWN_SLOTS


def test_more_than_this_machine_has_is_refused(small_spec):
    with pytest.raises(BadInputError, match=r"^resources\.cpus must be at most this machine's 8 cores, got 9$"):
        count_slots(small_spec(resources={"cpus": 9}))
    with pytest.raises(BadInputError, match=r"^resources\.gpus must be at most this machine's 2 GPUs, got 3$"):
        count_slots(small_spec(resources={"gpus": 3}))


def test_cohorts_must_fit_into_memory(small_spec):
    check_memory(small_spec(), workers=1)
    with pytest.raises(BadInputError, match=r"cohort_size must be at most \d+ to fit 2 cohorts at once into 1\.0 GiB"):
        check_memory(small_spec(cohort_size=100_000, trials=100_000), workers=2)
    with pytest.raises(BadInputError, match=r"cohort_size must be at most 0 .* got auto$"):
        check_memory(small_spec(cohort_size="auto"), workers=1_000_000)


def test_only_long_training_is_compiled_unless_the_spec_decides(small_spec):
    long = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 1_000_000}
    assert not should_compile(small_spec(), workers=1)
    assert should_compile(small_spec(search=long, trials=1000), workers=1)
    assert should_compile(small_spec(resources={"compile": "always"}), workers=1)
    assert not should_compile(small_spec(search=long, resources={"compile": "never"}), workers=1)
