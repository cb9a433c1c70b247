"""Counts of the networks that a sweep will train; what depends on its front is an estimate."""

from dataclasses import dataclass

from sweeps.run.dispatch import ROUNDS
from sweeps.spec.sweep import SweepSpec

# By number of objectives, more count as three; benchmarks/fronts.py
FRONT_SIZE = {1: (1.0, 0.0), 2: (1.5, 0.58), 3: (2.4, 0.64)}  # a and b of a x trials^b
RAISED = {1: 0.2, 2: 0.8, 3: 0.95}  # share of trials whose interval touches the front at some time


@dataclass(frozen=True)
class NetworkCounts:
    """Numbers of networks that a sweep trains.

    Args:
        search: Trials x replicates.
        raised: Further replicates of trials whose interval touches the front, as far as that can be expected.
        baseline: Replicates of the published setting.
        confirmation: Networks on fresh seeds, of a front of the expected size and of the baseline.
        front: Trials that are expected on the front.
    """

    search: int
    raised: int
    baseline: int
    confirmation: int
    front: int

    @property
    def total(self) -> int:
        """All networks."""
        return self.search + self.raised + self.baseline + self.confirmation


def count_networks(spec: SweepSpec) -> NetworkCounts:
    """Counts the networks that a sweep trains; those that depend on its front are estimates.

    Args:
        spec: The sweep. It is expected to have all its trials, although `stop_when` may end it earlier.
    """
    search = spec.trials * spec.replicates
    if spec.variants:
        return NetworkCounts(search, 0, 0, 0, 0)
    objectives = min(len(spec.objectives), max(FRONT_SIZE))
    factor, power = FRONT_SIZE[objectives]
    front = min(round(factor * spec.trials**power), spec.trials)
    raised = round(RAISED[objectives] * spec.trials) * (spec.most_replicates - spec.replicates)
    confirmation = 0 if spec.confirm is None else (front + 1) * spec.confirm.replicates
    return NetworkCounts(search, raised, spec.replicates, confirmation, front)


def count_runs(spec: SweepSpec, counts: NetworkCounts) -> int:
    """Counts the trials of all roles, each of which has a run in MLflow.

    Args:
        spec: The sweep.
        counts: Its networks.
    """
    further = spec.most_replicates - spec.replicates
    raised = counts.raised // further * -(-further // spec.replicates) if further else 0
    confirmed = 0 if spec.confirm is None else counts.confirmation // spec.confirm.replicates
    return spec.trials + raised + (counts.baseline > 0) + confirmed


def guess_networks_per_cohort(spec: SweepSpec) -> int:
    """Guesses the networks that train together at most: 128 stand for "auto", which workers measure.

    Args:
        spec: The sweep.
    """
    size = max(1, 128 // spec.replicates) if spec.cohort_size == "auto" else spec.cohort_size
    most = spec.trials if spec.variants else -(-spec.trials // ROUNDS)
    return min(size, most) * spec.replicates
