"""Confirmations: frames of confirmed values, and the check that a sweep can be confirmed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import pandas as pd

from bimt_core import TEST_COUNTERPARTS
from sweeps.errors import BadInputError
from sweeps.results.frames import make_frame
from sweeps.spec.parts import Confirm
from sweeps.spec.sweep import SweepSpec
from sweeps.study.confirmation import ConfirmedObjective, ConfirmedTrial, judge_confirmed
from sweeps.study.front import select_front
from sweeps.study.gains import compare_with_baseline
from sweeps.study.trial import Trial

NOT_CONFIRMED = "not confirmed"  # the verdict without a confirmation
GAIN = {"ratio": "ratio", "low": "ratio_low", "high": "ratio_high", "p": "p"}  # column by field of `Comparison`


def prefer_confirmed(trial: Trial, spec: SweepSpec) -> Trial:
    """Returns a trial with the values of its confirmation, by which it is feasible or not, if it has one.

    Args:
        trial: The trial, with all its networks.
        spec: Its sweep.
    """
    if trial.confirmed is None:
        return trial
    values = trial.confirmed.values
    feasible = all(constraint.violation(values[constraint.metric]) <= 0 for constraint in spec.constraints)
    return replace(trial, values=values, stderr=trial.confirmed.stderr, feasible=feasible)


def make_preferred_frame(trials: Sequence[Trial], spec: SweepSpec, shown: Iterable[int] | None = None) -> pd.DataFrame:
    """Makes a frame like that of `make_frame` whose metrics are confirmed values where there are some.

    Further columns are the searched value of each objective with its standard error ("searched_val_score", ...), the
    probability of being on the front, and "still_on_front": "yes", "no", "unsure", "not confirmed" or "baseline".

    Args:
        trials: All trials of the sweep, with all their networks.
        spec: The sweep.
        shown: Numbers of the trials in the frame, in order; None for all.
    """
    by_number = {trial.number: trial for trial in trials}
    rows = [by_number[number] for number in (by_number if shown is None else shown)]
    frame = make_frame([prefer_confirmed(trial, spec) for trial in rows], spec)
    for objective in spec.objectives:
        name = f"searched_{objective.metric}"
        frame[name] = [trial.values.get(objective.metric, math.nan) for trial in rows]
        frame[f"{name}_stderr"] = [trial.stderr.get(objective.metric, math.nan) for trial in rows]
    judged = {one.trial.number: one for one in judge_confirmed(trials, spec)}
    known = [judged.get(trial.number) for trial in rows]
    frame["front_probability"] = [math.nan if one is None else one.probability for one in known]
    frame["still_on_front"] = [NOT_CONFIRMED if one is None else one.verdict for one in known]
    return frame


def make_confirmation_frame(confirmed: Sequence[ConfirmedTrial], spec: SweepSpec) -> pd.DataFrame:
    """Makes a frame with a row per confirmed trial and objective; see `Sweep.confirmation`.

    Args:
        confirmed: The confirmed trials.
        spec: Their sweep.
    """
    comparisons = compare_with_baseline(confirmed, spec)
    rows = []
    for one in confirmed:
        for objective in one.objectives:
            gain = comparisons.get(one.trial.number, {}).get(objective.metric)
            rows.append(
                {"trial": one.trial.number, "objective": objective.metric, "role": one.trial.role}
                | {"networks": len(one.confirmation.seeds), **asdict(objective)}
                | {column: math.nan if gain is None else getattr(gain, name) for name, column in GAIN.items()}
                | {"front_probability": one.probability, "still_on_front": one.verdict}
            )
    columns = ["role", "networks", "confirmed_metric", "searched", "searched_stderr", "confirmed", "low", "high"]
    columns += [*GAIN.values(), "front_probability", "still_on_front"]
    return pd.DataFrame(rows, columns=["trial", "objective", *columns]).set_index(["trial", "objective"])


def list_objectives(trial: Trial, judged: ConfirmedTrial | None, spec: SweepSpec) -> tuple[ConfirmedObjective, ...]:
    """Lists the objectives of a trial as searched and as confirmed, which is NaN without a confirmation.

    Args:
        trial: The trial, complete.
        judged: Its confirmation; None if it has none.
        spec: Its sweep.
    """
    if judged is not None:
        return judged.objectives
    metrics = [objective.metric for objective in spec.objectives]
    return tuple(
        ConfirmedObjective(
            metric, trial.values[metric], trial.stderr[metric], TEST_COUNTERPARTS.get(metric, metric), *[math.nan] * 3
        )
        for metric in metrics
    )


def describe_confirmation(trial: Trial, judged: ConfirmedTrial | None, spec: SweepSpec) -> dict[str, Any]:
    """Describes a trial as searched and as confirmed, in data for JSON: None where there is no finite value.

    Args:
        trial: The trial, complete.
        judged: Its confirmation; None if it has none.
        spec: Its sweep.
    """
    return {
        "trial": trial.number,
        "role": trial.role,
        "networks": 0 if judged is None else len(judged.confirmation.seeds),
        "still_on_front": NOT_CONFIRMED if judged is None else judged.verdict,
        "front_probability": None if judged is None else _finite(judged.probability),
        "objectives": [
            {name: _finite(value) for name, value in asdict(objective).items()}
            for objective in list_objectives(trial, judged, spec)
        ],
    }


def order_confirmed(
    front: Iterable[Trial], confirmed: Iterable[ConfirmedTrial], spec: SweepSpec
) -> list[tuple[Trial, ConfirmedTrial | None]]:
    """Orders all trials of the front and all confirmed ones: the baseline, then by the first objective as searched.

    Args:
        front: Trials on the front.
        confirmed: Confirmed trials.
        spec: Their sweep.
    """
    first = spec.objectives[0]
    sign = 1.0 if first.direction == "minimize" else -1.0
    known: dict[int, tuple[Trial, ConfirmedTrial | None]] = {trial.number: (trial, None) for trial in front}
    known |= {one.trial.number: (one.trial, one) for one in confirmed}
    return sorted(known.values(), key=lambda pair: (pair[0].role != "baseline", sign * pair[0].values[first.metric]))


def count_replicates(spec: SweepSpec, replicates: int | None = None) -> int:
    """Returns the networks per configuration of a confirmation: those asked for, else the spec's, else the default.

    Args:
        spec: The sweep.
        replicates: Number that is asked for.
    """
    return (spec.confirm or Confirm()).replicates if replicates is None else replicates


def check_request(spec: SweepSpec, replicates: int, data_seed: int | None = None) -> None:
    """Checks that a sweep can be confirmed with so many networks and other data.

    Args:
        spec: The sweep.
        replicates: Networks per configuration.
        data_seed: Seed of other data; None for the sweep's own.

    Raises:
        BadInputError: If it has variants or too few seeds, or if its task cannot be loaded with the data seed.
    """
    if spec.variants:
        raise BadInputError(
            f"sweep {spec.name!r} has variants, which are compared and not confirmed: see bimt compare {spec.name}"
        )
    try:
        spec.confirmation_seeds(replicates)
        if data_seed is not None:
            spec.load_task(data_seed)
    except (ValueError, TypeError) as error:  # a user's function may not take a seed
        raise BadInputError(f"sweep {spec.name!r} cannot be confirmed: {error}") from error


def check_front(trials: Iterable[Trial], spec: SweepSpec) -> None:
    """Checks that a sweep has a front to confirm.

    Args:
        trials: All trials of the sweep.
        spec: The sweep.

    Raises:
        BadInputError: If it has none yet.
    """
    if not select_front(trials, spec.objectives):
        raise BadInputError(f"sweep {spec.name!r} has no front to confirm yet: no trial is complete and feasible")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
