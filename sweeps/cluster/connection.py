"""The connection to Ray: the cluster that RAY_ADDRESS names, or a Ray of this process alone."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sweeps.cluster.capacity import count_cores
from sweeps.cluster.resources import ClusterResources, read_resources
from sweeps.errors import ClusterError

QUIET_RAY = {
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's own state, which grows with every cohort and is never restored
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # three files a cohort that nobody reads
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a table whatever the verbosity
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

CREDENTIALS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"}


@contextmanager
def connect_cluster() -> Iterator[ClusterResources | None]:
    """The cluster that RAY_ADDRESS names, connected, and what it offers; None where it names none."""
    if not os.environ.get("RAY_ADDRESS"):
        yield None
        return
    with connect_ray():
        yield read_resources()


@contextmanager
def connect_ray() -> Iterator[None]:
    """A Ray that is quiet: the connected one, the cluster that RAY_ADDRESS names, or one of this process alone."""
    for name, value in QUIET_RAY.items():
        os.environ.setdefault(name, value)
    import ray
    from ray.tune.execution import class_cache

    # Tune would give the driver's to all workers, and so to Ray's logs and dashboard; they have their own.
    class_cache.ENV_VARS_TO_PROPAGATE -= CREDENTIALS
    if ray.is_initialized():
        yield
        return
    here: dict[str, Any] = {"address": "local", "num_cpus": count_cores(), "include_dashboard": False}
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    cluster = os.environ.get("RAY_ADDRESS")
    try:
        ray.init(
            logging_level=logging.CRITICAL, log_to_driver=False, configure_logging=True, **({} if cluster else here)
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        if not cluster:
            raise
        reason = str(error).splitlines()[0]
        raise ClusterError(f"the Ray cluster at {cluster} cannot be joined: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()
