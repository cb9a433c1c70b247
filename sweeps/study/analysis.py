"""What a study tells of the search: which hyperparameters decide, and how the front grew."""

import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from sweeps.spec.sweep import SweepSpec

LEAST_FOR_IMPORTANCE = 10  # completed trials
BEST_PART, LEAST_BEST = 0.1, 5  # importance is that for being among the best tenth, or the best five
BEYOND = 0.05  # how far the reference point of the hypervolume lies beyond the worst values, as a part of their range


def compute_importances(study: optuna.Study, spec: SweepSpec) -> dict[str, dict[str, float]]:
    """How much each searched hyperparameter decides whether a trial is among the best in each objective.

    PED-ANOVA (Watanabe, Bansal, Hutter, IJCAI 2023): how differently the best trials' values of a hyperparameter are
    spread from those of all trials.

    Args:
        study: The study of a sweep.
        spec: Its sweep.

    Returns:
        Objective to hyperparameter to its part of 1, the largest first; empty where fewer than two hyperparameters are
        searched or fewer than 10 trials are complete.
    """
    n = len(_complete(study))
    if n < LEAST_FOR_IMPORTANCE or len(spec.searched) < 2:
        return {}
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(BEST_PART, LEAST_BEST / n))
    found: dict[str, dict[str, float]] = {}
    for i, objective in enumerate(spec.objectives):
        sign = 1 if objective.direction == "minimize" else -1

        def cost(trial: FrozenTrial, i: int = i, sign: int = sign) -> float:
            return sign * float(trial.values[i])

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "PedAnovaImportanceEvaluator computes")  # for low targets: they are
            found[objective.metric] = get_param_importances(study, evaluator=evaluator, target=cost)
    return found


def compute_hypervolumes(study: optuna.Study, spec: SweepSpec) -> dict[int, float]:
    """How much of the objectives' space the front dominates after each completed trial.

    The reference point lies a little beyond the worst value of each objective among all completed trials. Trials that
    break a constraint add nothing.

    Args:
        study: The study of a sweep.
        spec: Its sweep.

    Returns:
        Trial number to hypervolume, in order; empty with one objective or no completed trial.
    """
    values = [trial.values for trial in _complete(study)]
    if len(spec.objectives) < 2 or not values:
        return {}
    worst = []
    for objective, column in zip(spec.objectives, zip(*values, strict=True), strict=True):
        margin = BEYOND * (max(column) - min(column)) or 1.0
        worst.append(max(column) + margin if objective.direction == "minimize" else min(column) - margin)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        figure = optuna.visualization.plot_hypervolume_history(study, worst)
    return dict(zip(figure.data[0].x, figure.data[0].y, strict=True))


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
