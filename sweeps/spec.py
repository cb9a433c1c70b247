"""SweepSpec: what a sweep file says, checked whole before anything starts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import yaml
from pydantic import BeforeValidator, Field, PlainValidator, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails

from bimt_core import METRICS, task
from sweeps.errors import BadInputError
from sweeps.recipe import ARCHITECTURE, recipe
from sweeps.search_space import Fixed, Number, NumberOrNone, Parameter, Part, Whole, kind_of, parse_parameter

PRESETS = Path(__file__).parent / "presets"


class Objective(Part):
    """A tracked metric and which way it should go."""

    metric: str
    direction: Literal["minimize", "maximize"]

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        return _metric(metric)


class Constraint(Part):
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


class Resources(Part):
    """What one cohort is given.

    Args:
        cpus: CPU cores; also the number of torch threads.
        gpus: GPUs or a fraction of one; above 0 the cohort trains on CUDA.
        compile: Whether training is compiled on CPUs, which takes some ten seconds a worker and then is about twice as
            fast: "auto" where the sweep is long enough, "always" or "never".
    """

    cpus: Whole = Field(default=1, ge=1)
    gpus: Number = Field(default=0.0, ge=0)
    compile: Literal["auto", "always", "never"] = "auto"


def _cohort_size(given: Any) -> Any:
    whole = isinstance(given, int) and not isinstance(given, bool) and given >= 1
    if not whole and given != "auto":
        raise ValueError(f"must be a whole number of at least 1, or 'auto', got {given!r}")
    return given


class SweepSpec(Part):
    """One sweep.

    Args:
        name: Letters, digits, '-', '_' and '.', not starting with '.' or '-'; also the study's and
            the experiment's name.
        description: Shown in the tracking UI.
        task: One of the tasks (`bimt tasks`), or module:function for one of your own, which is imported: trusted code.
        data_seed: Seed of the task's data; None for the published one.
        search: Hyperparameter to what is tried: {low, high, log, step}, {choices} or one fixed value. Those left
            out keep the task's published value, but relocation is by assignment with moments moved.
        objectives: One or more metrics with directions.
        constraints: Bounds a good trial keeps, such as "score >= 0.9".
        trials: Number of completed trials asked for.
        replicates: Networks a trial, with seeds `seed`, `seed` + 1, ...
        cohort_size: Trials trained together as one population; "auto" for what a short measurement finds fastest.
        concurrent_cohorts: Cohorts at once; None for as many as the cluster has room for when the sweep starts.
        resources: What one cohort is given.
        dtype: Numbers to train with, "float32" or "float64"; None for the task's own.
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
    cohort_size: Annotated[int | Literal["auto"], PlainValidator(_cohort_size)] = 8
    concurrent_cohorts: Whole | None = Field(default=None, ge=1)
    resources: Resources = Resources()
    dtype: Literal["float32", "float64"] | None = None
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
        task(name)
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
                read[name] = parse_parameter(name, given)
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

    @model_validator(mode="after")
    def _fits_its_task(self) -> "SweepSpec":
        """Rules that depend on the task: sizes, batches, and the numbers of the published mode."""
        the_task = task(self.task, self.data_seed)
        for name in (*ARCHITECTURE, "batch_size"):
            for value in self.search[name].samples(name) if name in self.search else ():
                recipe(the_task, {name: value})
        published = all(
            value in self.search[name].samples(name) if name in self.search else False
            for name, value in (("relocation", "greedy"), ("move_moments", False))
        )
        if self.dtype == "float32" and the_task.dtype == torch.float64 and published:
            raise ValueError(
                f"dtype must be float64 for {self.task} in the published mode "
                "(relocation greedy, move_moments false), got 'float32'"
            )
        return self

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
    if not problem["loc"]:
        return str(problem["ctx"]["error"])  # a rule about several entries names them itself
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
        return list(kind_of(data["search"][place[1]]).model_fields)
    parts: dict[str, type[Part]] = {"objectives": Objective, "constraints": Constraint, "resources": Resources}
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
