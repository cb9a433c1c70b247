"""Commands about what may be swept: tasks, presets and sweep files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.options import Json
from sweeps.terminal import print_rows

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec

inputs = typer.Typer()

Spec = Annotated[str, typer.Argument(help="A sweep file, or the name of a preset.")]


@inputs.command()
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


@inputs.command()
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


@inputs.command()
def validate(spec: Spec, as_json: Json = False) -> None:
    """Check a sweep file; print it with all defaults filled in, the sweeps of a suite one after another."""
    import yaml

    data = [checked.model_dump(mode="json") for checked in specs_of(spec)]
    if as_json:
        print(json.dumps(data[0] if len(data) == 1 else data, indent=2))
    else:
        print(yaml.safe_dump_all(data, sort_keys=False).rstrip())


def specs_of(given: str, **changes: Any) -> "list[SweepSpec]":
    """The sweeps of a file or preset, with changes."""
    from sweeps.spec_file import preset_path, read_specs

    path = Path(given)
    return read_specs(path if path.suffix in (".yaml", ".yml") or path.is_file() else preset_path(given), **changes)
