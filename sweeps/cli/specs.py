"""Commands about what may be swept: tasks, presets and sweep files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.options import Folder, Json, Storage, TrackingUri, store_at
from sweeps.cli.terminal import print_plan, print_rows
from sweeps.errors import BadInputError

if TYPE_CHECKING:
    from sweeps.spec.sweep import SweepSpec

inputs = typer.Typer()

Spec = Annotated[str, typer.Argument(help="A sweep file, or the name of a preset.")]


@inputs.command()
def tasks(as_json: Json = False) -> None:
    """List the tasks and their published set-ups."""
    from bimt_core import TASKS, load_task

    rows: list[dict[str, Any]] = []
    for name in TASKS:
        try:
            t = load_task(name)
        except ValueError as error:  # its data are not there
            nothing = dict.fromkeys(("network", "score", "steps", "cost_weight"), None if as_json else "")
            rows.append({"task": name, "description": f"not available: {error}", **nothing})
            continue
        row: dict[str, Any] = {
            "task": name,
            "description": t.description,
            "network": "-".join(str(len(neurons)) for neurons in t.network.wiring.neurons),
        }
        row |= {"score": t.score_name, "steps": t.shared.steps, "cost_weight": t.per_network.cost_weight}
        rows.append(row)
    print_rows(rows, as_json)


@inputs.command()
def presets(as_json: Json = False) -> None:
    """List the ready sweeps."""
    from sweeps.spec.files import preset_names, preset_path, read_specs

    rows = []
    for name in preset_names():
        specs = read_specs(preset_path(name))
        objectives = ", ".join(f"{o.direction} {o.metric}" for o in specs[0].objectives)
        row = {"preset": name, "sweeps": len(specs), "trials": sum(spec.trials for spec in specs)}
        rows.append(row | {"replicates": specs[0].replicates, "objectives": objectives})
    print_rows(rows, as_json)


@inputs.command()
def validate(spec: Spec, as_json: Json = False) -> None:
    """Check a sweep file; print it with all defaults filled in, the sweeps of a suite one after another."""
    import yaml

    data = [checked.model_dump(mode="json") for checked in specs_of(spec)]
    if as_json:
        print(json.dumps(data[0] if len(data) == 1 else data, indent=2))
    else:
        print(yaml.safe_dump_all(data, sort_keys=False).rstrip())


@inputs.command()
def plan(
    spec: Spec,
    workers: Annotated[str, typer.Option(help="Numbers of workers, such as 1,8,64.")] = "1,2,4,8,16",
    store: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Say what a sweep will take on so many workers, and where more of them stop helping; trains a short cohort."""
    from dataclasses import asdict

    from sweeps.run.plan import make_plan as planned

    numbers, where = _whole_numbers(workers), store_at(store, storage, tracking_uri)
    plans = [planned(checked, where, numbers) for checked in specs_of(spec)]
    if as_json:
        print(json.dumps([asdict(one) for one in plans], indent=2))
        return
    for one in plans:
        print_plan(one)


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise BadInputError(f"workers must be whole numbers such as 1,8,64, got {text!r}") from None


def specs_of(given: str, **changes: Any) -> "list[SweepSpec]":
    """The sweeps of a file or preset, with changes."""
    from sweeps.spec.files import preset_path, read_specs

    path = Path(given)
    return read_specs(path if path.suffix in (".yaml", ".yml") or path.is_file() else preset_path(given), **changes)
