"""Options that many commands have, and the store, the cluster or the sweep that they name."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.errors import BadInputError

if TYPE_CHECKING:
    from sweeps.results.sweep import Sweep
    from sweeps.service.service import SweepService
    from sweeps.store import Store

Name = Annotated[str, typer.Argument(help="Name of a sweep.")]
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
    typer.Option(help="A cluster's dashboard, http://HOST:PORT, instead of this machine. [env: BIMT_ADDRESS]"),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Use a cluster that asks for no token.")]
WorkingDir = Annotated[
    Path | None, typer.Option(help="Folder with a task of your own, to be uploaded to the cluster, such as '.'.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def store_at(folder: Path | None, storage: str | None, tracking_uri: str | None) -> "Store":
    """The store of these options, else of the environment."""
    from sweeps.store import Store

    return Store.resolve(folder, storage=storage, tracking_uri=tracking_uri)


def cluster(address: str | None, folder: Path | None) -> str | None:
    """The address of the cluster that is meant; None for this machine, also where a store's folder is named."""
    if address and folder:
        raise BadInputError("give either --address, for a cluster, or --store, for a folder of this machine, not both")
    return None if folder else address or os.environ.get("BIMT_ADDRESS") or None


def service(
    address: str | None,
    folder: Path | None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    insecure: bool = False,
) -> "SweepService | None":
    """The service of the cluster that is meant; None for this machine."""
    if not (at := cluster(address, folder)):
        return None
    from sweeps.service.service import SweepService

    return SweepService(at, tracking_uri, storage, insecure=insecure)


def results_at(
    folder: Path | None, storage: str | None, tracking_uri: str | None, address: str | None, *, files: bool = False
) -> "Store":
    """Where results are read from, of a cluster or of this machine.

    Args:
        folder: --store.
        storage: --storage.
        tracking_uri: --tracking-uri.
        address: --address.
        files: Whether weights or pictures are read too, which MLflow has.
    """
    there = service(address, folder, storage, tracking_uri)
    found = there.store if there else store_at(folder, storage, tracking_uri)
    if there and files and not found.tracking_uri:
        raise BadInputError(
            "weights and pictures are in the cluster's MLflow: set MLFLOW_TRACKING_URI, such as http://127.0.0.1:5000"
        )
    return found


def sweep_of(
    name: str,
    folder: Path | None,
    storage: str | None,
    tracking_uri: str | None,
    address: str | None,
    *,
    files: bool = False,
) -> "Sweep":
    """A sweep to read, from where `results_at` says."""
    where = results_at(folder, storage, tracking_uri, address, files=files)
    from sweeps.results.sweep import open_sweep

    return open_sweep(name, where)
