from pathlib import Path

import pytest
import yaml

from sweeps.cluster.resources import ClusterResources, NodeGroup, check_fits, read_resources
from sweeps.errors import BadInputError

CLUSTER_FILE = Path(__file__).parents[4] / "cluster.yaml"
HEAD, GPU, CPU = NodeGroup("head", 1, 0.0, 0.0), NodeGroup("gpu_worker", 8, 4.0, 1.0), NodeGroup("cpu", 1, 16.0, 0.0)


def test_read_resources_parses_the_launchers_file():
    groups = {group.name: group for group in read_resources(CLUSTER_FILE).groups}
    assert groups["head"] == HEAD
    assert groups["gpu_l4"] == NodeGroup("gpu_l4", 8, 4.0, 1.0)
    assert "cpu" not in groups, "its max_workers is 0"


def test_a_group_has_at_most_the_nodes_of_the_whole_cluster(tmp_path):
    config = yaml.safe_load(CLUSTER_FILE.read_text()) | {"max_workers": 3}
    del config["available_node_types"]["gpu_t4"]["max_workers"]
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(config))
    counts = {group.name: group.count for group in read_resources(tmp_path / "cluster.yaml").groups}
    assert counts == {"head": 1, "gpu_l4": 3, "gpu_a10g": 3, "gpu_t4": 3}


def test_slots_are_limited_by_the_nodes_of_all_groups_together(small_spec):
    spec = small_spec(resources={"gpus": 0.5})
    assert read_resources(CLUSTER_FILE).count_slots(spec) == 16, "8 nodes of 3 groups, 2 slots per node"
    groups = NodeGroup("small", 4, 4.0, 1.0), NodeGroup("large", 1, 16.0, 4.0)
    assert [ClusterResources((HEAD,), groups, n).count_slots(spec) for n in (9, 1, 3)] == [16, 8, 12]
    assert ClusterResources(groups).count_slots(spec) == 16


def test_resources_of_kubernetes_are_unknown(tmp_path, monkeypatch, small_spec):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    resources = read_resources(tmp_path / "none.yaml")
    assert resources == ClusterResources(())
    check_fits(small_spec(resources={"gpus": 100}), resources)


def test_slots_per_node_are_limited_by_cores_and_gpus(small_spec):
    for asked, slots in [({}, 4), ({"cpus": 3}, 1), ({"gpus": 0.3333}, 3), ({"gpus": 1 / 3}, 3), ({"gpus": 2}, 0)]:
        assert GPU.slots_per_node(small_spec(resources=asked)) == slots, asked


@pytest.mark.parametrize(
    ("asked", "nodes", "message"),
    [
        (
            {"gpus": 8},
            (HEAD, GPU),
            "resources.gpus must be at most 1, that of the largest node of the cluster"
            " (head: 0 CPUs, 0 GPUs; gpu_worker: 8 x 4 CPUs, 1 GPU), got 8",
        ),
        ({"cpus": 99}, (HEAD, GPU, CPU), "resources.cpus must be at most 16, that"),
        ({"cpus": 8, "gpus": 1}, (HEAD, GPU, CPU), "resources must fit on one node of the cluster (head: "),
    ],
)
def test_a_cohort_that_fits_on_no_node_is_refused(small_spec, asked, nodes, message):
    with pytest.raises(BadInputError) as caught:
        check_fits(small_spec(resources=asked), ClusterResources(nodes))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    check_fits(small_spec(resources={"cpus": 4, "gpus": 1}), ClusterResources(nodes))
