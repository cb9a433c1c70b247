"""`bimt`: launch sweeps, look at them, pull what is best."""

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sweeps.cli.options import (
    Address,
    Folder,
    Insecure,
    Json,
    Name,
    Storage,
    TrackingUri,
    WorkingDir,
    service,
    store_at,
)
from sweeps.cli.results import results
from sweeps.cli.specs import Spec, inputs, specs_of
from sweeps.cli.terminal import out, print_frame, print_launched, print_rows, print_summary
from sweeps.errors import BadInputError, SweepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sweeps.cli.progress import Status, Watcher
    from sweeps.spec.sweep import SweepSpec
    from sweeps.store import Store

app = typer.Typer(
    help="Sweeps of Brain-Inspired Modular Training.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

app.add_typer(inputs)
app.add_typer(results)

ClientVersion = Annotated[str | None, typer.Option(hidden=True, help="On a cluster: what its client is.")]


@app.command()
def launch(
    spec: Spec,
    name: Annotated[str | None, typer.Option(help="Another name for the sweep.")] = None,
    trials: Annotated[int | None, typer.Option(help="Number of completed trials asked for.")] = None,
    store: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    working_dir: WorkingDir = None,
    insecure: Insecure = False,
    client_version: ClientVersion = None,
    as_json: Json = False,
) -> None:
    """Run a sweep, or all of a suite, or go on with them: the same name continues the same study."""
    if client_version is not None:
        from sweeps.service.submission import check_client

        check_client(client_version)
    there = service(address, store, insecure=insecure) if client_version is None else None
    if there and (storage or tracking_uri):
        raise BadInputError("storage and tracking-uri of a cluster's sweeps are set on its head; leave them out")
    _import_from(working_dir)
    specs = specs_of(spec, name=name, trials=trials)
    if there:
        print_launched((there.launch(checked, working_dir=working_dir) for checked in specs), as_json)
    else:
        _run_here(specs, store_at(store, storage, tracking_uri), as_json, for_client=client_version is not None)


@app.command()
def resume(
    name: Name,
    store: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    working_dir: WorkingDir = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Go on with a sweep that was stopped or that failed."""
    if there := service(address, store, storage, tracking_uri, insecure):
        _import_from(working_dir)
        print_launched([there.resume(name, working_dir=working_dir)], as_json)
        return
    from sweeps.results.sweep import open_sweep

    where = store_at(store, storage, tracking_uri)
    _run_here([open_sweep(name, where).spec], where, as_json)


@app.command()
def ls(
    store: Folder = None,
    storage: Storage = None,
    address: Address = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """List the sweeps of a store, or of a cluster."""
    if there := service(address, store, storage, None, insecure):
        print_frame(there.sweeps(), as_json)
        return
    from sweeps.results.sweep import list_sweeps

    print_frame(list_sweeps(store_at(store, storage, None)), as_json)


@app.command()
def status(
    name: Name,
    store: Folder = None,
    storage: Storage = None,
    address: Address = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Show how far a sweep is."""
    if there := service(address, store, storage, None, insecure):
        print_rows([there.status(name)], as_json)
        return
    from sweeps.results.sweep import open_sweep

    sweep = open_sweep(name, store_at(store, storage, None))
    row = {"name": name, "task": sweep.spec.task, "trials": sweep.spec.trials, **sweep.counts()}
    print_rows([row | {"front": len(sweep.pareto())}], as_json)


@app.command()
def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the sweep's driver ends.")] = False,
    address: Address = None,
    insecure: Insecure = False,
) -> None:
    """Print what a sweep's drivers on a cluster have printed."""
    there = service(address, None, insecure=insecure)
    if there is None:
        raise BadInputError("a sweep of this machine prints to its own terminal; for one of a cluster give --address")
    for text in there.follow(name) if follow else [there.logs(name)]:
        print(text, end="", flush=True)


@app.command()
def stop(
    name: Name,
    now: Annotated[bool, typer.Option("--now", help="At once, without waiting for checkpoints.")] = False,
    store: Folder = None,
    address: Address = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Stop a sweep; to resume or launch it goes on with it."""
    if there := service(address, store, insecure=insecure):
        print_rows([{"name": name, "state": there.stop(name, now)}], as_json)
        return
    where = store_at(store, None, None)
    pid = where.driver(name)
    if pid is None:
        raise BadInputError(f"no driver of sweep {name!r} runs from {where.folder}")
    os.kill(pid, signal.SIGKILL if now else signal.SIGTERM)
    print_rows([{"name": name, "state": "killed" if now else "stopping"}], as_json)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    store: Folder = None,
    storage: Storage = None,
) -> None:
    """Serve the store's MLflow on 127.0.0.1."""
    from sweeps.results.sweep import make_front_link
    from sweeps.study.storage import list_sweep_names
    from sweeps.tracking.reading import serve

    where = store_at(store, storage, None)
    if not where.folder.is_dir():
        raise BadInputError(f"no store at {where.folder}; launch a sweep first, or name its folder with --store")
    server = f"http://127.0.0.1:{port}"
    print(f"MLflow at {server} (Ctrl-C ends it)")
    for name in list_sweep_names(where):
        if link := make_front_link(server, name, where):
            print(f"  front of {name}: {link}", flush=True)
    raise typer.Exit(serve(where.mlflow_uri, where.artifacts, port))


def main() -> None:
    """The console script: errors a person must act on are one clear line each."""
    _import_from(Path.cwd())
    try:
        app()
    except SweepError as error:
        for line in str(error).splitlines():
            print(f"bimt: {line}", file=sys.stderr)
        sys.exit(2 if isinstance(error, BadInputError) else 1)


def _import_from(folder: Path | None) -> None:
    """Makes tasks of one's own, module:function, be found in a folder."""
    if folder is not None:
        sys.path.append(str(folder.absolute()))


def _run_here(specs: "Iterable[SweepSpec]", where: "Store", as_json: bool, for_client: bool = False) -> None:
    """Runs sweeps one after another.

    Args:
        specs: The sweeps.
        where: Where they are kept.
        as_json: Whether summaries are JSON.
        for_client: Whether a cluster's client waits to be told that a sweep has begun.
    """
    from sweeps.run.driver import launch as run_sweep

    console = Console(stderr=True) if as_json else out
    incomplete = False
    for spec in specs:
        console.print(
            f"Sweep {spec.name}: {spec.trials} trials x {spec.replicates} networks on {spec.task},"
            f" kept in {where.folder}",
            highlight=False,
            soft_wrap=True,
        )
        summary = run_sweep(spec, where, watch=_watcher(console, spec, for_client))
        print_summary(summary, spec, where, as_json)
        incomplete |= summary.complete < summary.wanted
        if summary.stopped:
            break
    if incomplete:
        from sweeps.service.queue import INCOMPLETE

        raise typer.Exit(INCOMPLETE if for_client else 1)


def _watcher(console: Console, spec: "SweepSpec", for_client: bool) -> "Watcher":
    from sweeps.cli.progress import make_watcher
    from sweeps.service.submission import started_line

    @contextmanager
    def watch(status: "Callable[[], Status]") -> "Iterator[None]":
        console.print(started_line(spec.name), highlight=False, soft_wrap=True)
        with make_watcher(console, spec)(status):
            yield

    return watch if for_client else make_watcher(console, spec)


if __name__ == "__main__":
    main()
