"""What the nodes of a cluster offer, those that its autoscaler may still start included."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sweeps.errors import BadInputError
from sweeps.spec.sweep import SweepSpec

BOOTSTRAP_CONFIG = Path("~/ray_bootstrap_config.yaml")  # where `ray up` puts the cluster's configuration on its head


@dataclass(frozen=True)
class NodeGroup:
    """Equal nodes of a cluster.

    Args:
        name: The node type's name in the cluster's configuration, else an address.
        count: How many there are, or may be.
        cpus: CPU cores that each offers.
        gpus: GPUs that each offers.
    """

    name: str
    count: int
    cpus: float
    gpus: float

    def holds(self, spec: SweepSpec) -> int:
        """How many cohorts of a sweep one of them takes at once."""
        asked = spec.resources
        rooms = [self.cpus / asked.cpus] + ([self.gpus / asked.gpus] if asked.gpus else [])
        return int(min(rooms) + 1e-9)  # thirds of a GPU

    def __str__(self) -> str:
        each = f"{self.cpus:g} CPUs, {self.gpus:g} {'GPU' if self.gpus == 1 else 'GPUs'}"
        return f"{self.name}: {each}" if self.count == 1 else f"{self.name}: {self.count} x {each}"


@dataclass(frozen=True)
class ClusterResources:
    """What a cluster has and what it may start; empty where neither can be known.

    Args:
        there: Nodes that are there.
        startable: Nodes that it may start.
        most: How many of these, of all kinds together.
    """

    there: tuple[NodeGroup, ...]
    startable: tuple[NodeGroup, ...] = ()
    most: int = 0

    @property
    def kinds(self) -> tuple[NodeGroup, ...]:
        """All nodes."""
        return *self.there, *self.startable

    def room(self, spec: SweepSpec) -> int:
        """How many cohorts of a sweep it takes at once."""
        each = sorted((kind.holds(spec) for kind in self.startable for _ in range(kind.count)), reverse=True)
        return sum(kind.count * kind.holds(spec) for kind in self.there) + sum(each[: self.most])


def read_resources(config: Path = BOOTSTRAP_CONFIG) -> ClusterResources:
    """What the connected cluster has or may start.

    Ray has no public call for what its autoscaler may start, so the cluster launcher's own file is read. On Kubernetes
    there is none, and nobody but the operator knows.

    Args:
        config: The cluster's configuration, where its launcher left one.

    """
    path = config.expanduser()
    if path.is_file():
        cluster = yaml.safe_load(path.read_text())
        if types := _node_types(cluster):
            return ClusterResources(types[:1], types[1:], cluster["max_workers"])
    return ClusterResources(()) if os.environ.get("KUBERNETES_SERVICE_HOST") else ClusterResources(_alive_nodes())


def has_several_machines(config: Path = BOOTSTRAP_CONFIG) -> bool:
    """Whether the connected cluster has more than one machine, or was made to."""
    import ray

    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    addresses = {node["NodeManagerAddress"] for node in nodes if node["Alive"]}
    return len(addresses) > 1 or config.expanduser().is_file() or "KUBERNETES_SERVICE_HOST" in os.environ


def check_fits(spec: SweepSpec, offer: ClusterResources) -> None:
    """Refuses a sweep whose cohorts fit on no node, which would wait for ever.

    Args:
        spec: The sweep.
        offer: What the cluster has or may start.

    Raises:
        BadInputError: With what the cluster offers.
    """
    if not offer.kinds or offer.room(spec):
        return
    told = "; ".join(map(str, offer.kinds))
    for name in ("gpus", "cpus"):
        asked, most = getattr(spec.resources, name), max(getattr(kind, name) for kind in offer.kinds)
        if asked > most:
            raise BadInputError(
                f"resources.{name} must be at most {most:g}, what the largest node of the cluster offers ({told}),"
                f" got {asked:g}"
            )
    raise BadInputError(
        f"resources must fit on one node of the cluster ({told}),"
        f" got {spec.resources.cpus} CPUs and {spec.resources.gpus:g} GPUs"
    )


def _node_types(config: dict[str, Any]) -> tuple[NodeGroup, ...]:
    """The head, then what may be started; nothing of machines of one's own, where Ray finds out on each."""
    head, most = config["head_node_type"], config["max_workers"]
    found = []
    for name, kind in sorted(config["available_node_types"].items(), key=lambda item: item[0] != head):
        if "CPU" not in kind["resources"]:
            return ()
        count = 1 if name == head else min(kind.get("max_workers", most), most)
        if count:
            found.append(
                NodeGroup(name, count, float(kind["resources"]["CPU"]), float(kind["resources"].get("GPU", 0)))
            )
    return tuple(found)


def _alive_nodes() -> tuple[NodeGroup, ...]:
    import ray

    equal: dict[tuple[float, float], list[str]] = {}
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"]:
            offers = (node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
            equal.setdefault(offers, []).append(node["NodeManagerAddress"])
    return tuple(NodeGroup(names[0], len(names), *offers) for offers, names in equal.items())
