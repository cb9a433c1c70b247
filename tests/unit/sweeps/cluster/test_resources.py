from pathlib import Path

import pytest
import yaml

from sweeps.cluster.resources import ClusterResources, NodeGroup, check_fits, read_resources
from sweeps.errors import BadInputError

OURS = Path(__file__).parents[4] / "cluster.yaml"
HEAD, GPU = NodeGroup("head", 1, 0.0, 0.0), NodeGroup("gpu_worker", 8, 4.0, 1.0)


def test_node_types_are_read_from_the_launchers_file() -> None:
    kinds = {kind.name: kind for kind in read_resources(OURS).kinds}
    assert kinds["head"] == HEAD
    assert kinds["gpu_l4"] == NodeGroup("gpu_l4", 8, 4.0, 1.0)
    assert "cpu" not in kinds, "it is switched off"


def test_no_more_nodes_are_offered_than_the_whole_cluster_may_have(tmp_path: Path) -> None:
    config = yaml.safe_load(OURS.read_text()) | {"max_workers": 3}
    del config["available_node_types"]["gpu_t4"]["max_workers"]
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(config))
    counts = {kind.name: kind.count for kind in read_resources(tmp_path / "cluster.yaml").kinds}
    assert counts == {"head": 1, "gpu_l4": 3, "gpu_a10g": 3, "gpu_t4": 3}


def test_a_cluster_has_room_for_no_more_than_its_machines_together(small_spec) -> None:
    spec = small_spec(resources={"gpus": 0.5})
    assert read_resources(OURS).room(spec) == 16, "eight of three kinds, and two halves on each"
    kinds = NodeGroup("small", 4, 4.0, 1.0), NodeGroup("large", 1, 16.0, 4.0)
    assert [ClusterResources((HEAD,), kinds, most).room(spec) for most in (9, 1, 3)] == [16, 8, 12]
    assert ClusterResources(kinds).room(spec) == 16


def test_nothing_is_known_on_kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_spec) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    offer = read_resources(tmp_path / "none.yaml")
    assert offer == ClusterResources(())
    check_fits(small_spec(resources={"gpus": 100}), offer)


@pytest.mark.parametrize(
    ("asked", "held"), [({}, 4), ({"cpus": 3}, 1), ({"gpus": 0.3333}, 3), ({"gpus": 1 / 3}, 3), ({"gpus": 2}, 0)]
)
def test_a_node_holds_what_both_its_cores_and_its_gpus_allow(small_spec, asked: dict[str, float], held: int) -> None:
    assert GPU.holds(small_spec(resources=asked)) == held


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {"gpus": 8},
            "resources.gpus must be at most 1, what the largest node of the cluster offers"
            " (head: 0 CPUs, 0 GPUs; gpu_worker: 8 x 4 CPUs, 1 GPU), got 8",
        ),
        ({"cpus": 99}, "resources.cpus must be at most 16, what"),
        ({"cpus": 8, "gpus": 1}, "resources must fit on one node of the cluster (head: "),
    ],
)
def test_what_no_node_has_is_told(small_spec, asked: dict[str, float], told: str) -> None:
    cpu = NodeGroup("cpu", 1, 16.0, 0.0)
    nodes = (HEAD, GPU, cpu) if "cpus" in asked else (HEAD, GPU)
    with pytest.raises(BadInputError) as caught:
        check_fits(small_spec(resources=asked), ClusterResources(nodes))
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)
    check_fits(small_spec(resources={"cpus": 4, "gpus": 1}), ClusterResources(nodes))
