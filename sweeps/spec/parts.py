"""The parts of a sweep file that are models of their own."""

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from bimt_core import METRICS

Aggregate = Literal["mean", "median", "best_quarter"]
Direction = Literal["minimize", "maximize"]


def _parse_number(value: Any) -> Any:
    """Accepts finite numbers, also as text: to YAML, 1e-4 without a decimal point is text."""
    try:
        number = float(value) if isinstance(value, str) else value
        if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number):
            return number
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"must be a finite number, got {value!r}")


Number = Annotated[int | float, BeforeValidator(_parse_number)]
Float = Annotated[float, BeforeValidator(_parse_number)]
NumberOrNone = Annotated[
    int | float | None, BeforeValidator(lambda value: None if value is None else _parse_number(value))
]
Whole = Annotated[int, Field(strict=True)]
Switch = Annotated[bool, Field(strict=True)]


class Part(BaseModel):
    """Part of a sweep file: immutable, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_metric(name: str) -> str:
    if name == "score":
        raise ValueError("metric must be val_score (on the validation rows, to choose by) or test_score, got 'score'")
    if name not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {name!r}")
    return name


MetricName = Annotated[str, AfterValidator(_check_metric)]


class Objective(Part):
    """Metric to optimise.

    Args:
        metric: One of `bimt_core.METRICS`.
        direction: "minimize" or "maximize".
        aggregate: Value of a trial from those of its networks: "mean", "median", or "best_quarter", the mean of the
            best quarter of the networks, rounded up, for those who train several and keep the best.
    """

    metric: MetricName
    direction: Direction
    aggregate: Aggregate = "mean"


class Constraint(Part):
    """Bound on a metric of a trial, written "val_score >= 0.9".

    The mean over the networks keeps it or breaks it, or the objective's aggregate where the metric is an objective.

    Args:
        metric: One of `bimt_core.METRICS`.
        relation: "<=" or ">=".
        bound: Limit, itself included.
    """

    metric: MetricName
    relation: Literal["<=", ">="]
    bound: Number

    def __str__(self) -> str:
        return f"{self.metric} {self.relation} {self.bound:g}"

    def violation(self, value: float) -> float:
        """Distance of a value beyond the bound; at most 0 where the constraint holds.

        Args:
            value: Value of the metric.
        """
        return value - self.bound if self.relation == "<=" else self.bound - value


def parse_constraint(text: Any) -> Any:
    """Reads "METRIC >= NUMBER" or "METRIC <= NUMBER"; leaves mappings to the model.

    Args:
        text: Entry of a sweep file.

    Raises:
        ValueError: If it is neither a constraint nor a mapping.
    """
    if isinstance(text, dict | Constraint):
        return text
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=)\s*([-+.\deE]+)\s*", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"must read like 'val_score >= 0.9', got {text!r}")
    metric, relation, bound = match.groups()
    return {"metric": metric, "relation": relation, "bound": bound}


class Resources(Part):
    """Resources of one cohort.

    Args:
        cpus: CPU cores, which is also the number of torch threads.
        gpus: GPUs, or a fraction of one; above 0 the cohort trains on CUDA.
        compile: "always" or "never" compile the training on CPUs, which takes about ten seconds per worker and then
            makes it about twice as fast; "auto" compiles where the sweep is long enough.
    """

    cpus: Whole = Field(default=1, ge=1)
    gpus: Number = Field(default=0.0, ge=0)
    compile: Literal["auto", "always", "never"] = "auto"


class Confirm(Part):
    """Confirmation of a sweep's front: networks trained on seeds that the search has not used.

    Args:
        replicates: Networks per configuration; at least 2, because a confirmed figure has an interval.
    """

    replicates: Whole = Field(default=16, ge=2)


class StopWhen(Part):
    """End of a search whose confirmed front has stopped growing.

    Args:
        trials: Complete trials from one check to the next. At each check the front is confirmed.
        gain: Relative growth of the confirmed hypervolume since the last check below which the search ends.
    """

    trials: Whole = Field(ge=2)
    gain: Float = Field(default=0.01, gt=0)
