"""Frames of trials, and selections from them."""

import math
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from bimt_core import METRICS
from sweeps.errors import BadInputError
from sweeps.spec.parts import Constraint, MetricName, Objective, parse_constraint
from sweeps.spec.sweep import TEST_METRICS, SweepSpec
from sweeps.study.bimodality import is_bimodal
from sweeps.study.trial import Trial


def make_frame(trials: Iterable[Trial], spec: SweepSpec) -> pd.DataFrame:
    """Makes a frame of trials, indexed by number.

    Its columns are role, state, attempts, numbers of networks and of those of the confirmation (0 if it is not
    confirmed), whether it is bimodal, hyperparameters, value and standard error of each metric, feasibility, reason of
    failure, and times.

    Args:
        trials: The trials.
        spec: Their sweep.
    """
    names = spec.hyperparameters
    metrics = [column for name in METRICS for column in (name, f"{name}_stderr")]
    counts = ["networks", "confirmed", "bimodal"]
    columns = ["role", "state", "attempt", "retry_of", *counts, *names, *metrics, "feasible", "reason"]
    columns += ["started", "ended"]

    def _make_row(t: Trial) -> list[Any]:
        n_confirmed = 0 if t.confirmed is None else len(t.confirmed.seeds)
        values = [value for name in METRICS for value in (t.values.get(name, math.nan), t.stderr.get(name, math.nan))]
        params = [t.params.get(name) for name in names]
        row = [t.number, t.role, t.state, t.attempt, t.retry_of]
        row += [len(t.seeds) if t.networks else 0, n_confirmed, is_bimodal_trial(t, spec)]
        return [*row, *params, *values, t.feasible, t.reason, t.started, t.ended]

    return pd.DataFrame([_make_row(trial) for trial in trials], columns=["trial", *columns]).set_index("trial")


def is_bimodal_trial(trial: Trial, spec: SweepSpec) -> bool:
    """Tells whether a trial's networks, also those of its confirmation, fall into two groups in some objective.

    Args:
        trial: The trial; False unless it is complete.
        spec: Its sweep.
    """
    if not trial.networks:
        return False
    parts = [trial.networks] if trial.confirmed is None else [trial.networks, trial.confirmed.networks]
    return any(is_bimodal([value for part in parts for value in part[o.metric]]) for o in spec.objectives)


def select_best(
    trials: pd.DataFrame, spec: SweepSpec, where: str | None = None, by: str | None = None, n: int = 1
) -> pd.DataFrame:
    """Selects the best completed trials of the search; see `Sweep.best`.

    Args:
        trials: Frame of all trials.
        spec: Their sweep.
        where: Bounds on metrics; None for the sweep's constraints.
        by: Metric that decides; None for the first objective.
        n: Number of trials.
    """
    if n < 1:
        raise BadInputError(f"n must be at least 1, got {n}")
    metric = spec.objectives[0].metric if by is None else _parse_metric(by)
    bounds = spec.constraints if where is None else _parse_bounds(where)
    for entry, names in (("by", [metric]), ("where", [bound.metric for bound in bounds])):
        _check_rows(entry, names, spec)
    directions = {name: m.direction for name, m in METRICS.items()} | {o.metric: o.direction for o in spec.objectives}
    kept = trials[(trials["state"] == "COMPLETE") & (trials["role"] == "search")]
    for bound in bounds:
        kept = kept[kept[bound.metric].map(bound.violation) <= 0]
    ordered = kept.sort_values(metric, ascending=directions[metric] == "minimize", kind="stable")
    return ordered.sort_values("confirmed", key=lambda networks: networks == 0, kind="stable").head(n)


def best_so_far(trials: pd.DataFrame, objective: Objective) -> pd.Series:
    """Computes the best value of an objective among the feasible trials up to each of them, by number.

    Args:
        trials: Frame of completed trials, in order.
        objective: The objective.
    """
    values = trials.loc[trials["feasible"].map(bool).to_numpy(dtype=bool), objective.metric]
    return values.cummin() if objective.direction == "minimize" else values.cummax()


def _parse_metric(name: str) -> str:
    try:
        return str(TypeAdapter(MetricName).validate_python(name))
    except ValidationError as error:
        raise BadInputError(f"by: {_first_message(error)}") from None


def _parse_bounds(where: str) -> list[Constraint]:
    try:
        return [Constraint.model_validate(parse_constraint(part)) for part in re.split(r",|\band\b", where)]
    except ValueError as error:
        raise BadInputError(f"where: {_first_message(error)}") from None


def _first_message(error: ValueError) -> str:
    message = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return message.removeprefix("Value error, ")


def _check_rows(entry: str, metrics: Iterable[str], spec: SweepSpec) -> None:
    """Checks that nothing is chosen by test rows, except in the published mode."""
    for metric in metrics:
        if metric in TEST_METRICS and not spec.published:
            raise BadInputError(
                f"{entry} must not use test rows, because a choice by them makes their values too good:"
                f" use {metric.replace('test', 'val')}, got {metric}"
            )
