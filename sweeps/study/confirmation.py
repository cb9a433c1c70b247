"""Confirmation: the front's values on networks and rows that the search did not choose by."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bimt_core import TEST_COUNTERPARTS
from sweeps.spec.parts import Constraint
from sweeps.spec.sweep import SweepSpec
from sweeps.study.front_probability import Verdict, front_probabilities, judge
from sweeps.study.intervals import confidence_interval
from sweeps.study.trial import Confirmation, Trial

RANGES = {  # of values that a metric can have, for those that are not only above 0
    **dict.fromkeys(("val_score", "test_score"), (-math.inf, 1.0)),
    **dict.fromkeys(("modularity", "modularity_raw", "modularity_newman"), (-0.5, 1.0)),
    "modularity_z": (-math.inf, math.inf),
}


@dataclass(frozen=True)
class ConfirmedObjective:
    """One objective of a trial, as the search saw it and as confirmed.

    Args:
        metric: The objective.
        searched: Its value over the networks of the search.
        searched_stderr: Its standard error.
        confirmed_metric: Metric of the confirmation: that on the test rows, if the objective is on validation rows.
        confirmed: Its value over the networks of the confirmation.
        low: Lower end of its 95 % interval, which covers the choice of seeds and of rows; NaN for one network.
        high: Upper end.
    """

    metric: str
    searched: float
    searched_stderr: float
    confirmed_metric: str
    confirmed: float
    low: float
    high: float


@dataclass(frozen=True)
class ConfirmedTrial:
    """A trial of the search, or the baseline, with its confirmation.

    Args:
        trial: The trial.
        confirmation: Its networks on fresh seeds.
        objectives: One per objective of the sweep.
        probability: Probability of being on the front of all confirmed trials; NaN for the baseline.
        verdict: Whether it still is on the front: "yes", "no" or "unsure"; "baseline" for the baseline.
    """

    trial: Trial
    confirmation: Confirmation
    objectives: tuple[ConfirmedObjective, ...]
    probability: float
    verdict: Verdict | str


def judge_confirmed(trials: Iterable[Trial], spec: SweepSpec, data_seed: int | None = None) -> list[ConfirmedTrial]:
    """Compares the values of all confirmed trials, in order of number, the baseline first.

    Args:
        trials: Trials with all their networks.
        spec: Their sweep.
        data_seed: Seed of the confirmation's data; None for the sweep's own.
    """
    confirmed = [
        (trial, confirmation)
        for trial in sorted(trials, key=lambda trial: (trial.role != "baseline", trial.number))
        if (confirmation := trial.confirmations.get(data_seed)) is not None and confirmation.seeds
    ]
    tables = {t.number: _select_columns(c, spec) for t, c in confirmed if t.role == "search"}
    probabilities: dict[int, float] = {}
    if tables:
        found = front_probabilities(
            list(tables.values()),
            [o.direction for o in spec.objectives],
            [o.aggregate for o in spec.objectives],
            bounds=[_bounds(constraint) for constraint in spec.constraints],
        )
        probabilities = dict(zip(tables, found.tolist(), strict=True))
    return [
        ConfirmedTrial(
            trial,
            confirmation,
            tuple(confirm_objective(trial, confirmation, o.metric, spec) for o in spec.objectives),
            probabilities.get(trial.number, math.nan),
            judge(probabilities[trial.number]) if trial.number in probabilities else "baseline",
        )
        for trial, confirmation in confirmed
    ]


def judge_all_confirmed(trials: Sequence[Trial], spec: SweepSpec) -> dict[int | None, list[ConfirmedTrial]]:
    """Compares the values of all confirmed trials on each data; see `judge_confirmed`.

    Args:
        trials: Trials with all their networks.
        spec: Their sweep.

    Returns:
        Confirmed trials by data seed; None, which comes first, is the sweep's own data.
    """
    seeds = {seed for trial in trials for seed, confirmation in trial.confirmations.items() if confirmation.seeds}
    ordered = sorted(seeds, key=lambda seed: -1 if seed is None else seed)
    return {seed: judge_confirmed(trials, spec, seed) for seed in ordered}


def confirm_objective(trial: Trial, confirmation: Confirmation, metric: str, spec: SweepSpec) -> ConfirmedObjective:
    """Compares one metric of a trial with that of its confirmation.

    Args:
        trial: The trial, complete.
        confirmation: Its confirmation, with networks.
        metric: Metric of the search.
        spec: The sweep.
    """
    confirmed = TEST_COUNTERPARTS.get(metric, metric)
    error = confirmation.row_stderr.get(confirmed, 0.0)
    low, high = confidence_interval(confirmation.networks[confirmed], *spec.aggregate_of(confirmed), error)
    least, most = RANGES.get(confirmed, (0.0, math.inf))
    low, high = max(low, least), min(high, most)
    return ConfirmedObjective(
        metric, trial.values[metric], trial.stderr[metric], confirmed, confirmation.values[confirmed], low, high
    )


def _select_columns(confirmation: Confirmation, spec: SweepSpec) -> np.ndarray:
    """One row per network: the objectives, and the constrained metrics, on test rows."""
    metrics = [*(o.metric for o in spec.objectives), *(c.metric for c in spec.constraints)]
    return np.array([confirmation.networks[TEST_COUNTERPARTS.get(metric, metric)] for metric in metrics]).T


def _bounds(constraint: Constraint) -> tuple[float, float]:
    bound = float(constraint.bound)
    return (-math.inf, bound) if constraint.relation == "<=" else (bound, math.inf)
