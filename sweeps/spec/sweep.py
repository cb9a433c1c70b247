"""SweepSpec: what a sweep file says, checked whole before anything starts."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field, PlainValidator, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from bimt_core import METRICS, load_task
from sweeps.errors import BadInputError
from sweeps.spec.problems import lines_of, placed
from sweeps.spec.recipe import ARCHITECTURE, recipe
from sweeps.spec.search_space import (
    Fixed,
    Number,
    NumberOrNone,
    Parameter,
    Part,
    Setting,
    Whole,
    kind_of,
    parse_parameter,
    parse_setting,
)


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
        variants: Instead of a search: named settings to compare, each a trial. Name to hyperparameters and their
            values, which come on top of the fixed ones of `search`.
        reference: The variant that the others are compared with; None for the last.
        objectives: One or more metrics with directions.
        constraints: Bounds a good trial keeps, such as "score >= 0.9".
        trials: Number of completed trials asked for; with variants it is their number.
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
    variants: dict[str, dict[str, Setting]] = Field(default_factory=dict)
    reference: str | None = None
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
    evaluations: Whole = Field(default=20, ge=1)
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
        load_task(name)
        return name

    @field_validator("search", mode="before")
    @classmethod
    def _by_name(cls, search: Any) -> Any:
        return _each(search, parse_parameter)

    @field_validator("variants", mode="before")
    @classmethod
    def _settings_by_name(cls, variants: Any) -> Any:
        def settings(_: str, given: Any) -> Any:
            if not isinstance(given, dict):
                raise ValueError(f"must be a mapping of hyperparameters to values, got {given!r}")
            return _each(given, parse_setting)

        return _each(variants, settings)

    @model_validator(mode="before")
    @classmethod
    def _a_trial_each(cls, data: Any) -> Any:
        """The number of trials of a sweep with variants need not be said."""
        if isinstance(data, dict) and isinstance(data.get("variants"), dict) and data["variants"]:
            return {"trials": len(data["variants"])} | data
        return data

    @field_validator("objectives")
    @classmethod
    def _differ(cls, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
        names = [objective.metric for objective in objectives]
        if len(set(names)) < len(names):
            raise ValueError(f"objectives must be different metrics, got {', '.join(names)}")
        return objectives

    @model_validator(mode="after")
    def _compares(self) -> "SweepSpec":
        """Rules of sweeps with variants."""
        if self.reference is not None and self.reference not in self.variants:
            raise ValueError(
                f"reference must be one of the variants, {', '.join(self.variants) or 'none'}, got {self.reference!r}"
            )
        searched = [name for name in self.search if name not in self.fixed]
        if self.variants and searched:
            raise ValueError(f"search must hold fixed values only where there are variants, got {', '.join(searched)}")
        if self.variants and self.trials != len(self.variants):
            raise ValueError(f"trials must be the number of variants, {len(self.variants)}, got {self.trials}")
        return self

    @model_validator(mode="after")
    def _fits_its_task(self) -> "SweepSpec":
        """Rules that depend on the task: sizes, batches, and the numbers of the published mode."""
        task = load_task(self.task, self.data_seed)
        for name in (*ARCHITECTURE, "batch_size"):
            for value in self.samples(name):
                recipe(task, {name: value})
        published = "greedy" in self.samples("relocation") and False in self.samples("move_moments")
        if self.dtype == "float32" and task.dtype == torch.float64 and published:
            raise ValueError(
                f"dtype must be float64 for {self.task} in the published mode "
                "(relocation greedy, move_moments false), got 'float32'"
            )
        return self

    def samples(self, name: str) -> tuple[Any, ...]:
        """Values that stand for all that a hyperparameter may take; none where the task's own is kept."""
        searched = self.search[name].samples(name) if name in self.search else ()
        return (*searched, *(settings[name] for settings in self.variants.values() if name in settings))

    @property
    def seeds(self) -> list[int]:
        """One a replicate."""
        return [self.seed + replicate for replicate in range(self.replicates)]

    @property
    def fixed(self) -> dict[str, Any]:
        """Hyperparameters with one value."""
        return {name: p.value for name, p in self.search.items() if isinstance(p, Fixed)}

    @property
    def searched(self) -> tuple[str, ...]:
        """What tells one trial from another: hyperparameters that are searched, or "variant"."""
        return ("variant",) if self.variants else tuple(name for name in self.search if name not in self.fixed)

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """Everything that is said of a trial's hyperparameters, "variant" included where there are some."""
        settings = [name for variant in self.variants.values() for name in variant]
        return tuple(dict.fromkeys([*(["variant"] if self.variants else []), *self.search, *settings]))


def _metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {name!r}")
    return name


def _each(entries: Any, read: Callable[[str, Any], Any]) -> Any:
    """Reads every entry of a mapping, so that the problems of all are told, not only the first one's."""
    if not isinstance(entries, dict):
        return entries
    done: dict[str, Any] = {}
    problems: list[InitErrorDetails] = []
    for name, given in entries.items():
        try:
            done[name] = read(name, given)
        except ValidationError as error:
            problems += [placed(problem, name) for problem in error.errors()]
        except ValueError as error:
            problems.append({"type": "value_error", "loc": (name,), "input": given, "ctx": {"error": error}})
    if problems:
        raise ValidationError.from_exception_data("entries", problems)
    return done


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
        told = lines_of(error, lambda place: _keys(place, data))
        raise BadInputError(*(f"{source}: {line}" for line in told)) from None


def _keys(place: list[str], data: Mapping[str, Any]) -> list[str]:
    """The keys that a mapping may have."""
    if not place:
        return list(SweepSpec.model_fields)
    if place[0] == "search":
        return list(kind_of(data["search"][place[1]]).model_fields)
    parts: dict[str, type[Part]] = {"objectives": Objective, "constraints": Constraint, "resources": Resources}
    return list(parts[place[0]].model_fields)
