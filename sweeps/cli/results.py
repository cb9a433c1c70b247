"""Commands that read the results of a sweep."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.listings import print_networks, print_trials
from sweeps.cli.options import Address, Folder, Json, Location, Name, Storage, TrackingUri
from sweeps.cli.summary import print_confirmed
from sweeps.cli.terminal import print_rows
from sweeps.errors import BadInputError

results = typer.Typer()


@results.command()
def trials(
    name: Name, folder: Folder = None, storage: Storage = None, address: Address = None, as_json: Json = False
) -> None:
    """List all trials of a sweep as searched, and the baseline."""
    sweep = Location(folder, storage, address=address).open(name)
    frame = sweep.trials()
    extra = ("state", "reason", "confirmed") if frame["confirmed"].any() else ("state", "reason")
    print_trials(frame, sweep.spec, as_json, extra)


@results.command()
def pareto(
    name: Name, folder: Folder = None, storage: Storage = None, address: Address = None, as_json: Json = False
) -> None:
    """List the Pareto front of a sweep, and the baseline below it."""
    sweep = Location(folder, storage, address=address).open(name)
    front, baseline = sweep.pareto(), sweep.baseline()
    import pandas as pd

    frame = pd.concat([front, baseline]) if len(baseline) else front
    print_trials(frame, sweep.spec, as_json, ("still_on_front",), test=True)
    if not as_json:
        on_front = [trial for trial in sweep.completed_trials() if trial.number in front.index]
        print_confirmed(on_front, sweep.confirmed_trials(), sweep.spec)


@results.command()
def best(
    name: Name,
    where: Annotated[str | None, typer.Option(help="Bounds on metrics, such as 'val_score >= 0.98'.")] = None,
    by: Annotated[str | None, typer.Option(help="Metric to rank by; default: the first objective.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Number of trials.")] = 1,
    folder: Folder = None,
    storage: Storage = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """List the best trials of a sweep, confirmed ones first."""
    sweep = Location(folder, storage, address=address).open(name)
    print_trials(sweep.best(where, by, n), sweep.spec, as_json, ("still_on_front",), test=True)


@results.command()
def networks(
    name: Name,
    front: Annotated[bool, typer.Option("--front", help="Only the front of single networks.")] = False,
    folder: Folder = None,
    storage: Storage = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """List single networks of a sweep, or their front."""
    sweep = Location(folder, storage, address=address).open(name)
    print_networks(sweep.network_front() if front else sweep.networks(), sweep.spec, as_json)


@results.command()
def compare(
    name: Annotated[str, typer.Argument(help="Name of a sweep with variants, or of a suite of such sweeps.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder for comparison.md, networks.csv and networks.png.")
    ] = None,
    folder: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
) -> None:
    """Measure the variants of a sweep again and compare them."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from sweeps.cluster.capacity import count_cores
    from sweeps.pages.comparison_page import render_comparison, write_comparison
    from sweeps.results.comparison import compare_sweeps

    comparisons, store = [], Location(folder, storage, tracking_uri, address).results(files=True)
    with ProcessPoolExecutor(count_cores(), get_context("spawn")) as pool:
        for comparison in compare_sweeps(name, store, pool):
            print(f"measured {comparison.sweep.spec.name}", file=sys.stderr, flush=True)
            comparisons.append(comparison)
    if output is None:
        print(render_comparison(name, comparisons))
    else:
        _print_paths(write_comparison(name, comparisons, output))


@results.command()
def report(
    name: Name,
    output: Annotated[
        Path | None, typer.Option(help="File to write; default: NAME-report.html in the current folder.")
    ] = None,
    folder: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Write the report of a sweep as one HTML page."""
    from sweeps.pages.report import render_report

    path = output or Path(f"{name}-report.html")
    page = render_report(Location(folder, storage, tracking_uri, address).open(name, files=True))
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"output must be a file that can be written, got {path}: {error.strerror}") from error
    _print_paths([path], as_json)


@results.command()
def export(
    name: Name,
    trial: Annotated[int, typer.Argument(help="Number of a completed trial.")],
    destination: Annotated[Path, typer.Argument(help="Folder to write.", metavar="FOLDER")],
    folder: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Copy a trial's configuration, weights, metrics and diagrams."""
    sweep = Location(folder, storage, tracking_uri, address).open(name, files=True)
    _print_paths(sweep.export(trial, destination), as_json)


def _print_paths(paths: list[Path], as_json: bool = False) -> None:
    print_rows([{"written": str(path)} for path in paths], as_json)
