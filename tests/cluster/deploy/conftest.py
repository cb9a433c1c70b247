"""Fixtures of the tests of deploy/."""

from pathlib import Path

import pytest
import yaml


@pytest.fixture(scope="session")
def project() -> Path:
    return Path(__file__).parents[3]


@pytest.fixture(scope="session")
def load(project):
    """Reads the documents of a YAML file."""
    return lambda path: list(yaml.safe_load_all((project / path).read_text()))
