"""`bimt`: launch sweeps, look at them, pull what is best."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from sweeps.errors import BadInputError, SweepError
from sweeps.terminal import out, print_frame, print_rows, print_summary, print_trials

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec
    from sweeps.store import Store

app = typer.Typer(
    help="Sweeps of Brain-Inspired Modular Training.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

Spec = Annotated[str, typer.Argument(help="A sweep file, or the name of a preset.")]
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
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def tasks(as_json: Json = False) -> None:
    """List the tasks and their published set-ups."""
    from bimt_core import TASKS, task

    rows: list[dict[str, Any]] = []
    for name in TASKS:
        try:
            t = task(name)
        except ValueError as error:  # its data are not there
            nothing = dict.fromkeys(("network", "score", "steps", "cost_weight"), None if as_json else "")
            rows.append({"task": name, "description": f"not available: {error}", **nothing})
            continue
        row: dict[str, Any] = {
            "task": name,
            "description": t.description,
            "network": "-".join(str(len(neurons)) for neurons in t.network.wiring.neurons),
        }
        row |= {"score": t.score_name, "steps": t.schedule.steps, "cost_weight": t.knobs.cost_weight}
        rows.append(row)
    print_rows(rows, as_json)


@app.command()
def presets(as_json: Json = False) -> None:
    """List the ready sweeps."""
    from sweeps.spec_file import preset_names, preset_path, read_specs

    rows = []
    for name in preset_names():
        specs = read_specs(preset_path(name))
        objectives = ", ".join(f"{o.direction} {o.metric}" for o in specs[0].objectives)
        row = {"preset": name, "sweeps": len(specs), "trials": sum(spec.trials for spec in specs)}
        rows.append(row | {"replicates": specs[0].replicates, "objectives": objectives})
    print_rows(rows, as_json)


@app.command()
def validate(spec: Spec, as_json: Json = False) -> None:
    """Check a sweep file; print it with all defaults filled in, the sweeps of a suite one after another."""
    import yaml

    data = [checked.model_dump(mode="json") for checked in _specs(spec)]
    if as_json:
        print(json.dumps(data[0] if len(data) == 1 else data, indent=2))
    else:
        print(yaml.safe_dump_all(data, sort_keys=False).rstrip())


@app.command()
def launch(
    spec: Spec,
    name: Annotated[str | None, typer.Option(help="Another name for the sweep.")] = None,
    trials: Annotated[int | None, typer.Option(help="Number of completed trials asked for.")] = None,
    store: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Run a sweep, or all of a suite, or go on with them: the same name continues the same study."""
    from sweeps.driver import launch as run_sweep
    from sweeps.progress import watcher

    console = Console(stderr=True) if as_json else out
    where = _store(store, storage, tracking_uri)
    incomplete = False
    for checked in _specs(spec, name=name, trials=trials):
        console.print(
            f"Sweep {checked.name}: {checked.trials} trials x {checked.replicates} networks on {checked.task},"
            f" kept in {where.folder}",
            highlight=False,
            soft_wrap=True,
        )
        summary = run_sweep(checked, where, watch=watcher(console, checked))
        print_summary(summary, checked, where, as_json)
        incomplete |= summary.complete < summary.wanted
        if summary.stopped:
            break
    if incomplete:
        raise typer.Exit(1)


@app.command()
def ls(store: Folder = None, storage: Storage = None, as_json: Json = False) -> None:
    """List the sweeps of a store."""
    from sweeps.results import list_sweeps

    print_frame(list_sweeps(_store(store, storage, None)), as_json)


@app.command()
def status(name: Name, store: Folder = None, storage: Storage = None, as_json: Json = False) -> None:
    """Show how far a sweep is."""
    from sweeps.results import open_sweep

    sweep = open_sweep(name, _store(store, storage, None))
    row = {"name": name, "task": sweep.spec.task, "trials": sweep.spec.trials, **sweep.counts()}
    print_rows([row | {"front": len(sweep.pareto())}], as_json)


@app.command()
def trials(name: Name, store: Folder = None, storage: Storage = None, as_json: Json = False) -> None:
    """List all trials of a sweep."""
    from sweeps.results import open_sweep

    sweep = open_sweep(name, _store(store, storage, None))
    print_trials(sweep.trials(), sweep.spec, as_json, extra=("state", "reason"))


