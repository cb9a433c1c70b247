"""Configurations of trials: sweep files that train a trial's networks again."""

import json

import yaml

from sweeps.results.statistics import format_mean
from sweeps.spec.sweep import SweepSpec
from sweeps.study.trial import Trial

MAX_NAME = 80  # characters of the sweep's name in that of its trial's sweep
KEPT = {"objectives", "data_seed", "replicates", "seed", "dtype", "evaluations"}  # entries of the sweep that stay


def format_sweep_file(trial: Trial, spec: SweepSpec) -> str:
    """Formats a sweep file with one trial whose hyperparameters are all fixed, and its objectives in a comment.

    Args:
        trial: A completed trial.
        spec: Its sweep.
    """
    objectives = ", ".join(
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
    return f"# {objectives}\n" + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
