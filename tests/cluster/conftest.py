"""Servers that the tests of this folder share; they are ended with its last test."""

from collections.abc import Iterator

import pytest

from .parts import S3, Head, head, s3_server


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
