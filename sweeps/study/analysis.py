"""Analysis of a search: the importance of hyperparameters, and the growth of the front."""

import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from sweeps.spec.sweep import SweepSpec

MIN_TRIALS = 10  # complete trials needed for importances
BEST_FRACTION, MIN_BEST = 0.1, 5  # importance is for being among the best tenth, or the best five
MARGIN = 0.05  # of the hypervolume's reference point beyond the worst values, as a fraction of their range


def compute_importances(study: optuna.Study, spec: SweepSpec) -> dict[str, dict[str, float]]:
    """Computes how much each searched hyperparameter decides whether a trial is among the best in each objective.

    PED-ANOVA (Watanabe, Bansal, Hutter, IJCAI 2023) compares the distribution of a hyperparameter among the best trials
    with that among all trials.

    Args:
        study: Study of a sweep.
        spec: The sweep.

    Returns:
        Shares that sum to 1, the largest first, by objective and hyperparameter; empty where fewer than two
        hyperparameters are searched or fewer than 10 trials are complete.
    """
    n = len(_complete_trials(study))
    if n < MIN_TRIALS or len(spec.searched) < 2:
        return {}
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(BEST_FRACTION, MIN_BEST / n))
    shares: dict[str, dict[str, float]] = {}
    for i, objective in enumerate(spec.objectives):
        sign = 1 if objective.direction == "minimize" else -1

        def cost(trial: FrozenTrial, i: int = i, sign: int = sign) -> float:
            return sign * float(trial.values[i])

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "PedAnovaImportanceEvaluator computes")  # for low targets, as here
            warnings.filterwarnings("ignore", "Target and region quantiles")  # equal values give equal shares
            shares[objective.metric] = get_param_importances(study, evaluator=evaluator, target=cost)
    return shares


def compute_hypervolumes(study: optuna.Study, spec: SweepSpec) -> dict[int, float]:
    """Computes the hypervolume that the front dominates after each complete trial.

    The reference point is slightly beyond the worst value of each objective among all complete trials. Infeasible
    trials add nothing.

    Args:
        study: Study of a sweep.
        spec: The sweep.

    Returns:
        Hypervolume by trial number, in order; empty with one objective or without complete trials.
    """
    values = [trial.values for trial in _complete_trials(study)]
    if len(spec.objectives) < 2 or not values:
        return {}
    worst = []
    for objective, column in zip(spec.objectives, zip(*values, strict=True), strict=True):
        margin = MARGIN * (max(column) - min(column)) or 1.0
        worst.append(max(column) + margin if objective.direction == "minimize" else min(column) - margin)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        figure = optuna.visualization.plot_hypervolume_history(study, worst)
    return dict(zip(figure.data[0].x, figure.data[0].y, strict=True))


def _complete_trials(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
