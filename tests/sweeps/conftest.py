"""What tests of the service share: small sweeps, and stores whose MLflow database is made only once."""

import shutil
from pathlib import Path

import pytest

from sweeps.spec import parse_spec
from sweeps.store import Store
from sweeps.tracking import create_database


@pytest.fixture(autouse=True)
def _no_store_from_outside(monkeypatch):
    for name in ("BIMT_STORE", "BIMT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def small():
    """Plain data of a small sweep of two moons, with changes; a change to None leaves the entry out."""

    def data(**changes):
        whole = {
            "name": "small",
            "task": "two_moons",
            "search": {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 40},
            "objectives": [
                {"metric": "score", "direction": "maximize"},
                {"metric": "connection_cost", "direction": "minimize"},
            ],
            "trials": 3,
            "replicates": 2,
            "reports": 2,
        }
        return {name: value for name, value in (whole | changes).items() if value is not None}

    return data


@pytest.fixture(scope="session")
def small_spec(small):
    return lambda **changes: parse_spec(small(**changes))


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory):
    """An MLflow database without runs; making one takes seconds, copying it none."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    create_database(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def new_store(empty_mlflow):
    """Makes a store in a folder, ready for sweeps of a name."""

    def make(folder: Path, name: str = "small", **where) -> Store:
        store = Store.at(folder, **where)
        store.prepare(name)
        shutil.copy(empty_mlflow, store.folder / "mlflow.db")
        return store

    return make
