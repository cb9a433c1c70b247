"""Record: an addition to one MLflow run, and the names that records have in MLflow."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweeps.study.aggregates import aggregate, aggregate_stderr

TOTALS = "launch/"  # prefix of the metrics of a sweep's run that sum up its last launch
MEAN, STDERR = "mean/", "stderr/"  # MLflow groups charts by what precedes the slash
CONFIRMED = "confirmed/"  # prefix of metrics on fresh seeds
KEY_TAG, PARENT_TAG, NOTE_TAG = "bimt.key", "mlflow.parentRunId", "mlflow.note.content"
COMPLETED = "tags.`bimt.of` = 'itself' and attributes.status = 'FINISHED'"  # MLflow search filter of complete trials

Point = tuple[str, float, int, int]  # metric, value, step, milliseconds since 1970


@dataclass(frozen=True)
class Record:
    """An addition to one run; the run is created when its first record is written.

    Args:
        key: Identifies the run in the experiment: the sweep's id, or `trial_key`.
        name: Name in the UI.
        parent: Key of the run it is nested under; that run's record comes first.
        start_ms: Start, in milliseconds since 1970.
        params: Hyperparameters.
        tags: Tags; `mlflow.note.content` is the description.
        points: Metric values.
        table: Artifact name to a table {"columns": [...], "data": [[...], ...]}, which the UI displays.
        status: "FINISHED", "FAILED" or "KILLED" ends the run, "RUNNING" reopens it; None leaves it.
        end_ms: End, in milliseconds since 1970.
        image: Name among `files` of the PNG that the UI shows among the charts.
        files: Artifact path to content.
    """

    key: str
    name: str
    parent: str | None = None
    start_ms: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    table: Mapping[str, Any] = field(default_factory=dict)
    status: str | None = None
    end_ms: int | None = None
    image: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def make_points(
    values: Mapping[str, Sequence[float]], step: int, at_ms: int, *, last: bool = True
) -> tuple[Point, ...]:
    """Returns the finite points of an evaluation: every metric's mean, and at the end its standard error.

    Standard errors of earlier evaluations are left out: MLflow draws no error bands, and they would be half of all
    points.

    Args:
        values: Metric to one value per replicate.
        step: Number of finished optimiser steps.
        at_ms: Time, in milliseconds since 1970.
        last: Whether training has ended.
    """
    named = {MEAN + name: float(aggregate(column, "mean", "minimize")) for name, column in values.items()}
    if last:
        errors = {name: float(aggregate_stderr(column, "mean", "minimize")) for name, column in values.items()}
        named |= {STDERR + name: error for name, error in errors.items()}
    return select_finite(named, step, at_ms)


def trial_key(sweep_id: str, number: int) -> str:
    """Returns the key of a trial's run.

    Args:
        sweep_id: Id of the sweep.
        number: Number of the trial.
    """
    return f"{sweep_id}/{number}"


def select_finite(values: Mapping[str, float], step: int, at_ms: int) -> tuple[Point, ...]:
    """Returns the finite values as points.

    Args:
        values: Value by name.
        step: Number of finished optimiser steps.
        at_ms: Time, in milliseconds since 1970.
    """
    return tuple((name, value, step, at_ms) for name, value in values.items() if math.isfinite(value))


def now_ms() -> int:
    """Returns the time in milliseconds since 1970."""
    return int(time.time() * 1000)
