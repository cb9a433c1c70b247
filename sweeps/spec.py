"""SweepSpec: what a sweep file says, checked whole before anything starts."""

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails

from bimt_core import METRICS, TASKS, task
from sweeps.errors import BadInputError
from sweeps.recipe import HYPERPARAMETERS, INTEGERS, SWITCHES, Value, recipe

PRESETS = Path(__file__).parent / "presets"


def _number(given: Any) -> Any:
    """A finite number; as text too, since YAML takes 1e-4, which has no point, for text."""
    try:
        number = float(given) if isinstance(given, str) else given
        if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number):
            return number
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"must be a finite number, got {given!r}")


Number = Annotated[int | float, BeforeValidator(_number)]
NumberOrNone = Annotated[int | float | None, BeforeValidator(lambda given: None if given is None else _number(given))]
Whole = Annotated[int, Field(strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Part):
    """Values between two ends, both included.

    Args:
        low: Lower end.
        high: Upper end, above `low`.
        log: Sample the logarithm; `low` must then be above 0.
        step: Distance between neighbouring values; `high` is one of them. None for any value, or whole numbers.
    """

    low: Number
    high: Number
    log: bool = False
    step: NumberOrNone = None

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got low={self.low:g}, high={self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 where log is true, got {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError(f"step cannot be used where log is true, got {self.step:g}")
        if self.step is not None and not self.step > 0:
            raise ValueError(f"step must be above 0, got {self.step:g}")
        if self.step is not None and (Decimal(str(self.high)) - Decimal(str(self.low))) % Decimal(str(self.step)):
            ends = f"low={self.low:g}, high={self.high:g}"
            raise ValueError(f"high - low must be a multiple of step, got {ends}, step={self.step:g}")
        return self


class Choices(_Part):
    """One of several values."""

    choices: tuple[Value, ...] = Field(min_length=1)

    @field_validator("choices")
    @classmethod
    def _differ(cls, choices: tuple[Value, ...]) -> tuple[Value, ...]:
        if len({repr(c) for c in choices}) < len(choices):
            raise ValueError(f"choices must differ, got {list(choices)}")
        return choices


class Fixed(_Part):
    """A value that is not searched."""

    value: Value | tuple[tuple[float, float], ...]


Parameter = Range | Choices | Fixed


def _parameter(name: str, given: Any) -> Parameter:
    """One entry of a search space: a mapping says by its keys what it is, a plain value is a fixed one."""
    if name not in HYPERPARAMETERS:
        raise ValueError(f"unknown hyperparameter, allowed are {', '.join(HYPERPARAMETERS)}")
    data = given.model_dump() if isinstance(given, _Part) else given if isinstance(given, dict) else {"value": given}
    kind = _kind(data)
    if kind is not Fixed and name == "cost_phases":
        raise ValueError(f"takes one value, a list of [fraction, factor], got {given!r}")
    if kind is Range and (name in SWITCHES or name == "relocation"):
        raise ValueError(f"takes choices or one value, not a range, got {given!r}")
    if kind is Fixed:
        data = data | {"value": _typed(name, data["value"])}
    if kind is Choices and isinstance(data["choices"], list | tuple):
        data = data | {"choices": [_typed(name, value) for value in data["choices"]]}
    parameter = kind.model_validate(data)
    for value in _values(name, parameter):
        recipe(task("two_moons"), {name: value})  # the method's rules are the same for every task
    return parameter


def _kind(data: Mapping[str, Any]) -> type[Range | Choices | Fixed]:
    return Choices if "choices" in data else Fixed if "value" in data else Range


def _values(name: str, parameter: Parameter) -> Iterable[Any]:
    """The values that stand for all that a parameter may take."""
    if isinstance(parameter, Range):
        whole = (parameter.low, parameter.high, parameter.step or 1)
        return [_typed(name, value) for value in whole][:2]
    return parameter.choices if isinstance(parameter, Choices) else (parameter.value,)


def _typed(name: str, value: Any) -> Any:
    """A hyperparameter's value in its own type."""
    if name == "cost_phases":
        return _phases(value)
    if name in SWITCHES or name == "relocation":
        kind, told = (bool, "true or false") if name in SWITCHES else (str, "a word")
        if not isinstance(value, kind):
            raise ValueError(f"must be {told}, got {value!r}")
        return value
    number = _number(value)
    if name in INTEGERS and not isinstance(number, int):
        raise ValueError(f"must be a whole number, got {value!r}")
    return number if name in INTEGERS else float(number)


def _phases(value: Any) -> tuple[tuple[float, float], ...]:
    try:
        return tuple((float(_number(fraction)), float(_number(factor))) for fraction, factor in value)
    except (TypeError, ValueError):
        raise ValueError(f"must be a list of [fraction, factor], got {value!r}") from None


class Objective(_Part):
    """A tracked metric and which way it should go."""

    metric: str
    direction: Literal["minimize", "maximize"]

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        return _metric(metric)


class Constraint(_Part):
    """A bound on a metric's mean over the replicates; written "score >= 0.9"."""

    metric: str
    relation: Literal["<=", ">="]
    bound: Number

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        return _metric(metric)

    def __str__(self) -> str:
        return f"{self.metric} {self.relation} {self.bound:g}"

    def violation(self, value: float) -> float:
        """How far a value is on the wrong side; at most 0 where the constraint holds."""
        return value - self.bound if self.relation == "<=" else self.bound - value


def parse_constraint(text: Any) -> Any:
    """Reads "METRIC >= NUMBER" or "METRIC <= NUMBER"; what has been read already is left to the model."""
    if isinstance(text, dict | Constraint):
        return text
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=)\s*([-+.\deE]+)\s*", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"must read like 'score >= 0.9', got {text!r}")
    metric, relation, bound = match.groups()
    return {"metric": metric, "relation": relation, "bound": bound}


class Resources(_Part):
    """What one cohort is given.

    Args:
        cpus: CPU cores; also the number of torch threads.
        gpus: GPUs or a fraction of one; above 0 the cohort trains on CUDA.
    """

    cpus: Whole = Field(default=1, ge=1)
    gpus: Number = Field(default=0.0, ge=0)


class SweepSpec(_Part):
    """One sweep.

    Args:
        name: Letters, digits, '-', '_' and '.', not starting with '.' or '-'; also the study's and
            the experiment's name.
        description: Shown in the tracking UI.
        task: One of the tasks (`bimt tasks`).
        data_seed: Seed of the task's data; None for the published one.
        search: Hyperparameter to what is tried: {low, high, log, step}, {choices} or one fixed value. Those left
            out keep the task's published value, but relocation is by assignment with moments moved.
        objectives: One or more metrics with directions.
        constraints: Bounds a good trial keeps, such as "score >= 0.9".
        trials: Number of completed trials asked for.
        replicates: Networks a trial, with seeds `seed`, `seed` + 1, ...
        cohort_size: Trials trained together as one population.
        concurrent_cohorts: Cohorts at once; None for as many as the cluster has room for when the sweep starts.
        resources: What one cohort is given.
        sampler: "tpe", "nsga2" or "random".
        seed: First replicate's seed and the sampler's.
        reports: Points along training at which all metrics are measured.
        time_budget_s: Seconds after which no more is trained; None for no limit.
        max_failed: Failed trials after which a launch gives up; None for as many as `trials`.
    """

    name: str
    description: str = ""
    task: str
    data_seed: Whole | None = Field(default=None, ge=0, lt=2**32)
    search: dict[str, Parameter] = Field(default_factory=dict)
    objectives: tuple[Objective, ...] = Field(min_length=1)
    constraints: tuple[Annotated[Constraint, BeforeValidator(parse_constraint)], ...] = ()
    trials: Whole = Field(ge=1)
    replicates: Whole = Field(default=4, ge=1)
    cohort_size: Whole = Field(default=8, ge=1)
    concurrent_cohorts: Whole | None = Field(default=None, ge=1)
    resources: Resources = Resources()
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    seed: Whole = Field(default=0, ge=0, lt=2**31)
    reports: Whole = Field(default=20, ge=1)
    time_budget_s: NumberOrNone = Field(default=None, gt=0)
    max_failed: Whole | None = Field(default=None, ge=1)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
            raise ValueError(
                f"must be 1 to 100 letters, digits, '-', '_' or '.', not starting with '.' or '-', got {name!r}"
            )
        return name

    @field_validator("task")
    @classmethod
    def _known_task(cls, name: str) -> str:
        if name not in TASKS:
            raise ValueError(f"must be one of {', '.join(TASKS)}, got {name!r}")
        return name

    @field_validator("search", mode="before")
    @classmethod
    def _by_name(cls, search: Any) -> Any:
        """Reads every entry, so that the problems of all are told, not only the first one's."""
        if not isinstance(search, dict):
            return search
        read: dict[str, Parameter] = {}
        problems: list[InitErrorDetails] = []
        for name, given in search.items():
            try:
                read[name] = _parameter(name, given)
            except ValidationError as error:
                problems += [_placed(problem, name) for problem in error.errors()]
            except ValueError as error:
                problems.append({"type": "value_error", "loc": (name,), "input": given, "ctx": {"error": error}})
        if problems:
            raise ValidationError.from_exception_data("search", problems)
        return read

    @field_validator("objectives")
    @classmethod
    def _differ(cls, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
        names = [objective.metric for objective in objectives]
        if len(set(names)) < len(names):
            raise ValueError(f"objectives must be different metrics, got {', '.join(names)}")
        return objectives

    @property
    def seeds(self) -> list[int]:
        """One a replicate."""
        return [self.seed + replicate for replicate in range(self.replicates)]

    @property
    def fixed(self) -> dict[str, Any]:
        """Hyperparameters with one value."""
        return {name: p.value for name, p in self.search.items() if isinstance(p, Fixed)}


def _metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {name!r}")
    return name


def _placed(problem: ErrorDetails, name: str) -> InitErrorDetails:
    """A problem of an entry, for the mapping that holds the entry."""
    where = (name, *problem["loc"])
    return {"type": problem["type"], "loc": where, "input": problem["input"], "ctx": problem.get("ctx", {})}


def read_spec(path: Path, **changes: Any) -> SweepSpec:
    """Reads and checks a sweep file.

    Args:
        path: A YAML file.
        changes: Top-level entries that replace the file's, where they are not None.

    Raises:
        BadInputError: With all of the file's problems, one line each.
    """
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
    return parse_spec(data | {k: v for k, v in changes.items() if v is not None}, source=str(path))


def parse_spec(data: dict[str, Any], *, source: str = "spec") -> SweepSpec:
    """Checks plain data.

    Args:
        data: As a sweep file holds it.
        source: What the problems are said to be in.

    Raises:
        BadInputError: With all problems, one line each.
    """
    try:
        return SweepSpec.model_validate(data)
    except ValidationError as error:
        told = [_told(problem, data) for problem in error.errors() if not _follows(problem)]
        raise BadInputError(*(f"{source}: {line}" for line in told)) from None


RULES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of names to values",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than": "must be below {lt}",
    "literal_error": "must be {expected}",
    "string_type": "must be text",
    "too_short": "must have at least {min_length} entry",
    "tuple_type": "must be a list",
}


def _told(problem: ErrorDetails, data: Mapping[str, Any]) -> str:
    """One problem as a line: where, the rule, the value."""
    where = [str(part) for part in problem["loc"]]
    place, kind, got = ".".join(where), problem["type"], problem["input"]
    if kind in ("extra_forbidden", "invalid_key"):
        return f"unknown key {place!r}, allowed are {', '.join(_keys(where[:-1], data))}"
    if kind == "missing":
        return f"{place} is missing"
    if kind == "value_error":
        return f"{place}: {str(problem['ctx']['error']).removeprefix(where[-1] + ' ')}"
    if kind in ("model_type", "model_attributes_type"):
        return f"{place}: must be a mapping with the keys {', '.join(_keys(where, data))}, got {got!r}"
    rule = RULES[kind].format(**problem.get("ctx", {})) if kind in RULES else problem["msg"]
    return f"{place}: {rule}, got {got!r}"


def _follows(problem: ErrorDetails) -> bool:
    """Whether a problem is only another one's consequence: a list counts as empty when none of its entries is right."""
    return problem["type"] == "too_short" and len(problem["input"]) > 0


def _keys(place: list[str], data: Mapping[str, Any]) -> list[str]:
    """The keys that a mapping may have."""
    if not place:
        return list(SweepSpec.model_fields)
    if place[0] == "search":
        return list(_kind(data["search"][place[1]]).model_fields)
    parts: dict[str, type[_Part]] = {"objectives": Objective, "constraints": Constraint, "resources": Resources}
    return list(parts[place[0]].model_fields)


def preset_path(name: str) -> Path:
    """The file of a preset.

    Raises:
        BadInputError: If there is no such preset.
    """
    path = PRESETS / f"{name}.yaml"
    if not path.is_file():
        raise BadInputError(f"{name!r} is neither a file nor a preset; presets are {', '.join(preset_names())}")
    return path


def preset_names() -> list[str]:
    """Names of the ready sweeps."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))
