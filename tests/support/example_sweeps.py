"""Sweeps whose trials have given results, without training."""

from bimt_core import METRICS
from sweeps.results.sweep import Sweep
from sweeps.store import Store
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
DIAGRAM = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">'
    '<path stroke="#1f6fb4" stroke-width="2" d="M1 1L8 8"/></svg>'
)


def create_sweep(folder, spec, results):
    """Creates a sweep in a folder: a trial per (score, connection cost[, modularity]), a failed trial per None."""
    store = Store(folder)
    store.prepare(spec.name)
    study = SweepStudy.launch(store, spec)
    for values in results:
        trial = study.ask()
        if values is None:
            study.fail(trial.number, REASON)
            continue
        means = dict(zip(("val_score", "connection_cost", "modularity"), values, strict=False))
        study.complete(trial.number, dict.fromkeys(METRICS, 1.0) | means, dict.fromkeys(METRICS, 0.01))
    return Sweep(study, store)


def example_spec(small_spec, **changes):
    return small_spec(**{"search": SEARCH, "sampler": "random", "trials": 20} | changes)
