import pytest
import ray

from sweeps.cluster.connection import connect_cluster, connect_ray
from sweeps.cluster.resources import ClusterResources, NodeGroup, has_several_machines
from sweeps.errors import ClusterError


def test_a_ray_of_this_process_is_used_again_and_ended(monkeypatch):
    with connect_ray():
        address = ray.get_runtime_context().gcs_address
        monkeypatch.setenv("RAY_ADDRESS", address)
        with connect_cluster() as resources:
            assert ray.get_runtime_context().gcs_address == address
            cpus = ray.cluster_resources()["CPU"]
            assert isinstance(resources, ClusterResources)
            assert [(group.count, group.cpus) for group in resources.groups] == [(1, cpus)]
            assert isinstance(resources.groups[0], NodeGroup)
        assert ray.is_initialized()
        assert not has_several_machines()
    assert not ray.is_initialized()


def test_an_address_without_a_cluster_is_one_line(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    refusal = r"^cannot connect to the Ray cluster at nonsense: "
    with pytest.raises(ClusterError, match=refusal) as caught, connect_ray():
        pytest.fail("it connected")
    assert "\n" not in str(caught.value)
