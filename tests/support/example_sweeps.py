"""Sweeps whose trials have given results, without training."""

import numpy as np

from bimt_core import METRICS, TEST_COUNTERPARTS
from sweeps.results.sweep import Sweep
from sweeps.store import Store
from sweeps.study.samplers import make_distributions, suggest
from sweeps.study.study import SweepStudy

REASON = "replicate 0 diverged: <b>its</b> score is nan"
SCORE, COST, MODULARITY = (
    {"metric": metric, "direction": direction}
    for metric, direction in (("val_score", "maximize"), ("connection_cost", "minimize"), ("modularity", "maximize"))
)
SEARCH = {
    "cost_weight": {"low": 1e-4, "high": 1e-1, "log": True},
    "weight_factor": {"low": 0.0, "high": 4.0},
    "relocation": {"choices": ["greedy", "assignment"]},
    "hidden_width": {"low": 4, "high": 9},
    "cost_phases": [[0, 1], [0.5, 2]],
}
FRONT = ((0.99, 30.0), (0.95, 20.0), (0.90, 10.0), (0.5, 1.0))  # score and connection cost
DOMINATED = tuple((0.4 + 0.01 * i, 31.0 + i) for i in range(10))  # by those of FRONT
BASELINE = (0.93, 40.0)
DIAGRAM = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">'
    '<path stroke="#1f6fb4" stroke-width="2" d="M1 1L8 8"/></svg>'
)
STDERR, ROW_STDERR = 0.01, 0.002


def create_sweep(folder, spec, results, *, baseline=None, confirmed=None, n_confirmed=4):
    """Creates a sweep in a folder: a trial per (score, connection cost[, modularity]), a failed trial per None.

    The baseline comes after the trials. `confirmed` has the confirmed values by number of trial; None is the baseline.
    """
    store = Store(folder)
    store.prepare(spec.name)
    study = SweepStudy.launch(store, spec)
    for trial, values in zip(_start_trials(study, len(results)), results, strict=False):
        if values is None:
            study.fail(trial.number, REASON)
        else:
            _complete(study, trial, values)
    number = None
    if baseline is not None:
        trial = study.start_networks("baseline", spec.seeds)
        number = trial.number
        _complete(study, trial, baseline)
    for of, values in (confirmed or {}).items():
        seeds = spec.confirmation_seeds(n_confirmed)
        _complete(study, study.start_networks("confirmation", seeds, number if of is None else of), values)
    return Sweep(study, store)


def make_networks(values, n):
    """Values of n networks by metric, with the mean and the standard error that are wanted."""
    offsets = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    if n > 1:
        offsets *= STDERR * n**0.5 / offsets.std(ddof=1)
    means = dict(zip(("val_score", "connection_cost", "modularity"), values, strict=False))
    means |= {test: means[val] for val, test in TEST_COUNTERPARTS.items() if val in means}
    return {name: (means.get(name, 1.0) + offsets).tolist() for name in METRICS}


def example_spec(small_spec, **changes):
    return small_spec(**{"search": SEARCH, "sampler": "random", "trials": 20} | changes)


def draw_params(spec, n):
    """Searched hyperparameters of n random trials."""
    directions = [objective.direction for objective in spec.objectives]
    space = make_distributions(spec)
    return suggest(space, directions, [], n, sampler="random", seed=spec.seed, trials=spec.trials).params


def _start_trials(study, n):
    if study.spec.variants:
        return study.start_waiting()
    return [study.start_search(params, "random") for params in draw_params(study.spec, n)]


def _complete(study, trial, values):
    row_stderr = dict.fromkeys((*TEST_COUNTERPARTS, *TEST_COUNTERPARTS.values()), ROW_STDERR)
    study.complete(trial.number, make_networks(values, len(trial.seeds)), row_stderr)
