"""Analysis of a search: the importance of hyperparameters, and the growth of the front."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from sweeps.spec.sweep import SweepSpec
from sweeps.study.samplers import make_distributions
from sweeps.study.trial import Trial, Values

MIN_TRIALS = 10  # complete trials needed for importances
BEST_FRACTION, MIN_BEST = 0.1, 5  # importance is for being among the best tenth, or the best five
MARGIN = 0.05  # of the hypervolume's reference point beyond the worst values, as a fraction of their range


def compute_importances(trials: Sequence[Trial], spec: SweepSpec) -> dict[str, dict[str, float]]:
    """Computes how much each searched hyperparameter decides whether a trial is among the best in each objective.

    PED-ANOVA (Watanabe, Bansal, Hutter, IJCAI 2023) compares the distribution of a hyperparameter among the best trials
    with that among all trials.

    Args:
        trials: Trials of a sweep, in order of number.
        spec: The sweep.

    Returns:
        Shares that sum to 1, the largest first, by objective and hyperparameter; empty where fewer than two
        hyperparameters are searched or fewer than 10 trials are complete.
    """
    complete = _select_complete(trials)
    n = len(complete)
    if n < MIN_TRIALS or len(spec.searched) < 2:
        return {}
    study = _make_study(complete, spec)
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


def compute_hypervolumes(trials: Sequence[Trial], spec: SweepSpec) -> dict[int, float]:
    """Computes the hypervolume that the front dominates after each complete trial.

    The reference point is slightly beyond the worst value of each objective among all complete trials. Infeasible
    trials add nothing.

    Args:
        trials: Trials of a sweep, in order of number.
        spec: The sweep.

    Returns:
        Hypervolume by trial number, in order; empty with one objective or without complete trials.
    """
    complete = _select_complete(trials)
    if len(spec.objectives) < 2 or not complete:
        return {}
    growth = _compute_growth([trial.values for trial in complete], _make_study(complete, spec), spec)
    return dict(zip([trial.number for trial in complete], growth, strict=True))


def compute_confirmed_hypervolumes(
    trials: Sequence[Trial], spec: SweepSpec, checks: Sequence[Sequence[int]]
) -> list[float]:
    """Computes the hypervolume that each of several sets of confirmed trials dominates, with the same reference point.

    Values are those of the networks on fresh seeds, on validation rows: test rows decide nothing.

    Args:
        trials: Trials of a sweep.
        spec: The sweep.
        checks: Numbers of confirmed trials; every set includes the one before.
    """
    confirmed = {t.number: replace(t, values=t.confirmed.values) for t in trials if t.confirmed is not None}
    order = list(dict.fromkeys(number for numbers in checks for number in numbers if number in confirmed))
    ordered = [confirmed[number] for number in order]
    if not ordered:
        return [0.0 for _ in checks]
    growth = [0.0, *_compute_growth([trial.values for trial in ordered], _make_study(ordered, spec), spec)]
    return [growth[max((1 + order.index(n) for n in numbers if n in confirmed), default=0)] for numbers in checks]


def _compute_growth(values: Sequence[Values], study: optuna.Study, spec: SweepSpec) -> list[float]:
    """Hypervolume after each trial of a study; its reference point is slightly beyond the worst values."""
    worst = []
    for objective in spec.objectives:
        column = [by_metric[objective.metric] for by_metric in values]
        margin = MARGIN * (max(column) - min(column)) or 1.0
        worst.append(max(column) + margin if objective.direction == "minimize" else min(column) - margin)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        figure = optuna.visualization.plot_hypervolume_history(study, worst)
    return [float(y) for y in figure.data[0].y]


def _select_complete(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.state == "COMPLETE" and trial.role == "search"]


def _make_study(complete: Sequence[Trial], spec: SweepSpec) -> optuna.Study:
    """Study in memory with the values that trials have with all their networks."""
    study = optuna.create_study(directions=[objective.direction for objective in spec.objectives])
    distributions = make_distributions(spec)
    for trial in complete:
        study.add_trial(
            create_trial(
                values=[trial.values[objective.metric] for objective in spec.objectives],
                params={name: trial.params[name] for name in distributions},
                distributions=distributions,
                constraints={str(c): c.violation(trial.values[c.metric]) for c in spec.constraints} or None,
            )
        )
    return study
