"""Observation: a trial as a sampler sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Observation:
    """A trial as a sampler sees it.

    Args:
        params: Value of each searched hyperparameter.
        values: One per objective; None for a trial that runs, or will.
        stderr: Standard error of each value; None if unknown.
        violations: Amount by which each constraint is violated, at most 0 where it is kept.
    """

    params: Mapping[str, Any]
    values: tuple[float, ...] | None = None
    stderr: tuple[float, ...] | None = None
    violations: tuple[float, ...] = ()
