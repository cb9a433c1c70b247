"""Locations of a sweep's study, tracking data and working files.

By default they are in one folder:

    bimt-store/
      studies/NAME.journal    the Optuna study of a sweep
      mlflow.db, artifacts/   MLflow's store
      sweeps/NAME/            the driver's lock, the spool for MLflow, checkpoints
"""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sweeps.errors import BadInputError

DEFAULT_FOLDER = "bimt-store"


def join_path(folder: str, path: str) -> str:
    """Appends a path to a folder, or to an address such as s3://bucket/prefix?region=...

    Args:
        folder: Folder or address.
        path: Relative path.
    """
    start, _, query = folder.partition("?")
    return f"{start.rstrip('/')}/{path}" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class Store:
    """Locations of everything that sweeps leave behind.

    Args:
        folder: Working files, and by default the studies and tracking data.
        storage: URL of an Optuna storage (sqlite:///..., postgresql://...); None for one journal file per sweep.
        tracking_uri: URL of an MLflow server or store; None for SQLite and artifacts in the folder.
        checkpoints: Location of checkpoints: a folder that all machines share, or an address that pyarrow reads
            (s3://..., gs://...); None for a folder of this machine.
    """

    folder: Path
    storage: str | None = None
    tracking_uri: str | None = None
    checkpoints: str | None = None

    @staticmethod
    def resolve(
        folder: str | Path | None = None,
        *,
        storage: str | None = None,
        tracking_uri: str | None = None,
        checkpoints: str | None = None,
    ) -> "Store":
        """Returns the store of the arguments, else of the environment, else of the defaults.

        Args:
            folder: See `Store`; else BIMT_STORE, else ./bimt-store.
            storage: See `Store`; else BIMT_STORAGE.
            tracking_uri: See `Store`; else MLFLOW_TRACKING_URI.
            checkpoints: See `Store`; else BIMT_CHECKPOINTS.

        Raises:
            BadInputError: If the tracking URI, which is printed, holds a password.

        Examples:
            >>> store = Store.resolve("/data", storage="sqlite:////data/study.db")
            >>> store.storage
            'sqlite:////data/study.db'
            >>> str(store.work_folder("moons"))
            '/data/sweeps/moons'
        """
        tracking_uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or None
        if tracking_uri is not None and (parts := urlsplit(tracking_uri)).password is not None:
            raise BadInputError(
                "the tracking URI must hold no password, which MLflow reads from MLFLOW_TRACKING_PASSWORD"
                f" or ~/.mlflow/credentials, got one for {parts.hostname}"
            )
        return Store(
            Path(folder or os.environ.get("BIMT_STORE") or DEFAULT_FOLDER).absolute(),
            storage or os.environ.get("BIMT_STORAGE") or None,
            tracking_uri,
            checkpoints or os.environ.get("BIMT_CHECKPOINTS") or None,
        )

    @property
    def mlflow_uri(self) -> str:
        """URI for MLflow's client."""
        return self.tracking_uri or f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Root of MLflow's artifacts, if they are in the folder."""
        return self.folder / "artifacts"

    def study_file(self, name: str) -> Path:
        """Returns the journal file of a sweep's study.

        Args:
            name: The sweep.
        """
        return self.folder / "studies" / f"{name}.journal"

    def work_folder(self, name: str) -> Path:
        """Returns the working folder of a sweep.

        Args:
            name: The sweep.
        """
        return self.folder / "sweeps" / name

    def checkpoint_folder(self, name: str) -> str:
        """Returns the folder or address of a sweep's checkpoints.

        Args:
            name: The sweep.
        """
        if self.checkpoints is None:
            return str(self.work_folder(name) / "checkpoints")
        return join_path(self.checkpoints, name)

    def prepare(self, name: str) -> None:
        """Creates the folders of a sweep.

        Args:
            name: The sweep.

        Raises:
            BadInputError: If they cannot be written.
        """
        try:
            for folder in (self.study_file(name).parent, self.artifacts, self.work_folder(name)):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.work_folder(name) / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise BadInputError(f"store folder must be writable, got {self.folder}: {error.strerror}") from error
