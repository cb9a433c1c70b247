"""SweepSpec: the content of a sweep file, and what is derived from it: task, recipes and cohorts."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationError, model_validator

from bimt_core import Task, load_task
from sweeps.errors import BadInputError
from sweeps.spec.parts import Constraint, NumberOrNone, Objective, Part, Resources, Whole, parse_constraint
from sweeps.spec.problems import format_problems, parse_entries
from sweeps.spec.recipe import ARCHITECTURE, Params, Recipe, recipe
from sweeps.spec.search_space import Fixed, Parameter, Setting, parameter_kind, parse_parameter, parse_setting


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name):
        raise ValueError(
            f"must be 1 to 100 letters, digits, '-', '_' or '.', not starting with '.' or '-', got {name!r}"
        )
    return name


def _check_task(name: str) -> str:
    load_task(name)
    return name


def _parse_search(search: Any) -> Any:
    return parse_entries(search, parse_parameter)


def _parse_variants(variants: Any) -> Any:
    def parse_settings(_: str, settings: Any) -> Any:
        if not isinstance(settings, dict):
            raise ValueError(f"must be a mapping of hyperparameters to values, got {settings!r}")
        return parse_entries(settings, parse_setting)

    return parse_entries(variants, parse_settings)


def _check_objectives(objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
    names = [objective.metric for objective in objectives]
    if len(set(names)) < len(names):
        raise ValueError(f"objectives must be different metrics, got {', '.join(names)}")
    return objectives


def _check_cohort_size(value: Any) -> Any:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not is_count and value != "auto":
        raise ValueError(f"must be a whole number of at least 1, or 'auto', got {value!r}")
    return value


class SweepSpec(Part):
    """Specification of one sweep.

    Args:
        name: Letters, digits, '-', '_' and '.', not starting with '.' or '-'. It also names the study and the
            MLflow experiment.
        description: Text shown in the tracking UI.
        task: One of the tasks (`bimt tasks`), or "module:function" for your own, which is imported: trusted code.
        data_seed: Seed of the task's data; None for the published seed.
        search: Entry per searched or fixed hyperparameter: {low, high, log, step}, {choices} or one value. Others keep
            the task's published value, except that relocation is by assignment with moments moved.
        variants: Instead of a search, named settings to compare, one trial each: name to hyperparameters and values,
            which override the fixed ones of `search`.
        reference: Variant that the others are compared with; None for the last.
        objectives: At least one metric with its direction.
        constraints: Bounds that a feasible trial keeps, such as "score >= 0.9".
        trials: Number of complete trials to reach; with variants, their number.
        replicates: Networks per trial, with the seeds `seed`, `seed` + 1, ...
        cohort_size: Trials trained together as one population; "auto" measures which size trains fastest.
        concurrent_cohorts: Cohorts that train at the same time; None for as many as there are slots at the launch.
        resources: Resources of one cohort.
        dtype: Training precision, "float32" or "float64"; None for the task's own.
        sampler: "tpe", "nsga2" or "random".
        seed: Seed of the first replicate and of the sampler.
        evaluations: Points of the training at which all metrics are measured.
        time_budget_s: Seconds after which no more trials are trained; None for no limit.
        max_failed: Failed trials after which a launch gives up; None for as many as `trials`.
    """

    name: Annotated[str, AfterValidator(_check_name)]
    description: str = ""
    task: Annotated[str, AfterValidator(_check_task)]
    data_seed: Whole | None = Field(default=None, ge=0, lt=2**32)
    search: Annotated[dict[str, Parameter], BeforeValidator(_parse_search)] = Field(default_factory=dict)
    variants: Annotated[dict[str, dict[str, Setting]], BeforeValidator(_parse_variants)] = Field(default_factory=dict)
    reference: str | None = None
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1), AfterValidator(_check_objectives)]
    constraints: tuple[Annotated[Constraint, BeforeValidator(parse_constraint)], ...] = ()
    trials: Whole = Field(ge=1)
    replicates: Whole = Field(default=4, ge=1)
    cohort_size: Annotated[int | Literal["auto"], PlainValidator(_check_cohort_size)] = 8
    concurrent_cohorts: Whole | None = Field(default=None, ge=1)
    resources: Resources = Resources()
    dtype: Literal["float32", "float64"] | None = None
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    seed: Whole = Field(default=0, ge=0, lt=2**31)
    evaluations: Whole = Field(default=20, ge=1)
    time_budget_s: NumberOrNone = Field(default=None, gt=0)
    max_failed: Whole | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _count_variants(cls, data: Any) -> Any:
        """Fills in `trials` where there are variants."""
        if isinstance(data, dict) and isinstance(data.get("variants"), dict) and data["variants"]:
            return {"trials": len(data["variants"])} | data
        return data

    @model_validator(mode="after")
    def _check_variants(self) -> "SweepSpec":
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
    def _check_against_task(self) -> "SweepSpec":
        """Checks the rules that depend on the task: sizes, batches, and the precision of the published mode."""
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

    def load_task(self) -> Task:
        """Loads the sweep's task, on the CPU and in the sweep's precision."""
        task = load_task(self.task, self.data_seed)
        return task.cast(getattr(torch, self.dtype)) if self.dtype else task

    def recipe(self, params: Params) -> Recipe:
        """Returns how a trial's networks are trained.

        Args:
            params: All hyperparameters of the trial.

        Raises:
            ValueError: If a value breaks a rule of the method or of the task.
        """
        return recipe(self.load_task(), params)

    def cohort(
        self, members: Mapping[int, Params], *, compiled: bool = False, saved: "SavedCheckpoint | None" = None
    ) -> "Cohort":
        """Returns the cohort that trains some trials.

        Args:
            members: Hyperparameters by trial number; their recipes have the same shape.
            compiled: Whether the training is compiled; see `bimt_core.train`.
            saved: Checkpoint of an earlier launch to continue from; None to start at step 0.
        """
        return Cohort(self, dict(members), compiled, saved)

    def samples(self, name: str) -> tuple[Any, ...]:
        """Returns values that represent all that a hyperparameter may take; empty where the task's value is kept.

        Args:
            name: Hyperparameter.
        """
        searched = self.search[name].samples(name) if name in self.search else ()
        return (*searched, *(settings[name] for settings in self.variants.values() if name in settings))

    @property
    def largest_params(self) -> dict[str, Any]:
        """Fixed hyperparameters, and the largest network of the search space."""
        return self.fixed | {name: max(self.samples(name)) for name in ARCHITECTURE if self.samples(name)}

    @property
    def device(self) -> str:
        """Device that cohorts train on."""
        return "cuda" if self.resources.gpus > 0 else "cpu"

    @property
    def seeds(self) -> list[int]:
        """Seed of each replicate."""
        return [self.seed + replicate for replicate in range(self.replicates)]

    @property
    def fixed(self) -> dict[str, Any]:
        """Hyperparameters with a single value."""
        return {name: p.value for name, p in self.search.items() if isinstance(p, Fixed)}

    @property
    def searched(self) -> tuple[str, ...]:
        """Names that distinguish trials: the searched hyperparameters, or "variant"."""
        return ("variant",) if self.variants else tuple(name for name in self.search if name not in self.fixed)

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """Names of all hyperparameters that the spec sets, and "variant" where there are variants."""
        settings = [name for variant in self.variants.values() for name in variant]
        return tuple(dict.fromkeys([*(["variant"] if self.variants else []), *self.search, *settings]))


@dataclass(frozen=True)
class SavedCheckpoint:
    """Checkpoint of a cohort of an earlier launch.

    Args:
        uri: Its folder or address.
        step: Finished optimiser steps.
        members: Numbers of its trials.
    """

    uri: str
    step: int
    members: tuple[int, ...]


@dataclass(frozen=True)
class Cohort:
    """Trials that one worker trains as a population.

    Args:
        spec: The sweep.
        members: Hyperparameters by trial number; their recipes have the same shape.
        compiled: Whether the training is compiled.
        saved: Checkpoint to continue from, its members in the same order; None to start at step 0.
    """

    spec: SweepSpec
    members: dict[int, Params]
    compiled: bool = False
    saved: SavedCheckpoint | None = None

    @property
    def recipes(self) -> list[Recipe]:
        """Recipe of each member."""
        return [self.spec.recipe(params) for params in self.members.values()]

    @property
    def n_networks(self) -> int:
        """Number of networks."""
        return len(self.members) * self.spec.replicates

    def to_dict(self) -> dict[str, Any]:
        """Returns the cohort as plain data, which travels to the worker."""
        saved = self.saved and asdict(self.saved)
        return {"spec": self.spec.model_dump(), "members": self.members, "compiled": self.compiled, "saved": saved}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Cohort":
        """Restores the cohort that `to_dict` described.

        Args:
            data: Plain data.
        """
        members = {int(number): params for number, params in data["members"].items()}  # JSON has text for keys
        saved = data["saved"] and SavedCheckpoint(**data["saved"] | {"members": tuple(data["saved"]["members"])})
        return Cohort(SweepSpec.model_validate(data["spec"]), members, data["compiled"], saved)


def parse_spec(data: dict[str, Any], *, source: str = "spec") -> SweepSpec:
    """Checks plain data.

    Args:
        data: Content of a sweep file.
        source: Prefix of every problem, such as the file's name.

    Raises:
        BadInputError: With all problems, one line each.

    Examples:
        >>> spec = parse_spec({
        ...     "name": "moons", "task": "two_moons", "trials": 8,
        ...     "search": {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}},
        ...     "objectives": [{"metric": "score", "direction": "maximize"}],
        ... })
        >>> spec.searched, spec.seeds
        (('cost_weight',), [0, 1, 2, 3])
    """
    try:
        return SweepSpec.model_validate(data)
    except ValidationError as error:
        problems = format_problems(error, lambda path: _allowed_keys(path, data))
        raise BadInputError(*(f"{source}: {line}" for line in problems)) from None


def _allowed_keys(path: list[str], data: Mapping[str, Any]) -> list[str]:
    if not path:
        return list(SweepSpec.model_fields)
    if path[0] == "search":
        return list(parameter_kind(data["search"][path[1]]).model_fields)
    parts: dict[str, type[Part]] = {"objectives": Objective, "constraints": Constraint, "resources": Resources}
    return list(parts[path[0]].model_fields)
