"""Where studies are kept: a journal file a sweep, or a database; opened with one clear line when they do not open."""

from functools import lru_cache
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from sweeps.errors import BadInputError, StoreError
from sweeps.store import Store

NO_ANSWER_S = 10  # how long a database server may take to accept a connection
WITH_TIMEOUT = ("postgresql", "postgresql+psycopg", "postgresql+psycopg2")  # drivers that take libpq's connect_timeout


def open_storage(store: Store, name: str) -> BaseStorage:
    """The storage of a sweep's study; made where there is none.

    Args:
        store: Where it is kept.
        name: The sweep, which has a journal file of its own where the store has no database.

    Raises:
        BadInputError: If the storage's URL is none, or its database driver is not installed.
        StoreError: If it does not open. No message shows a password.
    """
    if store.storage is None:
        path = store.study_file(name)
        try:
            return JournalStorage(JournalFileBackend(str(path)))
        except Exception as error:  # whatever a damaged journal makes of Optuna's reader
            raise StoreError(f"the study storage does not open in {path}: {_one_line(error)}") from error
    url = _url(store.storage)
    try:
        opened = _of_server(store.storage) if url.drivername in WITH_TIMEOUT else RDBStorage(store.storage)
        return get_storage(opened)  # with Optuna's cache
    except ImportError as error:
        kind = url.drivername
        raise BadInputError(f"a study storage at {kind}:// needs a database driver that is not installed") from error
    except ArgumentError as error:  # no such kind of database
        raise BadInputError(f"the study storage must be a URL such as sqlite:///study.db: {error}") from error
    except Exception as error:  # those of the database's driver among them
        raise StoreError(f"the study storage {redact_url(store.storage)} does not open: {_one_line(error)}") from error


def redact_url(url: str) -> str:
    """A storage's URL as it may be printed: without its password and options."""
    return _url(url).set(query={}).render_as_string(hide_password=True)


def drop_torn_line(journal: Path) -> None:
    """Cuts off a last line that was not written to its end (a full disk); Optuna would append to it."""
    if journal.exists() and not (written := journal.read_bytes()).endswith(b"\n"):
        with journal.open("rb+") as file:
            file.truncate(written.rfind(b"\n") + 1)


def is_sweep(study: optuna.Study | optuna.study.StudySummary) -> bool:
    """Whether a study is a whole one of ours."""
    return "spec" in study.user_attrs  # what is written last when a study is made


def list_sweep_names(store: Store) -> list[str]:
    """Names of the sweeps in a store, in order.

    Raises:
        BadInputError: If the storage's URL is none.
        StoreError: If the storage cannot be read.
    """
    if store.storage is None:
        storages = [open_storage(store, path.stem) for path in store.study_file("").parent.glob("*.journal")]
    else:
        storages = [open_storage(store, "")]
    studies = [s for storage in storages for s in optuna.get_all_study_summaries(storage, include_best_trial=False)]
    return sorted(study.study_name for study in studies if is_sweep(study))


def _url(text: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError):  # a ValueError repeats what it took for a port: a part of a password, maybe
        raise BadInputError(
            "the study storage must be a URL such as sqlite:///study.db or postgresql://USER@HOST/DATABASE,"
            " with special characters of a password written as %XX"
        ) from None


@lru_cache(maxsize=4)
def _of_server(url: str) -> RDBStorage:
    """One a server and process: each keeps connections, of which a server has a hundred, for as long as it lives."""
    patience = {"connect_timeout": NO_ANSWER_S}
    return RDBStorage(url, engine_kwargs={"connect_args": patience, "pool_pre_ping": True})


def _one_line(error: Exception) -> str:
    """What a database's driver said, which Optuna and SQLAlchemy wrap."""
    said = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
    return " ".join(str(getattr(said, "orig", None) or said).split())
