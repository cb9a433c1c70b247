"""Plan of a sweep: networks, hours by number of workers, and the number beyond which more workers do not help.

The model: a sweep needs `networks x seconds per network` of worker time, in whole cohorts, after a start: first the
search with the baseline, then the confirmation of its front. A worker waits for the suggestions of its next cohort, as
far as they are not ready before its last one ends. Meanwhile one process starts, tells and records every trial, which
limits the trials per second for any number of workers. The constants are measured by the benchmarks named next to them;
docs/scaling.md has the table and the check of the model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import make_url

from bimt_core import METRICS
from sweeps.errors import BadInputError
from sweeps.run.network_counts import NetworkCounts, count_networks, count_runs, guess_networks_per_cohort
from sweeps.run.speed import Speed, measure_speed, read_logged_speed
from sweeps.run.suggestions import READY_AT
from sweeps.spec.sweep import SweepSpec
from sweeps.store import Store
from sweeps.study.samplers import choose_sampler, make_distributions

# CPU time of the driver, in seconds; waiting for a disk or a database comes on top
SUGGESTING_S = {  # a, b and c of a + b n + c n^3 per trial, with n earlier ones; benchmarks/study.py
    "gp": (17e-3, 30e-6, 7.5e-10),
    "tpe": (2.5e-3, 15e-6, 1.5e-11),
    "nsga2": (0.5e-3, 8.5e-6, 0.0),
    "random": (0.0, 1.6e-6, 0.0),
    "qmc": (0.0, 1.6e-6, 0.0),
}
WRITING_S = {"journal": 2.4e-3, "sqlite": 13e-3, "postgresql": 16e-3}  # per trial; benchmarks/study.py
PLACING_S = 0.013  # per cohort, in Ray Tune; benchmarks/driver.py
EVALUATION_S = 0.0085  # per evaluation of a cohort, in Ray Tune and the spool; benchmarks/driver.py
METRIC_S, RUN_S = 1.1e-4, 0.035  # per metric value and per run in MLflow; benchmarks/tracking.py


@dataclass(frozen=True)
class Expected:
    """Duration with a number of workers.

    Args:
        workers: Cohorts at the same time.
        hours: Expected duration.
        hours_low: Lower end of its uncertainty.
        hours_high: Upper end.
        bound: What limits the speed: "workers", "cohorts", "concurrent_cohorts" or a part of the driver.
    """

    workers: int
    hours: float
    hours_low: float
    hours_high: float
    bound: str


@dataclass(frozen=True)
class Plan:
    """Plan of a sweep.

    Args:
        name: The sweep.
        trials: Complete trials to reach.
        networks: Networks to train.
        counts: The same by their purpose; some are estimates.
        cohorts: Number of cohorts, if all networks have the same shape.
        steps: Optimiser steps per network.
        speed: Speed of one worker.
        sampler: Sampler of the search; that which "auto" is expected to choose.
        suggestion_s: Seconds per suggestion, on average.
        artifact_bytes: Size of all artifacts; None where it is not known.
        trials_per_s: Highest rate of each part of the driver: "study and Ray Tune", "MLflow".
        useful_workers: Number of workers beyond which more do not help.
        bound: What limits the speed then.
        expected: One entry per number of workers.
    """

    name: str
    trials: int
    networks: int
    counts: NetworkCounts
    cohorts: int
    steps: int
    speed: Speed
    sampler: str
    suggestion_s: float
    artifact_bytes: int | None
    trials_per_s: dict[str, float]
    useful_workers: int
    bound: str
    expected: tuple[Expected, ...]


def make_plan(spec: SweepSpec, store: Store, workers: Sequence[int] = (1, 2, 4, 8, 16)) -> Plan:
    """Plans a sweep, with the speed of earlier sweeps of the same task, or else that of a short cohort trained here.

    Args:
        spec: The sweep.
        store: Store of the earlier sweeps.
        workers: Numbers of cohorts at the same time.

    Raises:
        BadInputError: If a number of workers is below 1.
        StoreError: If the study storage cannot be read.
    """
    for n in workers:
        if n < 1:
            raise BadInputError(f"workers must be at least 1, got {n}")
    speed = read_logged_speed(spec, store) or measure_speed(spec, max(workers))
    return apply_model(spec, store.storage, speed, workers)


def apply_model(spec: SweepSpec, storage: str | None, speed: Speed, workers: Sequence[int]) -> Plan:
    """Applies the model to a known speed.

    Args:
        spec: The sweep.
        storage: URL of the study storage; None for a journal file.
        speed: Speed of one worker.
        workers: Numbers of cohorts at the same time.
    """
    counts, per_cohort = count_networks(spec), guess_networks_per_cohort(spec)
    steps, trials_per_cohort = spec.recipe(spec.largest_params).shared.steps, per_cohort / spec.replicates
    network_s = steps / speed.network_steps_per_s + speed.network_s
    sampler, suggestion_s = estimate_suggestions(spec, spec.replicates * network_s)
    waiting_s = _estimate_waiting(suggestion_s, trials_per_cohort, per_cohort * network_s)
    phases = [n for n in (counts.total - counts.confirmation, counts.confirmation) if n]
    cohorts = [-(-n // per_cohort) for n in phases]
    runs, rates = count_runs(spec, counts), compute_driver_rates(spec, storage, trials_per_cohort)
    slowest = min(rates, key=lambda part: rates[part])
    enough = max(1, math.ceil(rates[slowest] * counts.total / runs * network_s))  # workers that keep the driver busy
    limits = {"cohorts": max(cohorts), "concurrent_cohorts": spec.concurrent_cohorts or max(cohorts)}
    fewest = min(limits, key=lambda name: limits[name])

    def expect(n: int) -> Expected:
        used, telling_s = min(n, limits[fewest]), runs / rates[slowest]
        training_s = sum(_count_longest(phase, per_cohort, used) for phase in phases) * network_s
        training_s += -(-cohorts[0] // used) * waiting_s
        hours, spread = (speed.start_s + max(training_s, telling_s)) / 3600, 1 + speed.uncertainty
        bound = slowest if telling_s > training_s else "workers" if n < limits[fewest] else fewest
        return Expected(n, hours, hours / spread, hours * spread, bound)

    return Plan(
        spec.name,
        spec.trials,
        counts.total,
        counts,
        sum(cohorts),
        steps,
        speed,
        sampler,
        suggestion_s,
        None if speed.artifact_bytes is None else speed.artifact_bytes * counts.total,
        rates,
        min(enough, limits[fewest]),
        slowest if enough < limits[fewest] else fewest,
        tuple(expect(n) for n in sorted(set(workers))),
    )


def estimate_suggestions(spec: SweepSpec, trial_s: float) -> tuple[str, float]:
    """Estimates how long a suggestion takes on average over the sweep, and by which sampler it is found.

    Args:
        spec: The sweep.
        trial_s: Seconds that one trial takes one worker, for "auto".
    """
    if spec.variants:
        return spec.sampler, 0.0

    def seconds(sampler: str) -> float:
        first_s, linear_s, cubic_s = SUGGESTING_S[sampler]
        return first_s + linear_s * spec.trials / 2 + cubic_s * spec.trials**3 / 4

    sampler: str = spec.sampler
    if sampler == "auto":
        sampler = choose_sampler(make_distributions(spec), len(spec.objectives), trial_s, seconds("gp"))
    return sampler, seconds(sampler)


def compute_driver_rates(spec: SweepSpec, storage: str | None, cohort_size: float) -> dict[str, float]:
    """Computes the highest rate of each part of the driver, in trials per second.

    The study and Ray Tune share one thread; MLflow's writer is a process of its own.

    Args:
        spec: The sweep.
        storage: URL of the study storage; None for a journal file.
        cohort_size: Trials per cohort.
    """
    kind = "journal" if storage is None else make_url(storage).get_backend_name()
    study_s = WRITING_S.get(kind, WRITING_S["postgresql"])
    tune_s = (PLACING_S + EVALUATION_S * spec.evaluations) / cohort_size
    mlflow_s = RUN_S + METRIC_S * len(METRICS) * (spec.evaluations + 1)
    return {"study and Ray Tune": 1 / (study_s + tune_s), "MLflow": 1 / mlflow_s}


def _count_longest(networks: int, per_cohort: int, workers: int) -> int:
    """Networks of the worker that has the most, if workers take cohorts in turns."""
    cohorts = -(-networks // per_cohort)
    lacking = cohorts * per_cohort - networks  # of the last cohort
    return -(-cohorts // workers) * per_cohort - (lacking if (cohorts - 1) % workers == 0 else 0)


def _estimate_waiting(suggestion_s: float, trials: float, cohort_s: float) -> float:
    """Seconds that a worker waits for the suggestions of a cohort, which begin before its last cohort ends."""
    return max(0.0, suggestion_s * trials - (1 - READY_AT) * cohort_s)
