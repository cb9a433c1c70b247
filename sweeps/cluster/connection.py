"""Connection to Ray: the cluster that RAY_ADDRESS names, or a Ray of this process alone."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sweeps.cluster.capacity import count_cores
from sweeps.cluster.ray_private import apply_settings
from sweeps.cluster.resources import ClusterResources, read_resources
from sweeps.errors import ClusterError


@contextmanager
def connect_cluster() -> Iterator[ClusterResources | None]:
    """Connects to the cluster that RAY_ADDRESS names and yields its resources; yields None if it is not set."""
    if not os.environ.get("RAY_ADDRESS"):
        yield None
        return
    with connect_ray():
        yield read_resources()


@contextmanager
def connect_ray() -> Iterator[None]:
    """Connects to Ray, without its output: an open connection, RAY_ADDRESS's cluster, or a new Ray on this machine.

    Raises:
        ClusterError: If the cluster does not accept the connection.
    """
    apply_settings()
    import ray

    if ray.is_initialized():
        yield
        return
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    address = os.environ.get("RAY_ADDRESS")
    local: dict[str, Any] = {"address": "local", "num_cpus": count_cores(), "include_dashboard": False}
    quiet: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False, "configure_logging": True}
    try:
        ray.init(**quiet, **({} if address else local))
    except (ConnectionError, RuntimeError, ValueError) as error:
        if not address:
            raise
        reason = str(error).splitlines()[0]
        raise ClusterError(f"cannot connect to the Ray cluster at {address}: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()
