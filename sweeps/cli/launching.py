"""Commands that run, stop and watch sweeps, on this machine or on a cluster."""

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
    Location,
    Name,
    Spec,
    Storage,
    TrackingUri,
    WorkingDir,
    load_specs,
)
from sweeps.cli.summary import print_summary
from sweeps.cli.terminal import out, print_frame, print_launches, print_rows
from sweeps.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sweeps.run.agenda import ConfirmRequest
    from sweeps.run.state import Status, Watcher
    from sweeps.spec.sweep import SweepSpec
    from sweeps.store import Store

launching = typer.Typer()


@launching.command()
def launch(
    spec: Spec,
    name: Annotated[str | None, typer.Option(help="Another name for the sweep.")] = None,
    trials: Annotated[int | None, typer.Option(help="Number of trials to complete.")] = None,
    folder: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    working_dir: WorkingDir = None,
    insecure: Insecure = False,
    client_version: Annotated[str | None, typer.Option(hidden=True)] = None,
    as_json: Json = False,
) -> None:
    """Run a sweep or a suite; the same name continues the same sweep."""
    on_cluster = client_version is not None  # this is the driver of a sweep that a client has submitted
    if client_version is not None:
        from sweeps.service.submission import check_client

        check_client(client_version)
    service = None if on_cluster else Location(folder, address=address, insecure=insecure).service()
    if service and (storage or tracking_uri):
        raise BadInputError("storage and tracking-uri of a cluster's sweeps are set on its head; leave them out")
    _import_from(working_dir)
    specs = load_specs(spec, name=name, trials=trials)
    if service:
        print_launches((service.launch(one, working_dir=working_dir) for one in specs), as_json)
    else:
        _run(specs, Location(folder, storage, tracking_uri).store(), as_json, on_cluster)


