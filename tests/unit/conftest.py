"""Unit tests use no Ray cluster, MLflow, database driver, compiler or browser; a test that does fails."""

import sys

import pytest

HEAVY = ("mlflow", "psycopg", "selenium", "torch._inductor.codecache")


@pytest.fixture(autouse=True)
def _stay_light():
    before = {name for name in HEAVY if name in sys.modules}
    yield
    loaded = [name for name in HEAVY if name in sys.modules and name not in before]
    assert not loaded, f"a unit test must not use {', '.join(loaded)}: move it to tests/integration"
    assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized(), "a unit test must not start Ray"
