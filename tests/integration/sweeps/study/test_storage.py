import json
import subprocess
import sys
import time

import psycopg
import pytest
import ray
from sqlalchemy import make_url
from support.study_cases import complete, launch, make_networks, make_spec, start, states

from sweeps.errors import BadInputError, StoreError
from sweeps.run import driver
from sweeps.store import Store
from sweeps.study.storage import list_sweep_names, open_storage
from sweeps.study.study import SweepStudy

READER = """
import json, sys
from pathlib import Path
from sweeps.store import Store
from sweeps.study.study import SweepStudy
stores = [Store(Path(folder), url) for folder, url in json.loads(sys.argv[1])]
studies = [SweepStudy.open(store, "small") for store in stores]
print(json.dumps([[[t.number, t.state, t.networks] for t in study.trials()] for study in studies]))
"""


def test_another_process_reads_while_the_driver_writes(new_store, new_sqlite, new_postgres):
    stores = [new_store(url) for url in (None, new_sqlite(), new_postgres())]
    studies = [launch(store) for store in stores]
    for study in studies:
        complete(study, start(study).number)
        start(study)
    argument = json.dumps([[str(store.folder), store.storage] for store in stores])
    reader = subprocess.run([sys.executable, "-c", READER, argument], capture_output=True, text=True, check=True)
    assert json.loads(reader.stdout) == [[[0, "COMPLETE", make_networks()], [1, "RUNNING", {}]]] * 3
    for study in studies:
        complete(study, 1)
        assert states(study) == ["COMPLETE", "COMPLETE"]


def test_repeated_requests_to_a_server_use_few_connections(postgres, new_store, new_postgres):
    store = new_store(new_postgres())
    for _ in range(20):
        assert list_sweep_names(store) == []
    name = make_url(store.storage).database
    count = postgres.psql(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")
    assert 1 <= int(count.split()[2]) <= 2


def test_a_sweep_may_have_the_name_of_another_in_another_database(new_store, new_sqlite, new_postgres):
    stores = [new_store(create()) for create in (new_sqlite, new_sqlite, new_postgres, new_postgres)]
    assert len({launch(store).sweep_id for store in stores}) == 4


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("nonsense", BadInputError, "the study storage must be a URL such as sqlite:///study.db or postgresql://"),
        ("postgresql://me@here:secret/x", BadInputError, "the study storage must be a URL such as sqlite:///"),
        (
            "moon://me:secret@here",
            BadInputError,
            "the study storage must be a URL such as sqlite:///study.db: Can't load",
        ),
        (
            "sqlite:////dev/null/x.db",
            StoreError,
            "cannot open the study storage sqlite:////dev/null/x.db: unable to open database file",
        ),
        (
            "postgresql://name:secret@127.0.0.1:1/x?sslpassword=secret",
            StoreError,
            "cannot open the study storage postgresql://name:***@127.0.0.1:1/x: connection failed: connection to",
        ),
    ],
)
def test_a_storage_that_cannot_be_opened_is_reported_in_one_line(tmp_path, url, error, message):
    store = Store(tmp_path, storage=url)
    for use in (lambda: launch(store), lambda: SweepStudy.open(store, "small"), lambda: list_sweep_names(store)):
        with pytest.raises(error) as caught:
            use()
        line = str(caught.value)
        assert line.startswith(message)
        assert "\n" not in line
        assert "secret" not in line


def test_a_database_driver_that_is_not_installed_is_reported(tmp_path):
    message = r"^a study storage at mssql\+pymssql:// needs a database driver that is not installed$"
    with pytest.raises(BadInputError, match=message):
        open_storage(Store(tmp_path, storage="mssql+pymssql://127.0.0.1:1/x"), "small")


def test_a_file_that_is_not_a_database_is_reported(tmp_path):
    (tmp_path / "x.db").write_text("no database " * 100)
    message = r"^cannot open the study storage sqlite://.*/x.db: file is not a database$"
    with pytest.raises(StoreError, match=message):
        list_sweep_names(Store(tmp_path, storage=f"sqlite:///{tmp_path}/x.db"))


def test_a_wrong_password_is_reported_without_the_password_before_anything_starts(tmp_path, postgres, new_postgres):
    url = new_postgres()
    hba = postgres.pgdata / "pg_hba.conf"
    trusting = hba.read_text()
    postgres.psql("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    hba.write_text("local all guarded scram-sha-256\n" + trusting)
    try:
        postgres.psql("SELECT pg_reload_conf()")
        store = Store(tmp_path, storage=url.replace("postgres:@", "guarded:secret@"))
        _wait_until_refused(store.storage)
        with pytest.raises(StoreError) as caught:
            driver.launch(make_spec(), store)
    finally:
        hba.write_text(trusting)
        postgres.psql("SELECT pg_reload_conf()")
    line = str(caught.value)
    assert line.startswith("cannot open the study storage postgresql://guarded:***@/study")
    assert 'password authentication failed for user "guarded"' in line
    assert "secret" not in line
    assert "\n" not in line
    assert not ray.is_initialized()


def _wait_until_refused(url):
    """Waits until PostgreSQL has read its configuration again."""
    deadline = time.monotonic() + 60
    with pytest.raises(psycopg.OperationalError):
        while time.monotonic() < deadline:
            psycopg.connect(url).close()
            time.sleep(0.05)
