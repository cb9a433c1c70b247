"""Options that several commands share, and the objects that they stand for."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.errors import BadInputError

if TYPE_CHECKING:
    from sweeps.results.sweep import Sweep
    from sweeps.service.service import SweepService
    from sweeps.spec.sweep import SweepSpec
    from sweeps.store import Store

Name = Annotated[str, typer.Argument(help="Name of a sweep.")]
Spec = Annotated[str, typer.Argument(help="A sweep file, or the name of a preset.")]
Folder = Annotated[
    Path | None, typer.Option("--store", help="Folder of the store. [env: BIMT_STORE; default: ./bimt-store]")
]
Storage = Annotated[
    str | None, typer.Option(help="URL of the study storage. [env: BIMT_STORAGE; default: a journal file in the store]")
]
TrackingUri = Annotated[
    str | None, typer.Option(help="URL of MLflow. [env: MLFLOW_TRACKING_URI; default: SQLite in the store]")
]
Address = Annotated[
    str | None,
    typer.Option(help="Dashboard of a cluster, http://HOST:PORT, instead of this machine. [env: BIMT_ADDRESS]"),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Accept a cluster without token authentication.")]
WorkingDir = Annotated[
    Path | None, typer.Option(help="Folder of your own task, to upload to the cluster, such as '.'.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load_specs(source: str, **changes: Any) -> "list[SweepSpec]":
    """Reads the sweeps of a file or preset.

    Args:
        source: A sweep file, or the name of a preset.
        **changes: Entries to replace; None leaves an entry as it is.
    """
    from sweeps.spec.files import preset_path, read_specs

    path = Path(source)
    return read_specs(path if path.suffix in (".yaml", ".yml") or path.is_file() else preset_path(source), **changes)


@dataclass(frozen=True)
class Location:
    """Location of a command's sweeps: a cluster, or a store of this machine.

    Args:
        folder: --store, which selects this machine even if the environment has an address.
        storage: --storage.
        tracking_uri: --tracking-uri.
        address: --address.
        insecure: --insecure.
    """

    folder: Path | None = None
    storage: str | None = None
    tracking_uri: str | None = None
    address: str | None = None
    insecure: bool = False

    def store(self) -> "Store":
        """Returns the store of the options, else of the environment."""
        from sweeps.store import Store

        return Store.resolve(self.folder, storage=self.storage, tracking_uri=self.tracking_uri)

    def service(self) -> "SweepService | None":
        """Returns the service of the cluster; None for this machine.

        Raises:
            BadInputError: If both a cluster and a folder are given.
        """
        if self.address and self.folder:
            raise BadInputError(
                "give either --address, for a cluster, or --store, for a folder of this machine, not both"
            )
        if self.folder or not (address := self.address or os.environ.get("BIMT_ADDRESS")):
            return None
        from sweeps.service.service import SweepService

        return SweepService(address, self.tracking_uri, self.storage, insecure=self.insecure)

    def results(self, *, files: bool = False) -> "Store":
        """Returns the store with the results of the cluster or of this machine.

        Args:
            files: Whether weights or pictures are read too, which are in MLflow.

        Raises:
            BadInputError: If a cluster's study storage or MLflow is not known.
        """
        service = self.service()
        store = service.store if service else self.store()
        if service and files and not store.tracking_uri:
            raise BadInputError(
                "weights and pictures are in the cluster's MLflow: set MLFLOW_TRACKING_URI, such as"
                " http://127.0.0.1:5000"
            )
        return store

    def open(self, name: str, *, files: bool = False) -> "Sweep":
        """Opens the results of a sweep; see `results`.

        Args:
            name: The sweep.
            files: Whether weights or pictures are read too.
        """
        store = self.results(files=files)
        from sweeps.results.sweep import open_sweep

        return open_sweep(name, store)
