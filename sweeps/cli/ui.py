"""Command that serves MLflow's pages."""

from typing import Annotated

import typer

from sweeps.cli.options import Folder, Location, Storage
from sweeps.errors import BadInputError

interface = typer.Typer()


@interface.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port.")] = 5000,
    folder: Folder = None,
    storage: Storage = None,
) -> None:
    """Serve MLflow for a store on 127.0.0.1."""
    from sweeps.results.sweep import make_front_link
    from sweeps.study.storage import list_sweep_names
    from sweeps.tracking.reading import serve

    store = Location(folder, storage).store()
    if not store.folder.is_dir():
        raise BadInputError(f"no store in {store.folder}; launch a sweep first, or give its folder with --store")
    server = f"http://127.0.0.1:{port}"
    print(f"MLflow at {server} (Ctrl-C ends it)")
    for name in list_sweep_names(store):
        if link := make_front_link(server, name, store):
            print(f"  front of {name}: {link}", flush=True)
    raise typer.Exit(serve(store.mlflow_uri, store.artifacts, port))
