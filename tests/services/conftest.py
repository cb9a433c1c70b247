"""Servers that the tests of this folder share; they are ended with its last test."""

from collections.abc import Iterator

import pytest
from ray.cluster_utils import Cluster

from .parts import S3, Head, head, ray_cluster, s3_server


@pytest.fixture(scope="package")
def s3() -> Iterator[S3]:
    """A bucket behind an S3 API that checks signatures and rights."""
    with s3_server() as server:
        yield server


@pytest.fixture(scope="package")
def services(s3: S3) -> Iterator[Head]:
    """PostgreSQL and MLflow, as a head has them."""
    with head(s3) as made:
        yield made


@pytest.fixture(scope="package")
def cluster(s3: S3) -> Iterator[Cluster]:
    """A head and two workers of one core each, which want a token; their machines may use the bucket."""
    with ray_cluster(s3.env) as made:
        yield made
