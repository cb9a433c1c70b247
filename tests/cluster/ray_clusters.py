"""Ray clusters of several nodes on this machine, ended at the end of the `with` block that started them."""

import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray._raylet import AuthenticationTokenLoader, Config
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FAKE_HEAD_NODE_TYPE
from ray.cluster_utils import Cluster
from ray.util import get_node_ip_address
from support.processes import find_free_port

from .servers import Env


@contextmanager
def start_ray_cluster(env: Env) -> Iterator[Cluster]:
    """Starts a Ray cluster of a head without cores and two workers of one core each.

    Args:
        env: Environment of its processes; the token is added.
    """
    with _start_head(env) as cluster:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        yield cluster


@contextmanager
def start_autoscaled_cluster(home: Path, max_workers: int, idle_s: float) -> Iterator[Cluster]:
    """Starts a Ray head without cores whose autoscaler starts workers of one core each.

    The workers are processes of this machine. Everything else is as the cluster launcher sets it up.

    Args:
        home: Folder for the cluster's configuration, which the launcher writes.
        max_workers: Workers at once.
        idle_s: Time after which an idle worker is ended.
    """
    port = find_free_port()
    one = {"node_config": {}, "resources": {"CPU": 1, "object_store_memory": 100 * 2**20}, "max_workers": max_workers}
    provider = {
        "type": "fake_multinode",
        "gcs_address": f"{get_node_ip_address()}:{port}",
        "use_node_id_as_ip": True,  # all have the same address
        "launch_multiple": True,
        "foreground_node_launch": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    }
    config = {
        "cluster_name": "test",
        "max_workers": max_workers,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": idle_s / 60,
        "provider": provider,
        "head_node_type": FAKE_HEAD_NODE_TYPE,
        "available_node_types": {FAKE_HEAD_NODE_TYPE: one | {"resources": {"CPU": 0}, "max_workers": 0}, "worker": one},
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "initialization_commands": [],
        "worker_setup_commands": [],
        "worker_start_ray_commands": [],
    }
    file = home / "ray_bootstrap_config.yaml"
    file.write_text(json.dumps(config))
    env = {"HOME": str(home), "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    named = {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID, "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID}
    with _start_head(env, gcs_server_port=port, autoscaling_config=str(file), env_vars=named) as cluster:
        (monitor,) = cluster.head_node.all_processes["monitor"]
        try:
            yield cluster
        finally:
            for worker in psutil.Process(monitor.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    worker.kill()


@contextmanager
def _start_head(env: Env, **options: Any) -> Iterator[Cluster]:
    """Starts a Ray head without cores that requires a token, which this process has."""
    folder = tempfile.mkdtemp(prefix="ray-")  # paths of sockets must be short
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (env | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}).items():
            patch.setenv(name, value)
        _read_ray_settings()
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "temp_dir": folder} | options)
        try:
            yield cluster
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)
    _read_ray_settings()


def _read_ray_settings() -> None:
    """Makes this process read Ray's settings from its environment again."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
