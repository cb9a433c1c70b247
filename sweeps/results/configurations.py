"""Configurations of trials: sweep files that train a trial's networks again."""

import json

import yaml

from sweeps.results.confirmations import NOT_CONFIRMED
from sweeps.results.statistics import format_mean
from sweeps.spec.sweep import SweepSpec
from sweeps.study.confirmation import confirm_objective
from sweeps.study.trial import Trial
from sweeps.tracking.confirmed_table import format_interval

MAX_NAME = 80  # characters of the sweep's name in that of its trial's sweep
KEPT = {  # entries of the sweep that stay
    "objectives",
    "data_seed",
    "published",
    "validation_rows",
    "replicates",
    "seed",
    "dtype",
    "evaluations",
}


def format_sweep_file(trial: Trial, spec: SweepSpec) -> str:
    """Formats a sweep file with one trial whose hyperparameters are all fixed.

    A comment has its objectives as searched, and as confirmed with 95 % intervals or that they are not.

    Args:
        trial: A completed trial.
        spec: Its sweep.
    """
    searched = ", ".join(
        f"{o.metric} {format_mean(trial.values[o.metric], trial.stderr[o.metric])}" for o in spec.objectives
    )
    data = {
        "name": f"{spec.name[:MAX_NAME]}-trial-{trial.number}",
        "description": f"Trial {trial.number} of {spec.name} again",
        "task": spec.task,
        "search": {name: value for name, value in trial.params.items() if name != "variant"},
        "trials": 1,
        **spec.model_dump(mode="json", exclude_defaults=True, include=KEPT),
    }
    plain = json.loads(json.dumps(data))  # YAML has no tuples
    return f"# searched: {searched}\n# {_format_confirmed(trial, spec)}\n" + yaml.safe_dump(
        plain, sort_keys=False, allow_unicode=True
    )


def _format_confirmed(trial: Trial, spec: SweepSpec) -> str:
    confirmation = trial.confirmed
    if confirmation is None:
        return NOT_CONFIRMED
    confirmed = [confirm_objective(trial, confirmation, o.metric, spec) for o in spec.objectives]
    return "confirmed: " + ", ".join(
        f"{one.confirmed_metric} {format_interval(one.confirmed, one.low, one.high)}" for one in confirmed
    )