@app.command()
def pareto(name: Name, store: Folder = None, storage: Storage = None, as_json: Json = False) -> None:
    """List the Pareto front of a sweep."""
    from sweeps.results import open_sweep

    sweep = open_sweep(name, _store(store, storage, None))
    print_trials(sweep.pareto(), sweep.spec, as_json)


@app.command()
def best(
    name: Name,
    where: Annotated[str | None, typer.Option(help="Bounds, such as 'score >= 0.98'.")] = None,
    by: Annotated[str | None, typer.Option(help="The metric to be best in; default: the first objective.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many.")] = 1,
    store: Folder = None,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """List the best trials of a sweep."""
    from sweeps.results import open_sweep

    sweep = open_sweep(name, _store(store, storage, None))
    print_trials(sweep.best(where, by, n), sweep.spec, as_json)


@app.command()
def compare(
    name: Annotated[str, typer.Argument(help="Name of a sweep with variants, or of a suite of such sweeps.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder to write comparison.md, networks.csv and networks.png to.")
    ] = None,
    store: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Measure all networks of the variants again and compare them, seed by seed."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from sweeps.capacity import cores
    from sweeps.comparison import compared
    from sweeps.comparison_page import page, write

    comparisons = []
    with ProcessPoolExecutor(cores(), get_context("spawn")) as pool:
        for comparison in compared(name, _store(store, storage, tracking_uri), pool):
            print(f"measured {comparison.sweep.spec.name}", file=sys.stderr, flush=True)
            comparisons.append(comparison)
    if output is None:
        print(page(name, comparisons))
    else:
        print_rows([{"written": str(path)} for path in write(name, comparisons, output)], as_json=False)


@app.command()
def report(
    name: Name,
    output: Annotated[
        Path | None, typer.Option(help="File to write; default: NAME-report.html in the current folder.")
    ] = None,
    store: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Write a sweep's picture book: its front, diagrams, charts and best configurations as one HTML page."""
    from sweeps.report import report as made
    from sweeps.results import open_sweep

    path = output or Path(f"{name}-report.html")
    page = made(open_sweep(name, _store(store, storage, tracking_uri)))
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"output must be a file that can be written, got {path}: {error.strerror}") from error
    print_rows([{"written": str(path)}], as_json)


@app.command()
def export(
    name: Name,
    trial: Annotated[int, typer.Argument(help="Number of a completed trial.")],
    folder: Annotated[Path, typer.Argument(help="Where to.")],
    store: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Copy a trial's configuration, weights, figures and diagrams."""
    from sweeps.results import open_sweep

    written = open_sweep(name, _store(store, storage, tracking_uri)).export(trial, folder)
    print_rows([{"written": str(path)} for path in written], as_json)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    store: Folder = None,
    storage: Storage = None,
) -> None:
    """Serve the store's MLflow on 127.0.0.1."""
    from sweeps.mlflow_store import serve
    from sweeps.results import front_link
    from sweeps.study_storage import sweep_names

    where = _store(store, storage, None)
    if not where.folder.is_dir():
        raise BadInputError(f"no store at {where.folder}; launch a sweep first, or name its folder with --store")
    server = f"http://127.0.0.1:{port}"
    print(f"MLflow at {server} (Ctrl-C ends it)")
    for name in sweep_names(where):
        if link := front_link(server, name, where):
            print(f"  front of {name}: {link}", flush=True)
    raise typer.Exit(serve(where.mlflow_uri, where.artifacts, port))


def main() -> None:
    """The console script: errors a person must act on are one clear line each."""
    sys.path.append(str(Path.cwd()))  # a task of one's own, module:function, may lie in the current folder
    try:
        app()
    except SweepError as error:
        for line in str(error).splitlines():
            print(f"bimt: {line}", file=sys.stderr)
        sys.exit(2 if isinstance(error, BadInputError) else 1)


def _specs(given: str, **changes: Any) -> "list[SweepSpec]":
    from sweeps.spec_file import preset_path, read_specs

    path = Path(given)
    return read_specs(path if path.suffix in (".yaml", ".yml") or path.is_file() else preset_path(given), **changes)


def _store(folder: Path | None, storage: str | None, tracking_uri: str | None) -> "Store":
    from sweeps.store import Store

    return Store.at(folder, storage=storage, tracking_uri=tracking_uri)


if __name__ == "__main__":
    main()
