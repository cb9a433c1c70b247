"""Cohorts that are quick to train."""

from sweeps.worker.cohort import CohortSpec, Member, run_cohort

QUICK = {"steps": 40, "relocate_every": 15, "hidden_width": 6}


def cohort(*changes, seeds=(3, 4), evaluations=4, **common):
    """A cohort of quick trials; the first is number 10."""
    members = tuple(Member(10 + i, QUICK | common | change) for i, change in enumerate(changes))
    return CohortSpec("two_moons", None, members, seeds, evaluations)


def trained(spec, snapshot=None, history=()):
    return list(run_cohort(spec, snapshot, history))


THREE = cohort({"cost_weight": 0.0}, {"cost_weight": 3e-3, "weight_factor": 2.0}, {"learning_rate": 1e-2})
