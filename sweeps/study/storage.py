"""Optuna storages of studies: a journal file per sweep, or a database."""

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

FORMAT = 2  # of a study; raised when older studies can no longer be read
CONNECT_TIMEOUT_S = 10  # of a database server
WITH_TIMEOUT = ("postgresql", "postgresql+psycopg", "postgresql+psycopg2")  # drivers that take libpq's connect_timeout


def open_storage(store: Store, name: str) -> BaseStorage:
    """Opens the storage of a sweep's study, and creates it if needed.

    Args:
        store: Store of the sweep.
        name: The sweep, which has its own journal file where the store has no database.

    Raises:
        BadInputError: If the storage's URL is invalid, or its database driver is not installed.
        StoreError: If it cannot be opened. No message shows a password.
    """
    if store.storage is None:
        path = store.study_file(name)
        try:
            return JournalStorage(JournalFileBackend(str(path)))
        except Exception as error:  # a damaged journal makes Optuna raise errors of any type
            raise StoreError(f"cannot open the study storage {path}: {_one_line(error)}") from error
    url = _url(store.storage)
    try:
        opened = _connect(store.storage) if url.drivername in WITH_TIMEOUT else RDBStorage(store.storage)
        return get_storage(opened)  # with Optuna's cache
    except ImportError as error:
        kind = url.drivername
        raise BadInputError(f"a study storage at {kind}:// needs a database driver that is not installed") from error
    except ArgumentError as error:  # an unknown kind of database
        raise BadInputError(f"the study storage must be a URL such as sqlite:///study.db: {error}") from error
    except Exception as error:  # also errors of the database's driver
        raise StoreError(f"cannot open the study storage {redact_url(store.storage)}: {_one_line(error)}") from error


def redact_url(url: str) -> str:
    """Returns a storage's URL without its password and options, to print.

    Args:
        url: URL of an Optuna storage.
    """
    return _url(url).set(query={}).render_as_string(hide_password=True)


def drop_torn_line(journal: Path) -> None:
    """Cuts off a last line that was not written completely (on a full disk), to which Optuna would append.

    Args:
        journal: Journal file.
    """
    if journal.exists() and not (written := journal.read_bytes()).endswith(b"\n"):
        with journal.open("rb+") as file:
            file.truncate(written.rfind(b"\n") + 1)


def is_sweep(study: optuna.Study | optuna.study.StudySummary) -> bool:
    """Returns whether a study is a completely created sweep.

    Args:
        study: Study, or its summary.
    """
    return "spec" in study.user_attrs  # written last when a study is created


def list_sweep_names(store: Store) -> list[str]:
    """Returns the sorted names of all sweeps in a store, without those that an older version made.

    Args:
        store: The store.

    Raises:
        BadInputError: If the storage's URL is invalid.
        StoreError: If the storage cannot be read.
    """
    if store.storage is None:
        storages = [open_storage(store, path.stem) for path in store.study_file("").parent.glob("*.journal")]
    else:
        storages = [open_storage(store, "")]
    studies = [s for storage in storages for s in optuna.get_all_study_summaries(storage, include_best_trial=False)]
    return sorted(s.study_name for s in studies if is_sweep(s) and s.user_attrs.get("format") == FORMAT)


def _url(text: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError):  # the ValueError of a bad port may quote a part of a password
        raise BadInputError(
            "the study storage must be a URL such as sqlite:///study.db or postgresql://USER@HOST/DATABASE,"
            " with special characters of a password written as %XX"
        ) from None


@lru_cache(maxsize=4)
def _connect(url: str) -> RDBStorage:
    """One per server and process: each keeps connections as long as it lives, and a server has about a hundred."""
    timeout = {"connect_timeout": CONNECT_TIMEOUT_S}
    return RDBStorage(url, engine_kwargs={"connect_args": timeout, "pool_pre_ping": True})


def _one_line(error: Exception) -> str:
    """The message of the database's driver, which Optuna and SQLAlchemy wrap."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
    return " ".join(str(getattr(cause, "orig", None) or cause).split())
