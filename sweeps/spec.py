"""SweepSpec: what a sweep file says, checked whole before anything starts."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from bimt_core import METRICS, TASKS, task
from sweeps.errors import BadInputError
from sweeps.recipe import HYPERPARAMETERS, INTEGERS, Value, recipe

PRESETS = Path(__file__).parent / "presets"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Range(_Part):
    """Values between two ends, both included.

    Args:
        low: Lower end.
        high: Upper end, above `low`.
        log: Sample the logarithm; `low` must then be above 0.
        step: Distance between neighbouring values; integers have 1.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got low={self.low:g}, high={self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 where log is true, got {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError(f"step cannot be used where log is true, got {self.step:g}")
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


def _parameter(value: Any) -> Any:
    """A plain value in a sweep file is a fixed one; a mapping says by its keys what it is."""
    if isinstance(value, _Part):
        return value
    if not isinstance(value, dict):
        return Fixed(value=value)
    if "choices" in value:
        return Choices.model_validate(value)
    return Fixed.model_validate(value) if "value" in value else Range.model_validate(value)


Parameter = Annotated[Range | Choices | Fixed, BeforeValidator(_parameter)]


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
    bound: float

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
    """Reads "METRIC >= NUMBER" or "METRIC <= NUMBER"; anything but text is left to the model."""
    if not isinstance(text, str):
        return text
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=)\s*([-+.\deE]+)\s*", text)
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

    cpus: int = Field(default=1, ge=1)
    gpus: float = Field(default=0.0, ge=0)


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
    data_seed: int | None = Field(default=None, ge=0)
    search: dict[str, Parameter] = Field(default_factory=dict)
    objectives: tuple[Objective, ...] = Field(min_length=1)
    constraints: tuple[Annotated[Constraint, BeforeValidator(parse_constraint)], ...] = ()
    trials: int = Field(ge=1)
    replicates: int = Field(default=4, ge=1)
    cohort_size: int = Field(default=8, ge=1)
    concurrent_cohorts: int | None = Field(default=None, ge=1)
    resources: Resources = Resources()
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    seed: int = Field(default=0, ge=0, lt=2**31)
    reports: int = Field(default=20, ge=1)
    time_budget_s: float | None = Field(default=None, gt=0)
    max_failed: int | None = Field(default=None, ge=1)

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

    @field_validator("search")
    @classmethod
    def _known_hyperparameters(cls, search: dict[str, Parameter]) -> dict[str, Parameter]:
        problems = [_problem_of(name, parameter) for name, parameter in search.items()]
        if told := [problem for problem in problems if problem]:
            raise ValueError("; ".join(told))
        return search

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


def _problem_of(name: str, parameter: Parameter) -> str | None:
    """What is wrong with a hyperparameter of the search space: its name, its type, or a value the method rejects."""
    if name not in HYPERPARAMETERS:
        return f"unknown hyperparameter {name!r}, allowed are {', '.join(HYPERPARAMETERS)}"
    if isinstance(parameter, Range):
        values: tuple[Any, ...] = (parameter.low, parameter.high)
    else:
        values = parameter.choices if isinstance(parameter, Choices) else (parameter.value,)
    if isinstance(parameter, Range) and name in ("relocation", "local_last", "move_moments", "cost_phases"):
        return f"{name} takes choices or one value, not a range"
    whole = (*values, parameter.step) if isinstance(parameter, Range) and parameter.step is not None else values
    if name in INTEGERS and any(isinstance(v, bool) or not isinstance(v, int) for v in whole):
        return f"{name} takes whole numbers, got {', '.join(map(str, whole))}"
    for value in values:
        try:
            recipe(task("two_moons"), {name: value})
        except (ValueError, TypeError) as error:
            return str(error) if isinstance(error, ValueError) else f"{name} cannot be {value!r}"
    return None


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
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"cannot read {path}: {error}") from error
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
        raise BadInputError(*(f"{source}: {_told(problem)}" for problem in error.errors())) from None


def _told(problem: Any) -> str:
    """One pydantic problem as a line: where, the rule, the value."""
    where = [str(part) for part in problem["loc"] if part not in ("Range", "Choices", "Fixed")]
    place = ".".join(part for part in where if "function-before" not in part and "[" not in part)
    if problem["type"] == "extra_forbidden":
        allowed = _allowed_keys(where[:-1])
        return f"unknown key {place!r}, allowed are {', '.join(allowed)}"
    if problem["type"] == "missing":
        return f"{place} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{place}: {message}"
    return f"{place}: {message[0].lower()}{message[1:]}, got {problem['input']!r}"


def _allowed_keys(parents: list[str]) -> list[str]:
    parts: dict[str, type[_Part]] = {
        "objectives": Objective,
        "resources": Resources,
        "search": Range,
        "constraints": Constraint,
    }
    part = parts[parents[0]] if parents else SweepSpec
    return list(part.model_fields)


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
