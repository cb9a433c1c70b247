"""Commands about tasks, presets and sweep files."""

import json
from typing import Annotated, Any

import typer

from sweeps.cli.options import Folder, Json, Location, Spec, Storage, TrackingUri, load_specs
from sweeps.cli.terminal import print_plan, print_rows
from sweeps.errors import BadInputError

specs = typer.Typer()


@specs.command()
def tasks(as_json: Json = False) -> None:
    """List the tasks and their published set-ups."""
    from bimt_core import TASKS, load_task

    rows: list[dict[str, Any]] = []
    for name in TASKS:
        row: dict[str, Any] = {"task": name}
        try:
            task = load_task(name)
        except ValueError as error:  # without its data
            row["description"] = f"not available: {error}"
            row |= dict.fromkeys(("network", "score", "steps", "cost_weight"), None if as_json else "")
        else:
            row["description"] = task.description
            row["network"] = "-".join(str(len(neurons)) for neurons in task.network.wiring.neurons)
            row |= {"score": task.score_name, "steps": task.shared.steps, "cost_weight": task.per_network.cost_weight}
        rows.append(row)
    print_rows(rows, as_json)


@specs.command()
def presets(as_json: Json = False) -> None:
    """List the presets."""
    from sweeps.spec.files import preset_names, preset_path, read_specs

    rows = []
    for name in preset_names():
        sweeps = read_specs(preset_path(name))
        objectives = ", ".join(f"{o.direction} {o.metric}" for o in sweeps[0].objectives)
        row = {"preset": name, "sweeps": len(sweeps), "trials": sum(spec.trials for spec in sweeps)}
        rows.append(row | {"replicates": sweeps[0].replicates, "objectives": objectives})
    print_rows(rows, as_json)


@specs.command()
def validate(spec: Spec, as_json: Json = False) -> None:
    """Check a sweep file and print it with all defaults."""
    import yaml

    data = [one.model_dump(mode="json") for one in load_specs(spec)]
    if as_json:
        print(json.dumps(data[0] if len(data) == 1 else data, indent=2))
    else:
        print(yaml.safe_dump_all(data, sort_keys=False).rstrip())


@specs.command()
def plan(
    spec: Spec,
    workers: Annotated[str, typer.Option(help="Numbers of workers, such as 1,8,64.")] = "1,2,4,8,16",
    folder: Folder = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Estimate the time of a sweep on several numbers of workers."""
    numbers, store = _parse_numbers(workers), Location(folder, storage, tracking_uri).store()
    from dataclasses import asdict

    from sweeps.run.plan import make_plan

    plans = [make_plan(one, store, numbers) for one in load_specs(spec)]
    if as_json:
        print(json.dumps([asdict(one) for one in plans], indent=2))
        return
    for one in plans:
        print_plan(one)


def _parse_numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise BadInputError(f"workers must be whole numbers such as 1,8,64, got {text!r}") from None
