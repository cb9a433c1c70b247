"""Servers that the tests of this folder share, ended after its last test."""

from collections.abc import Iterator

import pytest

from .servers import S3, Head, start_head, start_s3


@pytest.fixture(scope="package")
def s3() -> Iterator[S3]:
    """A bucket behind an S3 API that checks signatures and rights."""
    with start_s3() as server:
        yield server


@pytest.fixture(scope="package")
def services(s3: S3) -> Iterator[Head]:
    """PostgreSQL and MLflow, as on a head."""
    with start_head(s3) as head:
        yield head
