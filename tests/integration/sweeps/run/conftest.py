"""Ray for the tests of one module."""

import os
from collections.abc import Iterator

import pytest
import ray

from sweeps.cluster.ray_private import TUNE_SETTINGS


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """One Ray with two cores, which `launch` uses instead of starting its own."""
    os.environ.update(TUNE_SETTINGS)
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
    yield
    ray.shutdown()
