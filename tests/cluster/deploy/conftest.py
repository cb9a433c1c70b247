"""What tests of deploy/ share."""

import socket
from pathlib import Path

import pytest
import yaml


@pytest.fixture(scope="session")
def project() -> Path:
    return Path(__file__).parents[3]


@pytest.fixture(scope="session")
def load(project):
    """The documents of a YAML file."""
    return lambda path: list(yaml.safe_load_all((project / path).read_text()))


@pytest.fixture(scope="session")
def free_port():
    """Finds a port of 127.0.0.1 that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find
