"""Cohorts that train quickly."""

from sweeps.spec.cohort import Cohort, Member
from sweeps.spec.sweep import parse_spec
from sweeps.worker.cohort import run_cohort

QUICK = {"steps": 40, "relocate_every": 15, "hidden_width": 6}


def make_cohort(spec, members, seeds=None, **how):
    """A cohort of a sweep from the hyperparameters of its members by number; by default with the sweep's seeds."""
    return Cohort(spec, {number: Member(params, seeds or spec.seeds) for number, params in members.items()}, **how)


def cohort(*changes, seed=3, replicates=2, evaluations=4, task="two_moons", dtype=None, **common):
    """A cohort of quick trials, numbered from 10, one for each mapping of changed hyperparameters."""
    spec = parse_spec(
        {
            "name": "quick",
            "task": task,
            "objectives": [{"metric": "val_score", "direction": "maximize"}],
            "trials": len(changes),
            "seed": seed,
            "replicates": replicates,
            "evaluations": evaluations,
            "dtype": dtype,
        }
    )
    quick = QUICK if task == "two_moons" else {}
    return make_cohort(spec, {10 + i: quick | common | change for i, change in enumerate(changes)})


def train_all(cohort, snapshot=None, history=()):
    """All evaluations of a cohort."""
    return list(run_cohort(cohort, snapshot, history))


THREE = cohort({"cost_weight": 0.0}, {"cost_weight": 3e-3, "weight_factor": 2.0}, {"learning_rate": 1e-2})
