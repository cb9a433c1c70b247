"""Sweep files, suites of several sweeps, and presets."""

from pathlib import Path
from typing import Any

import yaml

from sweeps.errors import BadInputError
from sweeps.spec.sweep import SweepSpec, parse_spec

PRESETS = Path(__file__).parent / "presets"
SUITE_KEYS = ("name", "description", "each", "sweeps")


def read_spec(path: str | Path, **changes: Any) -> SweepSpec:
    """Reads and checks a file with one sweep.

    Args:
        path: A YAML file.
        changes: Top-level entries that override the file's, unless they are None.

    Raises:
        BadInputError: With all problems of the file, one line each, or if it holds several sweeps.
    """
    specs = read_specs(path, **changes)
    if len(specs) != 1:
        raise BadInputError(f"{path} holds {len(specs)} sweeps; read_specs reads them all")
    return specs[0]


def read_specs(path: str | Path, **changes: Any) -> list[SweepSpec]:
    """Reads and checks a file with one sweep or a suite.

    A suite has a name, a list `sweeps`, and a mapping `each` of entries that its sweeps may override. Its sweeps are
    named "SUITE.NAME", or "SUITE.TASK" where they have no name of their own.

    Args:
        path: A YAML file.
        changes: Top-level entries that override the file's, unless they are None; of a suite, only the name.

    Raises:
        BadInputError: With all problems of the file, one line each.
    """
    data = _read_mapping(Path(path)) | {k: v for k, v in changes.items() if v is not None}
    return _parse_suite(data, str(path)) if "sweeps" in data else [parse_spec(data, source=str(path))]


def _parse_suite(data: dict[str, Any], source: str) -> list[SweepSpec]:
    if unknown := [key for key in data if key not in SUITE_KEYS]:
        raise BadInputError(
            *(f"{source}: unknown key {key!r} of a suite, allowed are {', '.join(SUITE_KEYS)}" for key in unknown)
        )
    each, sweeps = data.get("each", {}), data["sweeps"]
    mappings = isinstance(sweeps, list) and sweeps and all(isinstance(entry, dict) for entry in [each, *sweeps])
    if not mappings or "name" not in data:
        raise BadInputError(f"{source}: a suite must have a name, a list of sweeps, and each of them must be a mapping")
    specs: list[SweepSpec] = []
    problems: list[str] = []
    for number, own in enumerate(sweeps):
        name = f"{data['name']}.{own.get('name', own.get('task'))}"
        try:
            specs.append(parse_spec({**each, **own, "name": name}, source=f"{source}: sweeps.{number}"))
        except BadInputError as error:
            problems += error.problems
    names = [spec.name for spec in specs]
    if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        problems.append(f"{source}: the sweeps of a suite must have different names, got twice {', '.join(repeated)}")
    if problems:
        raise BadInputError(*problems)
    return specs


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is not YAML: it is not text in UTF-8") from error
    except yaml.YAMLError as error:
        raise BadInputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise BadInputError(f"{path} must hold a mapping of names to values, got {type(data).__name__}")
    return data


def preset_path(name: str) -> Path:
    """Returns the file of a preset.

    Args:
        name: Preset.

    Raises:
        BadInputError: If there is no such preset.
    """
    path = PRESETS / f"{name}.yaml"
    if not path.is_file():
        raise BadInputError(f"{name!r} is neither a file nor a preset; presets are {', '.join(preset_names())}")
    return path


def preset_names() -> list[str]:
    """Returns the names of all presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))
