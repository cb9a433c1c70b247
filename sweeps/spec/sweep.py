"""SweepSpec: the content of a sweep file, and what is derived from it: task, recipes and seeds."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationError, model_validator

from bimt_core import METRICS, TEST_COUNTERPARTS, Task, load_task
from sweeps.errors import BadInputError
from sweeps.spec.parts import (
    Aggregate,
    Confirm,
    Constraint,
    Direction,
    NumberOrNone,
    Objective,
    Part,
    Resources,
    StopWhen,
    Switch,
    Whole,
    parse_constraint,
)
from sweeps.spec.problems import format_problems, parse_entries
from sweeps.spec.recipe import ARCHITECTURE, DEFAULTS, Params, Recipe, published_params, recipe
from sweeps.spec.search_space import Fixed, Parameter, Setting, parameter_kind, parse_parameter, parse_setting

Sampler = Literal["auto", "gp", "tpe", "nsga2", "random", "qmc"]
MAX_SEED = 2**31  # of a network, exclusive
TEST_METRICS = tuple(TEST_COUNTERPARTS.values())
LEAST_NETWORKS: dict[Aggregate, int] = {"mean": 1, "median": 2, "best_quarter": 4}  # whose aggregate means something


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


def _parse_start_from(entries: Any) -> Any:
    if isinstance(entries, str):
        return _check_name(entries)
    if not isinstance(entries, list | tuple):
        raise ValueError(f"must be a list of configurations or the name of a sweep, got {entries!r}")
    named = _parse_variants({str(i): entry for i, entry in enumerate(entries)})
    return tuple(named.values())


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
        published: Whether validation and test rows are the paper's, which chose by its test rows. Then `test_loss` and
            `test_score` may be objectives, and nothing tells how much of a value is luck.
        validation_rows: Number of held-out rows to choose by; the others are test rows. None for the task's halves.
        search: Entry per searched or fixed hyperparameter: {low, high, log, step}, {choices} or one value. Others keep
            the task's published value, except that relocation is by assignment with moments moved.
        variants: Instead of a search, named settings to compare, one trial each: name to hyperparameters and values,
            which override the fixed ones of `search`.
        reference: Variant that the others are compared with; None for the last.
        objectives: At least one metric with its direction.
        constraints: Bounds that a feasible trial keeps, such as "val_score >= 0.9".
        trials: Number of complete trials to reach; with variants, their number. The published setting, which every
            search trains too, does not count.
        start_from: Configurations to try first: a list of mappings of hyperparameters to values, or the name of a sweep
            in the same store, whose front they are. Searched hyperparameters that a mapping leaves out have their
            published values.
        replicates: Networks per trial, with the seeds `seed`, `seed` + 1, ...
        max_replicates: Networks of a trial whose interval touches the front, which get `replicates` more at a time;
            None for `replicates`, no more.
        confirm: {replicates}: networks to confirm each configuration on the front with, on fresh seeds; None for no
            confirmation.
        stop_when: {trials, gain}: end of the search before its last trial; None for no such end.
        cohort_size: Trials trained together as one population; "auto" measures which size trains fastest.
        concurrent_cohorts: Cohorts that train at the same time; None for as many as there are slots at the launch.
        resources: Resources of one cohort.
        dtype: Training precision, "float32" or "float64"; None for the task's own.
        sampler: "auto", "gp", "tpe", "nsga2", "random" or "qmc"; see `sweeps.study.samplers`.
        seed: Seed of the first replicate and of the sampler.
        evaluations: Points of the training at which all metrics are measured.
        time_budget_s: Seconds after which no more trials are trained; None for no limit.
        max_failed: Failed trials after which a launch gives up; None for as many as `trials`.
    """

    name: Annotated[str, AfterValidator(_check_name)]
    description: str = ""
    task: Annotated[str, AfterValidator(_check_task)]
    data_seed: Whole | None = Field(default=None, ge=0, lt=2**32)
    published: Switch = False
    validation_rows: Whole | None = Field(default=None, ge=2)
    search: Annotated[dict[str, Parameter], BeforeValidator(_parse_search)] = Field(default_factory=dict)
    variants: Annotated[dict[str, dict[str, Setting]], BeforeValidator(_parse_variants)] = Field(default_factory=dict)
    reference: str | None = None
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1), AfterValidator(_check_objectives)]
    constraints: tuple[Annotated[Constraint, BeforeValidator(parse_constraint)], ...] = ()
    trials: Whole = Field(ge=1)
    start_from: Annotated[tuple[dict[str, Setting], ...] | str, BeforeValidator(_parse_start_from)] = ()
    replicates: Whole = Field(default=4, ge=1)
    max_replicates: Whole | None = Field(default=None, ge=1)
    confirm: Confirm | None = None
    stop_when: StopWhen | None = None
    cohort_size: Annotated[int | Literal["auto"], PlainValidator(_check_cohort_size)] = 8
    concurrent_cohorts: Whole | None = Field(default=None, ge=1)
    resources: Resources = Resources()
    dtype: Literal["float32", "float64"] | None = None
    sampler: Sampler = "auto"
    seed: Whole = Field(default=0, ge=0, lt=MAX_SEED)
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
    def _check_rows(self) -> "SweepSpec":
        """Checks that nothing is chosen by test rows, except in the published mode."""
        chosen = [
            *(("objectives", o.metric) for o in self.objectives),
            *(("constraints", c.metric) for c in self.constraints),
        ]
        for entry, metric in chosen if not self.published else ():
            if metric in TEST_METRICS:
                raise ValueError(
                    f"{entry} must not use test rows, because a choice by them makes their values too good:"
                    f" use {metric.replace('test', 'val')}, or published: true, got {metric}"
                )
        return self

    @model_validator(mode="after")
    def _check_networks(self) -> "SweepSpec":
        """Checks the numbers of networks, which are numbers of seeds."""
        for least, purpose in self._least_networks():
            if self.replicates < least:
                raise ValueError(f"replicates must be at least {least} for {purpose}, got {self.replicates}")
        if self.max_replicates is not None and self.max_replicates < self.replicates:
            raise ValueError(
                f"max_replicates must be at least replicates, {self.replicates}, got {self.max_replicates}"
            )
        if self.most_replicates > self.replicates == 1:
            raise ValueError("replicates must be at least 2 with max_replicates, whose rule needs an interval, got 1")
        if self.stop_when is not None and (self.confirm is None or len(self.objectives) < 2):
            raise ValueError(
                "stop_when needs confirm and at least two objectives: it looks at the confirmed hypervolume"
            )
        if self.variants:
            named = ("start_from", "max_replicates", "confirm", "stop_when")
            if given := [name for name in named if getattr(self, name)]:
                raise ValueError(f"{', '.join(given)} cannot be used where there are variants, which are not searched")
        if self.confirm is not None:
            self.confirmation_seeds(self.confirm.replicates)
        return self

    @model_validator(mode="after")
    def _check_start_from(self) -> "SweepSpec":
        """Checks that configurations to start from are in the search space."""
        for i, settings in enumerate(() if isinstance(self.start_from, str) else self.start_from):
            self.complete_params(settings, source=f"start_from.{i}")
        return self

    @model_validator(mode="after")
    def _check_against_task(self) -> "SweepSpec":
        """Checks the rules that depend on the task: sizes, batches, rows, and the precision of the published mode."""
        task = self.load_task()
        for kind, rows in (("validation", task.validation_inputs), ("test", task.test_inputs)):
            if len(rows) < 2:
                raise ValueError(
                    f"{self.task} must have at least 2 {kind} rows, whose error is measured, got {len(rows)}"
                )
        for name in (*ARCHITECTURE, "batch_size"):
            for value in self.samples(name):
                recipe(task, {name: value})
        published = "greedy" in self.samples("relocation") and False in self.samples("move_moments")
        own_dtype = load_task(self.task, self.data_seed, self.published).dtype
        if self.dtype == "float32" and own_dtype == torch.float64 and published:
            raise ValueError(
                f"dtype must be float64 for {self.task} in the published mode "
                "(relocation greedy, move_moments false), got 'float32'"
            )
        return self

    def load_task(self, data_seed: int | None = None) -> Task:
        """Loads the sweep's task, on the CPU and in the sweep's precision.

        Args:
            data_seed: Seed of other data; None for the sweep's own.
        """
        task = load_task(self.task, self.data_seed if data_seed is None else data_seed, self.published)
        if self.validation_rows is not None:
            if self.published:
                raise ValueError("validation_rows cannot be used with published: true, which has the paper's rows")
            task = task.choose_by_rows(self.validation_rows)
        return task.cast(getattr(torch, self.dtype)) if self.dtype else task

    def recipe(self, params: Params) -> Recipe:
        """Returns how a trial's networks are trained.

        Args:
            params: All hyperparameters of the trial.

        Raises:
            ValueError: If a value breaks a rule of the method or of the task.
        """
        return recipe(self.load_task(), params)

    def complete_params(self, settings: Mapping[str, Any], *, source: str) -> dict[str, Any]:
        """Returns a value for every searched hyperparameter: the one given, or else the published one.

        Args:
            settings: Hyperparameters and values.
            source: Their name in an error.

        Raises:
            ValueError: If a hyperparameter is not searched, or a value is outside its range or choices.
        """
        if unknown := [name for name in settings if name not in self.searched]:
            raise ValueError(
                f"{source} must set searched hyperparameters, {', '.join(self.searched)}, got {', '.join(unknown)}"
            )
        params = published_params(self.load_task(), self.searched) | dict(settings)
        if missing := [name for name in self.searched if name not in params]:
            raise ValueError(f"{source} must set {', '.join(missing)}, whose published value is not one number")
        for name, value in params.items():
            if not self.search[name].contains(value):
                origin = "" if name in settings else " (the published value)"
                raise ValueError(f"{source}: {name} must be in {self.search[name]}, got {value!r}{origin}")
        return params

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
    def most_replicates(self) -> int:
        """Networks that a trial of the search has at most."""
        return self.max_replicates or self.replicates

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seed of each replicate."""
        return tuple(self.seed + replicate for replicate in range(self.replicates))

    def confirmation_seeds(self, replicates: int) -> tuple[int, ...]:
        """Returns seeds that no network of the search has.

        Args:
            replicates: Number of seeds.

        Raises:
            ValueError: If there are not as many, or they are too few for an objective's aggregate.
        """
        for least, purpose in self._least_networks():
            if replicates < least:
                raise ValueError(f"confirm needs at least {least} networks for {purpose}, got {replicates}")
        first = self.seed + self.most_replicates
        if first + replicates > MAX_SEED:
            raise ValueError(
                f"confirm needs seeds from {first}, which the search does not use, to below {MAX_SEED}:"
                f" replicates must be at most {max(MAX_SEED - first, 0)}, got {replicates}"
            )
        return tuple(range(first, first + replicates))

    def _least_networks(self) -> list[tuple[int, str]]:
        """Number of networks that each objective's aggregate needs, and its name in an error."""
        return [(LEAST_NETWORKS[o.aggregate], f"the aggregate {o.aggregate} of {o.metric}") for o in self.objectives]

    @property
    def baseline_params(self) -> dict[str, Any]:
        """Hyperparameters of the published setting, with the values that the spec fixes, by name."""
        published = published_params(self.load_task(), (*self.searched, *DEFAULTS))
        return published | self.fixed

    def aggregate_of(self, metric: str) -> tuple[Aggregate, Direction]:
        """Returns how the values of a trial's networks become one, and the better direction.

        Args:
            metric: One of `bimt_core.METRICS`; a test metric follows the objective on validation rows.
        """
        searched = {test: val for val, test in TEST_COUNTERPARTS.items()}.get(metric, metric)
        for objective in self.objectives:
            if objective.metric in (metric, searched):
                return objective.aggregate, objective.direction
        return "mean", METRICS[metric].direction

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
        ...     "objectives": [{"metric": "val_score", "direction": "maximize"}],
        ... })
        >>> spec.searched, spec.seeds
        (('cost_weight',), (0, 1, 2, 3))
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
    parts: dict[str, type[Part]] = {
        "objectives": Objective,
        "constraints": Constraint,
        "resources": Resources,
        "confirm": Confirm,
        "stop_when": StopWhen,
    }
    return list(parts[path[0]].model_fields)