@launching.command()
def resume(
    name: Name,
    folder: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    working_dir: WorkingDir = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Continue a sweep that was stopped or has failed."""
    location = Location(folder, storage, tracking_uri, address, insecure)
    if service := location.service():
        _import_from(working_dir)
        print_launches([service.resume(name, working_dir=working_dir)], as_json)
        return
    _run([location.open(name).spec], location.store(), as_json)


@launching.command()
def confirm(
    name: Name,
    replicates: Annotated[
        int | None, typer.Option(min=2, help="Networks per configuration; default: those of the sweep's file, else 16.")
    ] = None,
    data_seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of other data; default: the sweep's own data.")
    ] = None,
    folder: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    working_dir: WorkingDir = None,
    insecure: Insecure = False,
    client_version: Annotated[str | None, typer.Option(hidden=True)] = None,
    as_json: Json = False,
) -> None:
    """Confirm the front of a sweep on fresh seeds."""
    on_cluster = client_version is not None  # this is the driver of a confirmation that a client has submitted
    if client_version is not None:
        from sweeps.service.submission import check_client

        check_client(client_version)
    location = Location(folder, storage, tracking_uri, address, insecure)
    _import_from(working_dir)
    if not on_cluster and (service := location.service()):
        print_launches([service.confirm(name, replicates, data_seed, working_dir=working_dir)], as_json)
        return
    from sweeps.results.confirmations import check_front, check_request, count_replicates
    from sweeps.results.sweep import open_sweep
    from sweeps.run.agenda import ConfirmRequest

    store = location.store()
    sweep = open_sweep(name, store)
    request = ConfirmRequest(count_replicates(sweep.spec, replicates), data_seed)
    check_request(sweep.spec, request.replicates, data_seed)
    check_front(sweep.completed_trials(), sweep.spec)
    _run([sweep.spec], store, as_json, on_cluster, request)


@launching.command()
def stop(
    name: Name,
    now: Annotated[bool, typer.Option("--now", help="End it at once, without new checkpoints.")] = False,
    folder: Folder = None,
    address: Address = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Stop a sweep; launching or resuming it continues."""
    location = Location(folder, address=address, insecure=insecure)
    if service := location.service():
        print_rows([{"name": name, "state": service.stop(name, now)}], as_json)
        return
    from sweeps.study.ownership import find_driver

    store = location.store()
    pid = find_driver(store, name)
    if pid is None:
        raise BadInputError(f"no driver of sweep {name!r} runs from {store.folder}")
    os.kill(pid, signal.SIGKILL if now else signal.SIGTERM)
    print_rows([{"name": name, "state": "killed" if now else "stopping"}], as_json)


@launching.command()
def ls(
    folder: Folder = None,
    storage: Storage = None,
    address: Address = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """List the sweeps of a store or of a cluster."""
    location = Location(folder, storage, address=address, insecure=insecure)
    if service := location.service():
        print_frame(service.sweeps(), as_json)
        return
    from sweeps.results.sweep import list_sweeps

    print_frame(list_sweeps(location.store()), as_json)


@launching.command()
def status(
    name: Name,
    folder: Folder = None,
    storage: Storage = None,
    address: Address = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Show the state of a sweep."""
    location = Location(folder, storage, address=address, insecure=insecure)
    if service := location.service():
        print_rows([service.status(name)], as_json)
        return
    sweep = location.open(name)
    row = {"name": name, "task": sweep.spec.task, "trials": sweep.spec.trials, **sweep.counts()}
    print_rows([row | {"front": len(sweep.pareto())}], as_json)


@launching.command()
def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", help="Continue until the sweep's driver ends.")] = False,
    address: Address = None,
    insecure: Insecure = False,
) -> None:
    """Print the output of a sweep's drivers on a cluster."""
    service = Location(address=address, insecure=insecure).service()
    if service is None:
        raise BadInputError("a sweep on this machine prints to its own terminal; for one on a cluster use --address")
    for text in service.follow(name) if follow else [service.logs(name)]:
        print(text, end="", flush=True)


def _import_from(folder: Path | None) -> None:
    """Adds a folder with the user's own tasks, module:function, to the import path."""
    if folder is not None:
        sys.path.append(str(folder.absolute()))


def _run(
    specs: "Iterable[SweepSpec]",
    store: "Store",
    as_json: bool,
    on_cluster: bool = False,
    request: "ConfirmRequest | None" = None,
) -> None:
    """Runs sweeps one after another; with `on_cluster`, a client waits for the line that announces the start."""
    from sweeps.run.driver import launch as run_sweep

    console = Console(stderr=True) if as_json else out
    incomplete = False
    for spec in specs:
        console.print(_describe_start(spec, store, request), highlight=False, soft_wrap=True)
        summary = run_sweep(spec, store, confirm=request, watch=_create_watcher(console, spec, on_cluster, request))
        print_summary(summary, spec, store, as_json, request)
        incomplete |= not summary.finished or bool(spec.variants and summary.complete < summary.wanted)
        if summary.stopped:
            break
    if incomplete:
        from sweeps.service.queue import INCOMPLETE

        raise typer.Exit(INCOMPLETE if on_cluster else 1)


def _describe_start(spec: "SweepSpec", store: "Store", request: "ConfirmRequest | None") -> str:
    if request is None:
        rows = ", on the paper's rows" if spec.published else ""
        confirm = f", confirmed with {spec.confirm.replicates} networks per trial of the front" if spec.confirm else ""
        what = f"{spec.trials} trials x {spec.replicates} networks on {spec.task}{rows}{confirm}"
    else:
        data = "" if request.data_seed is None else f" and data seed {request.data_seed}"
        what = f"confirming its front with {request.replicates} networks per trial on fresh seeds{data}"
    return f"Sweep {spec.name}: {what}, kept in {store.folder}"


def _create_watcher(
    console: Console, spec: "SweepSpec", on_cluster: bool, request: "ConfirmRequest | None"
) -> "Watcher":
    from sweeps.cli.progress import create_watcher
    from sweeps.service.submission import format_start

    show_progress = create_watcher(console, spec, confirms_only=request is not None)

    @contextmanager
    def announce(status: "Callable[[], Status]") -> "Iterator[None]":
        console.print(format_start(spec.name), highlight=False, soft_wrap=True)
        with show_progress(status):
            yield

    return announce if on_cluster else show_progress
