"""Names of trials, their runs and their objectives, as people read them."""

from sweeps.spec.sweep import SweepSpec
from sweeps.study.trial import Trial

PUBLISHED_SETTING = "published setting"


def name_trial(trial: Trial) -> str:
    """Returns the name of a trial of the search, or of the baseline.

    Args:
        trial: The trial.

    Examples:
        >>> name_trial(Trial(7, "COMPLETE", {})), name_trial(Trial(0, "COMPLETE", {}, role="baseline"))
        ('trial 007', 'published setting')
    """
    return PUBLISHED_SETTING if trial.role == "baseline" else f"trial {trial.number:03d}"


def name_run(trial: Trial, of: Trial | None = None) -> str:
    """Returns the name of a trial's run.

    Args:
        trial: The trial.
        of: Trial that its networks are added to, if any.

    Examples:
        >>> name_run(Trial(9, "RUNNING", {}, role="confirmation", of=7), Trial(7, "COMPLETE", {}))
        'confirmation 007'
    """
    if of is None:
        return f"baseline ({PUBLISHED_SETTING})" if trial.role == "baseline" else name_trial(trial)
    data = "" if trial.data_seed is None else f", data seed {trial.data_seed}"
    return f"{trial.role} {'of baseline' if of.role == 'baseline' else f'{of.number:03d}'}{data}"


def name_value(metric: str, spec: SweepSpec) -> str:
    """Returns the name of a metric's value of a trial, which says how the networks' values become one.

    Args:
        metric: The metric.
        spec: The sweep.

    Examples:
        >>> from sweeps.spec.sweep import parse_spec
        >>> objective = {"metric": "val_score", "direction": "maximize", "aggregate": "best_quarter"}
        >>> spec = parse_spec({"name": "moons", "task": "two_moons", "trials": 8, "objectives": [objective]})
        >>> [name_value(metric, spec) for metric in ("val_score", "test_score", "modularity")]
        ['val_score (best quarter)', 'test_score (best quarter)', 'modularity']
    """
    how, _ = spec.aggregate_of(metric)
    return metric if how == "mean" else f"{metric} ({how.replace('_', ' ')})"
