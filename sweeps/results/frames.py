"""Frames of trials, and selections from them."""

import math
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from bimt_core import METRICS
from sweeps.errors import BadInputError
from sweeps.spec.parts import Constraint, Objective, parse_constraint
from sweeps.spec.sweep import SweepSpec
from sweeps.study.trial import Trial


def make_frame(trials: Iterable[Trial], spec: SweepSpec) -> pd.DataFrame:
    """Makes a frame of trials, indexed by number.

    Its columns are state, attempts, hyperparameters, mean and standard error of each metric, feasibility, reason of
    failure, and times.

    Args:
        trials: The trials.
        spec: Their sweep.
    """
    names = spec.hyperparameters
    metrics = [column for name in METRICS for column in (name, f"{name}_stderr")]
    columns = ["state", "attempt", "retry_of", *names, *metrics, "feasible", "reason", "started", "ended"]

    def _make_row(t: Trial) -> list[Any]:
        values = [value for name in METRICS for value in (t.values.get(name, math.nan), t.stderr.get(name, math.nan))]
        params = [t.params.get(name) for name in names]
        return [t.number, t.state, t.attempt, t.retry_of, *params, *values, t.feasible, t.reason, t.started, t.ended]

    return pd.DataFrame([_make_row(trial) for trial in trials], columns=["trial", *columns]).set_index("trial")


def select_best(
    trials: pd.DataFrame, spec: SweepSpec, where: str | None = None, by: str | None = None, n: int = 1
) -> pd.DataFrame:
    """Selects the best completed trials; see `Sweep.best`.

    Args:
        trials: Frame of all trials.
        spec: Their sweep.
        where: Bounds on metrics; None for the sweep's constraints.
        by: Metric that decides; None for the first objective.
        n: Number of trials.
    """
    if n < 1:
        raise BadInputError(f"n must be at least 1, got {n}")
    metric = by or spec.objectives[0].metric
    if metric not in METRICS:
        raise BadInputError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
    directions = {name: m.direction for name, m in METRICS.items()} | {o.metric: o.direction for o in spec.objectives}
    kept = trials[trials["state"] == "COMPLETE"]
    for bound in spec.constraints if where is None else _parse_bounds(where):
        kept = kept[kept[bound.metric].map(bound.violation) <= 0]
    return kept.sort_values(metric, ascending=directions[metric] == "minimize", kind="stable").head(n)


def best_so_far(trials: pd.DataFrame, objective: Objective) -> pd.Series:
    """Computes the best value of an objective among the feasible trials up to each of them, by number.

    Args:
        trials: Frame of completed trials, in order.
        objective: The objective.
    """
    values = trials.loc[trials["feasible"].map(bool).to_numpy(dtype=bool), objective.metric]
    return values.cummin() if objective.direction == "minimize" else values.cummax()


def _parse_bounds(where: str) -> list[Constraint]:
    try:
        return [Constraint.model_validate(parse_constraint(part)) for part in re.split(r",|\band\b", where)]
    except ValueError as error:
        message = error.errors()[0]["msg"] if hasattr(error, "errors") else str(error)
        raise BadInputError(f"where: {message.removeprefix('Value error, ')}") from None
