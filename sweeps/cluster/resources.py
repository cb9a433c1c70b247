"""Resources of a cluster: its running nodes, and those that its autoscaler may start."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sweeps.errors import BadInputError
from sweeps.spec.sweep import SweepSpec

BOOTSTRAP_CONFIG = Path("~/ray_bootstrap_config.yaml")  # written by `ray up` on the head


@dataclass(frozen=True)
class NodeGroup:
    """Equal nodes of a cluster.

    Args:
        name: Node type in the cluster's configuration, or the address of one node.
        count: Number of nodes, or the most that may be started.
        cpus: CPU cores per node.
        gpus: GPUs per node.
    """

    name: str
    count: int
    cpus: float
    gpus: float

    def slots_per_node(self, spec: SweepSpec) -> int:
        """Returns the number of cohorts that one node can train at once.

        Args:
            spec: The sweep.
        """
        required = spec.resources
        ratios = [self.cpus / required.cpus] + ([self.gpus / required.gpus] if required.gpus else [])
        return int(min(ratios) + 1e-9)  # thirds of a GPU

    def __str__(self) -> str:
        node = f"{self.cpus:g} CPUs, {self.gpus:g} {'GPU' if self.gpus == 1 else 'GPUs'}"
        return f"{self.name}: {node}" if self.count == 1 else f"{self.name}: {self.count} x {node}"


@dataclass(frozen=True)
class ClusterResources:
    """Node groups of a cluster; empty if neither the running nor the startable ones are known.

    Args:
        running: Running nodes.
        startable: Nodes that the autoscaler may start.
        max_started: Limit on started nodes of all groups together.
    """

    running: tuple[NodeGroup, ...]
    startable: tuple[NodeGroup, ...] = ()
    max_started: int = 0

    @property
    def groups(self) -> tuple[NodeGroup, ...]:
        """All node groups."""
        return *self.running, *self.startable

    def count_slots(self, spec: SweepSpec) -> int:
        """Returns the number of cohorts that the whole cluster can train at once.

        Args:
            spec: The sweep.
        """
        started = sorted((g.slots_per_node(spec) for g in self.startable for _ in range(g.count)), reverse=True)
        return sum(g.count * g.slots_per_node(spec) for g in self.running) + sum(started[: self.max_started])


def read_resources(config: Path = BOOTSTRAP_CONFIG) -> ClusterResources:
    """Reads the resources of the connected cluster.

    Ray has no public call for what its autoscaler may start, so the cluster launcher's own file is read. On Kubernetes
    there is no such file, and the result is empty.

    Args:
        config: The cluster's configuration on the head.
    """
    path = config.expanduser()
    if path.is_file():
        cluster = yaml.safe_load(path.read_text())
        if groups := _parse_node_types(cluster):
            return ClusterResources(groups[:1], groups[1:], cluster["max_workers"])
    return ClusterResources(()) if os.environ.get("KUBERNETES_SERVICE_HOST") else ClusterResources(_list_alive_nodes())


def has_several_machines(config: Path = BOOTSTRAP_CONFIG) -> bool:
    """Returns whether the connected cluster has, or can start, more than one machine.

    Args:
        config: The cluster's configuration on the head.
    """
    import ray

    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    addresses = {node["NodeManagerAddress"] for node in nodes if node["Alive"]}
    return len(addresses) > 1 or config.expanduser().is_file() or "KUBERNETES_SERVICE_HOST" in os.environ


def check_fits(spec: SweepSpec, resources: ClusterResources) -> None:
    """Refuses a sweep whose cohorts fit on no node: it would wait forever.

    Args:
        spec: The sweep.
        resources: Resources of the cluster.

    Raises:
        BadInputError: If no node can train a cohort.
    """
    if not resources.groups or resources.count_slots(spec):
        return
    groups = "; ".join(map(str, resources.groups))
    for name in ("gpus", "cpus"):
        required, largest = getattr(spec.resources, name), max(getattr(group, name) for group in resources.groups)
        if required > largest:
            raise BadInputError(
                f"resources.{name} must be at most {largest:g}, that of the largest node of the cluster ({groups}),"
                f" got {required:g}"
            )
    raise BadInputError(
        f"resources must fit on one node of the cluster ({groups}),"
        f" got {spec.resources.cpus} CPUs and {spec.resources.gpus:g} GPUs"
    )


def _parse_node_types(config: dict[str, Any]) -> tuple[NodeGroup, ...]:
    """Returns the head, then the startable groups; nothing if Ray is to detect the resources of each machine."""
    head, max_workers = config["head_node_type"], config["max_workers"]
    groups = []
    for name, node_type in sorted(config["available_node_types"].items(), key=lambda item: item[0] != head):
        resources = node_type["resources"]
        if "CPU" not in resources:
            return ()
        if count := 1 if name == head else min(node_type.get("max_workers", max_workers), max_workers):
            groups.append(NodeGroup(name, count, float(resources["CPU"]), float(resources.get("GPU", 0))))
    return tuple(groups)


def _list_alive_nodes() -> tuple[NodeGroup, ...]:
    import ray

    addresses: dict[tuple[float, float], list[str]] = {}
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"]:
            size = (node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
            addresses.setdefault(size, []).append(node["NodeManagerAddress"])
    return tuple(NodeGroup(names[0], len(names), *size) for size, names in addresses.items())
