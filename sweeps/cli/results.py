"""Commands that read what came out of a sweep."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.options import Address, Folder, Json, Name, Storage, TrackingUri, results_at, sweep_of
from sweeps.cli.terminal import print_rows, print_trials
from sweeps.errors import BadInputError

results = typer.Typer()


@results.command()
def trials(
    name: Name, store: Folder = None, storage: Storage = None, address: Address = None, as_json: Json = False
) -> None:
    """List all trials of a sweep."""
    sweep = sweep_of(name, store, storage, None, address)
    print_trials(sweep.trials(), sweep.spec, as_json, extra=("state", "reason"))


@results.command()
def pareto(
    name: Name, store: Folder = None, storage: Storage = None, address: Address = None, as_json: Json = False
) -> None:
    """List the Pareto front of a sweep."""
    sweep = sweep_of(name, store, storage, None, address)
    print_trials(sweep.pareto(), sweep.spec, as_json)


@results.command()
def best(
    name: Name,
    where: Annotated[str | None, typer.Option(help="Bounds, such as 'score >= 0.98'.")] = None,
    by: Annotated[str | None, typer.Option(help="The metric to be best in; default: the first objective.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many.")] = 1,
    store: Folder = None,
    storage: Storage = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """List the best trials of a sweep."""
    sweep = sweep_of(name, store, storage, None, address)
    print_trials(sweep.best(where, by, n), sweep.spec, as_json)


@results.command()
def compare(
    name: Annotated[str, typer.Argument(help="Name of a sweep with variants, or of a suite of such sweeps.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder to write comparison.md, networks.csv and networks.png to.")
    ] = None,
    store: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
) -> None:
    """Measure all networks of the variants again and compare them, seed by seed."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from sweeps.cluster.capacity import count_cores
    from sweeps.pages.comparison_page import render_comparison, write_comparison
    from sweeps.results.comparison import compare_sweeps

    comparisons, at = [], results_at(store, storage, tracking_uri, address, files=True)
    with ProcessPoolExecutor(count_cores(), get_context("spawn")) as pool:
        for comparison in compare_sweeps(name, at, pool):
            print(f"measured {comparison.sweep.spec.name}", file=sys.stderr, flush=True)
            comparisons.append(comparison)
    if output is None:
        print(render_comparison(name, comparisons))
    else:
        print_rows([{"written": str(path)} for path in write_comparison(name, comparisons, output)], as_json=False)


@results.command()
def report(
    name: Name,
    output: Annotated[
        Path | None, typer.Option(help="File to write; default: NAME-report.html in the current folder.")
    ] = None,
    store: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Write a sweep's picture book: its front, diagrams, charts and best configurations as one HTML page."""
    from sweeps.pages.report import render_report as made

    path = output or Path(f"{name}-report.html")
    page = made(sweep_of(name, store, storage, tracking_uri, address, files=True))
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"output must be a file that can be written, got {path}: {error.strerror}") from error
    print_rows([{"written": str(path)}], as_json)


@results.command()
def export(
    name: Name,
    trial: Annotated[int, typer.Argument(help="Number of a completed trial.")],
    folder: Annotated[Path, typer.Argument(help="Where to.")],
    store: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Copy a trial's configuration, weights, figures and diagrams."""
    written = sweep_of(name, store, storage, tracking_uri, address, files=True).export(trial, folder)
    print_rows([{"written": str(path)} for path in written], as_json)
