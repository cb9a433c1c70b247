"""Servers that the tests of this folder share; they are ended with its last test."""

from collections.abc import Iterator

import pytest

from .parts import S3, MlflowServer, Postgres, mlflow_server, postgres_server, s3_server


@pytest.fixture(scope="package")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="package")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="package")
def mlflow(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, s3: S3) -> Iterator[MlflowServer]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), postgres, s3) as server:
        yield server
