"""Plan of a sweep: hours by number of workers, and the number beyond which more workers do not help.

The model: a sweep needs `trials x seconds per trial` of worker time, in whole cohorts, after a start. Meanwhile one
process asks for, tells and records every trial, which limits the trials per second for any number of workers. The
constants are measured by the benchmarks named next to them; docs/scaling.md has the table and the check of the model.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from sqlalchemy import make_url

from bimt_core import METRICS
from sweeps.cluster.capacity import should_compile
from sweeps.errors import BadInputError, StoreError
from sweeps.spec.cohort import Cohort, Member
from sweeps.spec.sweep import SweepSpec
from sweeps.store import Store
from sweeps.study.storage import list_sweep_names
from sweeps.study.study import SweepStudy
from sweeps.tracking.reading import read_run_metrics
from sweeps.tracking.record import TOTALS
from sweeps.worker.cohort import run_cohort

# CPU time of the driver, in seconds; waiting for a disk or a database comes on top
SUGGESTING_S = {"tpe": (10e-3, 15e-6), "random": (0.0, 0.0), "nsga2": (0.0, 0.0)}  # per trial; per existing trial
WRITING_S = {"journal": 2.4e-3, "sqlite": 13e-3, "postgresql": 16e-3}  # per trial; benchmarks/study.py
PLACING_S = 0.013  # per cohort, in Ray Tune; benchmarks/driver.py
EVALUATION_S = 0.0085  # per evaluation of a cohort, in Ray Tune and the spool; benchmarks/driver.py
METRIC_S, RUN_S = 1.1e-4, 0.035  # per metric value and per run in MLflow; benchmarks/tracking.py
# Workers
START_S = 12.0  # until the first cohort trains; benchmarks/workers.py
NOISE = 0.15  # least relative difference between speeds of one machine from run to run
MIN_TIMED_S = 1.5  # of training between two evaluations, to time it


@dataclass(frozen=True)
class Speed:
    """Speed of one worker.

    Args:
        network_steps_per_s: Optimiser steps x networks per second.
        trial_s: Seconds per trial in addition to its training, to measure and draw.
        start_s: Seconds before its first cohort trains.
        artifact_bytes: Size of a trial's artifacts; None where it was not measured.
        uncertainty: Relative uncertainty.
        source: Origin of these values.
    """

    network_steps_per_s: float
    trial_s: float
    start_s: float
    artifact_bytes: int | None
    uncertainty: float
    source: str


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
        networks: Trials x replicates.
        cohorts: Number of cohorts, if all networks have the same shape.
        steps: Optimiser steps per network.
        speed: Speed of one worker.
        artifact_bytes: Size of all artifacts; None where it is not known.
        trials_per_s: Highest rate of each part of the driver: "study and Ray Tune", "MLflow".
        useful_workers: Number of workers beyond which more do not help.
        bound: What limits the speed then.
        expected: One entry per number of workers.
    """

    name: str
    trials: int
    networks: int
    cohorts: int
    steps: int
    speed: Speed
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
    size = min(_guess_cohort_size(spec), spec.trials)
    cohorts, steps = -(-spec.trials // size), spec.recipe(spec.largest_params).shared.steps
    trial_s = spec.replicates * steps / speed.network_steps_per_s + speed.trial_s
    rates = compute_driver_rates(spec, storage, size)
    slowest = min(rates, key=lambda part: rates[part])
    enough = max(1, math.ceil(rates[slowest] * trial_s))  # workers that keep the driver busy
    limits = {"cohorts": cohorts, "concurrent_cohorts": spec.concurrent_cohorts or cohorts}
    fewest = min(limits, key=lambda name: limits[name])
    expected = []
    for n in sorted(set(workers)):
        waves = -(-cohorts // min(n, limits[fewest]))
        training_s, telling_s = waves * size * trial_s, spec.trials / rates[slowest]
        hours, spread = (speed.start_s + max(training_s, telling_s)) / 3600, 1 + speed.uncertainty
        limit = "workers" if n < limits[fewest] else fewest
        bound = slowest if telling_s > training_s else limit
        expected.append(Expected(n, hours, hours / spread, hours * spread, bound))
    return Plan(
        spec.name,
        spec.trials,
        spec.trials * spec.replicates,
        cohorts,
        steps,
        speed,
        None if speed.artifact_bytes is None else speed.artifact_bytes * spec.trials,
        rates,
        min(enough, limits[fewest]),
        slowest if enough < limits[fewest] else fewest,
        tuple(expected),
    )


def compute_driver_rates(spec: SweepSpec, storage: str | None, cohort_size: int) -> dict[str, float]:
    """Computes the highest rate of each part of the driver, in trials per second on average over the sweep.

    The study, its sampler and Ray Tune share one thread; MLflow's writer is a process of its own.

    Args:
        spec: The sweep.
        storage: URL of the study storage; None for a journal file.
        cohort_size: Trials per cohort.
    """
    kind = "journal" if storage is None else make_url(storage).get_backend_name()
    first_s, more_s = SUGGESTING_S[spec.sampler]
    study_s = first_s + more_s * spec.trials / 2 + WRITING_S.get(kind, WRITING_S["postgresql"])
    tune_s = (PLACING_S + EVALUATION_S * spec.evaluations) / cohort_size
    mlflow_s = RUN_S + METRIC_S * len(METRICS) * (spec.evaluations + 1)
    return {"study and Ray Tune": 1 / (study_s + tune_s), "MLflow": 1 / mlflow_s}


def read_logged_speed(spec: SweepSpec, store: Store) -> Speed | None:
    """Reads the speed of workers in earlier sweeps of the same task; None without such sweeps.

    Args:
        spec: The sweep.
        store: Store of the earlier sweeps.

    Raises:
        StoreError: If the study storage cannot be read.
    """
    if store.storage is None and not store.study_file(spec.name).parent.is_dir():
        return None
    logged = []
    for name in list_sweep_names(store):
        study = SweepStudy.open(store, name)
        if study.spec.task != spec.task or study.spec.resources != spec.resources:
            continue
        try:
            metrics = read_run_metrics(store.mlflow_uri, name, study.sweep_id)
        except StoreError:
            continue  # then the speed is measured
        if all(metrics.get(TOTALS + key) for key in ("network_steps", "workers", "wall_s", "trials")):
            logged.append((name, _parse_speed(metrics)))
    if not logged:
        return None
    speeds = [speed.network_steps_per_s for _, speed in logged]
    median = sorted(logged, key=lambda pair: pair[1].network_steps_per_s)[len(logged) // 2][1]
    spread = (max(speeds) - min(speeds)) / (2 * median.network_steps_per_s)
    names = ", ".join(name for name, _ in logged)
    return dataclasses.replace(median, uncertainty=max(NOISE, spread), source=f"logged by {names}")


def _parse_speed(metrics: dict[str, float]) -> Speed:
    """Speed from the metrics of a sweep's last launch."""
    worker_s = metrics[TOTALS + "wall_s"] * metrics[TOTALS + "workers"]
    training_s = max(metrics.get("worker_time/training", 1.0) * worker_s, 1e-9)
    other = sum(metrics.get(f"worker_time/{part}", 0.0) for part in ("measuring", "drawing"))
    waited_s = metrics.get("worker_time/starting and waiting", 0.0) * metrics[TOTALS + "wall_s"]
    return Speed(
        metrics[TOTALS + "network_steps"] / training_s,
        other * worker_s / metrics[TOTALS + "trials"],
        max(waited_s, 0.0),
        None,
        NOISE,
        "",
    )


def measure_speed(spec: SweepSpec, workers: int) -> Speed:
    """Measures the speed of a short cohort here, of full size and with the largest network of the search space.

    Args:
        spec: The sweep.
        workers: Cohorts at the same time, which decides if training is compiled.
    """
    size, compiled = min(_guess_cohort_size(spec), spec.trials), should_compile(spec, workers)
    published = spec.recipe(spec.largest_params).shared
    steps = min(3 * published.relocate_every, max(published.steps, 3))
    while True:
        with _torch_threads(spec.resources.cpus):
            first, second, last = run_cohort(_make_short_cohort(spec, size, steps, compiled))
        taken = [evaluation.seconds["training"] for evaluation in (second, last)]
        if min(taken) >= MIN_TIMED_S or steps >= published.steps:
            break
        steps = min(published.steps, steps * max(2, math.ceil(MIN_TIMED_S / max(min(taken), 1e-3))))
    networks, timed_steps = size * spec.replicates, second.snapshot.step - first.snapshot.step
    speeds = [networks * timed_steps / seconds for seconds in taken]
    mean = sum(speeds) / 2
    other_s = second.seconds["measuring"] * (spec.evaluations - 1) + last.seconds["measuring"] + last.seconds["drawing"]
    return Speed(
        mean,
        other_s / size,
        START_S + max(0.0, first.seconds["training"] - sum(taken) / 2),  # the first evaluation includes compiling
        sum(len(content) for files in last.files.values() for content in files.values()) // size,
        max(NOISE, abs(speeds[0] - speeds[1]) / (2 * mean)),
        f"a cohort of {networks} networks, {steps} steps, here",
    )


@contextmanager
def _torch_threads(n: int) -> Iterator[None]:
    """Sets the number of torch's threads, as a cohort's worker has it."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _make_short_cohort(spec: SweepSpec, size: int, steps: int, compiled: bool) -> Cohort:
    short = spec.model_copy(update={"evaluations": 3})
    member = Member(spec.largest_params | {"steps": steps}, spec.seeds)
    return Cohort(short, dict.fromkeys(range(size), member), compiled=compiled)


def _guess_cohort_size(spec: SweepSpec) -> int:
    """The spec's cohort size; 128 networks stand for "auto", which workers measure."""
    return max(1, 128 // spec.replicates) if spec.cohort_size == "auto" else spec.cohort_size
