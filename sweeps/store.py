"""Where a sweep's study, tracking data and working files are.

The embedded default is one folder:

    bimt-store/
      studies/NAME.journal    the Optuna study of a sweep: its ledger
      mlflow.db, artifacts/   MLflow's store
      sweeps/NAME/            lock and process id of the driver, spool of the MLflow writer, Ray Tune's folder
"""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sweeps.errors import BadInputError

DEFAULT_FOLDER = "bimt-store"


def join_path(where: str, path: str) -> str:
    """A path below a folder, or below an address such as s3://bucket/prefix?region=..."""
    start, _, query = where.partition("?")
    return f"{start.rstrip('/')}/{path}" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class Store:
    """Locations of everything a sweep leaves behind.

    Args:
        folder: Working files, and the embedded study and tracking data.
        storage: URL of an Optuna storage (sqlite:///..., postgresql://...); None for a journal file a sweep.
        tracking_uri: URL of an MLflow server or store; None for SQLite and artifacts in the folder.
        checkpoints: Where cohorts keep what they go on from, a folder that all machines see or what pyarrow reads
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
        """The store of these arguments, else of the environment, else the default.

        The environment is BIMT_STORE, BIMT_STORAGE, MLFLOW_TRACKING_URI and BIMT_CHECKPOINTS.

        Raises:
            BadInputError: If the tracking URI, which is shown to people, holds a password.
        """
        chosen = Path(folder or os.environ.get("BIMT_STORE") or DEFAULT_FOLDER).absolute()
        tracking_uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or None
        if tracking_uri is not None and (parts := urlsplit(tracking_uri)).password is not None:
            raise BadInputError(
                "the tracking URI must hold no password, which MLflow reads from MLFLOW_TRACKING_PASSWORD"
                f" or ~/.mlflow/credentials, got one for {parts.hostname}"
            )
        return Store(
            chosen,
            storage or os.environ.get("BIMT_STORAGE") or None,
            tracking_uri,
            checkpoints or os.environ.get("BIMT_CHECKPOINTS") or None,
        )

    @property
    def mlflow_uri(self) -> str:
        """What MLflow is told."""
        return self.tracking_uri or f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Root of the embedded MLflow artifacts."""
        return self.folder / "artifacts"

    def study_file(self, name: str) -> Path:
        """Journal file of a sweep's study."""
        return self.folder / "studies" / f"{name}.journal"

    def work_folder(self, name: str) -> Path:
        """Working folder of a sweep."""
        return self.folder / "sweeps" / name

    def checkpoint_folder(self, name: str) -> str:
        """Where a sweep's cohorts keep what they go on from: a folder or an address."""
        if self.checkpoints is None:
            return str(self.work_folder(name) / "checkpoints")
        return join_path(self.checkpoints, name)

    def prepare(self, name: str) -> None:
        """Makes the folders a sweep needs.

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
