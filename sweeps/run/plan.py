"""What a sweep will take: hours on so many workers, and where more of them stop helping.

The model: a sweep needs `trials x seconds a trial` of worker time, in whole cohorts, after a start. Beside it one
process asks, tells and records every trial, which bounds the trials a second whatever the number of workers. The
constants below are measured by the benchmarks named there; docs/scaling.md has the table and how the model was checked.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from sqlalchemy import make_url

from bimt_core import METRICS
from sweeps.cluster.capacity import largest_recipe, should_compile
from sweeps.errors import BadInputError, StoreError
from sweeps.spec.sweep import SweepSpec
from sweeps.store import Store
from sweeps.study.storage import list_sweep_names
from sweeps.study.study import SweepStudy
from sweeps.tracking.reading import read_run_metrics
from sweeps.tracking.records import TOTALS, sweep_key
from sweeps.worker.cohort import CohortSpec, Member, run_cohort

# Seconds of CPU time of the driver; a disk's or a database's answers are waited for on top
SUGGESTING_S = {"tpe": (10e-3, 15e-6), "random": (0.0, 0.0), "nsga2": (0.0, 0.0)}  # a trial; more a trial there is
WRITING_S = {"journal": 2.4e-3, "sqlite": 13e-3, "postgresql": 16e-3}  # a trial's events; benchmarks/study.py
PLACING_S = 0.013  # a cohort, in Ray Tune; benchmarks/driver.py
REPORT_S = 0.0085  # a cohort's report, in Ray Tune and the spool; benchmarks/driver.py
METRIC_S, RUN_S = 1.1e-4, 0.035  # written to MLflow, and a run made and ended; benchmarks/tracking.py
# Of workers
START_S = 12.0  # until the first cohort trains; benchmarks/workers.py
BUSY = 0.15  # how far speeds of one machine differ from run to run, whatever else is known
LONG_ENOUGH_S = 1.5  # of a stretch of training that is timed


@dataclass(frozen=True)
class Speed:
    """How fast one worker is.

    Args:
        network_steps_per_s: Optimiser steps x networks a second.
        trial_s: Seconds a trial beside its training: measuring and drawing.
        start_s: Seconds before its first cohort trains.
        artifact_bytes: Of one trial; None where only earlier sweeps were asked.
        uncertainty: How far it may be off, as a part of itself.
        source: Where it comes from.
    """

    network_steps_per_s: float
    trial_s: float
    start_s: float
    artifact_bytes: int | None
    uncertainty: float
    source: str


@dataclass(frozen=True)
class Expected:
    """What so many workers need."""

    workers: int
    hours: float
    hours_low: float
    hours_high: float
    bound: str


@dataclass(frozen=True)
class Plan:
    """What a sweep will take.

    Args:
        name: The sweep.
        trials: Trials asked for.
        networks: Trials x replicates.
        cohorts: Cohorts that they make, if all shapes are equal.
        steps: Optimiser steps of a network.
        speed: Of one worker.
        artifact_bytes: Of all trials; None where it is not known.
        trials_per_s: What each part of the driver allows at most: "study and sampler", "Ray Tune", "MLflow".
        useful_workers: Beyond these more do not help.
        bound: What holds then.
        expected: One entry a number of workers.
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
    """What a sweep will take on so many workers.

    Args:
        spec: The sweep.
        store: Where earlier sweeps of the same task are looked for; without any, one short cohort is trained here.
        workers: Numbers of cohorts at once.

    Raises:
        BadInputError: If a number of workers is below 1.
        StoreError: If the study storage cannot be read.
    """
    for n in workers:
        if n < 1:
            raise BadInputError(f"workers must be at least 1, got {n}")
    return planned(spec, store.storage, logged_speed(spec, store) or measured_speed(spec, max(workers)), workers)


def planned(spec: SweepSpec, storage: str | None, speed: Speed, workers: Sequence[int]) -> Plan:
    """The model alone.

    Args:
        spec: The sweep.
        storage: URL of the study storage; None for a journal file.
        speed: Of one worker.
        workers: Numbers of cohorts at once.
    """
    size = min(_cohort_size(spec), spec.trials)
    cohorts, steps = -(-spec.trials // size), largest_recipe(spec).shared.steps
    trial_s = spec.replicates * steps / speed.network_steps_per_s + speed.trial_s
    rates = driver_rates(spec, storage, size)
    slowest = min(rates, key=lambda part: rates[part])
    enough = max(1, math.ceil(rates[slowest] * trial_s))  # workers that keep the driver busy
    limits = {"cohorts": cohorts, "concurrent_cohorts": spec.concurrent_cohorts or cohorts}
    fewest = min(limits, key=lambda name: limits[name])
    expected = []
    for n in sorted(set(workers)):
        waves = -(-cohorts // min(n, limits[fewest]))
        training_s, telling_s = waves * size * trial_s, spec.trials / rates[slowest]
        seconds = speed.start_s + max(training_s, telling_s)
        held = "workers" if n < limits[fewest] else fewest
        bound = slowest if telling_s > training_s else held
        off = speed.uncertainty
        expected.append(Expected(n, seconds / 3600, seconds / (1 + off) / 3600, seconds * (1 + off) / 3600, bound))
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


def driver_rates(spec: SweepSpec, storage: str | None, cohort_size: int) -> dict[str, float]:
    """Trials a second that each part of the driver can keep up with, on average over the sweep.

    The study, its sampler and Ray Tune share one thread; MLflow's writer has its own.

    Args:
        spec: The sweep.
        storage: URL of the study storage; None for a journal file.
        cohort_size: Trials of a cohort.
    """
    kind = "journal" if storage is None else make_url(storage).get_backend_name()
    first_s, more_s = SUGGESTING_S[spec.sampler]
    study_s = first_s + more_s * spec.trials / 2 + WRITING_S.get(kind, WRITING_S["postgresql"])
    tune_s = (PLACING_S + REPORT_S * spec.evaluations) / cohort_size
    mlflow_s = RUN_S + METRIC_S * len(METRICS) * (spec.evaluations + 1)
    return {"study and Ray Tune": 1 / (study_s + tune_s), "MLflow": 1 / mlflow_s}


def logged_speed(spec: SweepSpec, store: Store) -> Speed | None:
    """How fast workers were in earlier sweeps of the same task in a store; None where none has been logged."""
    if store.storage is None and not store.study_file(spec.name).parent.is_dir():
        return None
    found = []
    for name in list_sweep_names(store):
        study = SweepStudy.open(store, name)
        if study.spec.task != spec.task or study.spec.resources != spec.resources:
            continue
        try:
            metrics = read_run_metrics(store.mlflow_uri, name, sweep_key(study.sweep_id))
        except StoreError:
            continue  # what cannot be read is measured
        if all(metrics.get(TOTALS + key) for key in ("network_steps", "workers", "wall_s", "trials")):
            found.append((name, _speed_of(metrics)))
    if not found:
        return None
    speeds = [speed.network_steps_per_s for _, speed in found]
    middle = sorted(found, key=lambda pair: pair[1].network_steps_per_s)[len(found) // 2][1]
    spread = (max(speeds) - min(speeds)) / (2 * middle.network_steps_per_s)
    names = ", ".join(name for name, _ in found)
    return dataclasses.replace(middle, uncertainty=max(BUSY, spread), source=f"logged by {names}")


def _speed_of(metrics: dict[str, float]) -> Speed:
    """Training by itself; the rest of the workers' time to the trials, but for the start."""
    worker_s = metrics[TOTALS + "wall_s"] * metrics[TOTALS + "workers"]
    training_s = max(metrics.get("worker_time/training", 1.0) * worker_s, 1e-9)
    beside = sum(metrics.get(f"worker_time/{part}", 0.0) for part in ("measuring", "drawing"))
    waited_s = metrics.get("worker_time/starting and waiting", 0.0) * metrics[TOTALS + "wall_s"]
    return Speed(
        metrics[TOTALS + "network_steps"] / training_s,
        beside * worker_s / metrics[TOTALS + "trials"],
        max(waited_s, 0.0),
        None,
        BUSY,
        "",
    )


def measured_speed(spec: SweepSpec, workers: int) -> Speed:
    """How fast a cohort trains here: a short one at its real size, with the largest network of the search space."""
    size, compiled = min(_cohort_size(spec), spec.trials), should_compile(spec, workers)
    whole = largest_recipe(spec).shared
    steps = min(3 * whole.relocate_every, max(whole.steps, 3))
    while True:
        with _threads(spec.resources.cpus):
            first, second, last = run_cohort(_short(spec, size, steps, compiled))
        taken = [report.seconds["training"] for report in (second, last)]
        if min(taken) >= LONG_ENOUGH_S or steps >= whole.steps:
            break
        steps = min(whole.steps, steps * max(2, math.ceil(LONG_ENOUGH_S / max(min(taken), 1e-3))))
    networks, stretch = size * spec.replicates, second.snapshot.step - first.snapshot.step
    speeds = [networks * stretch / seconds for seconds in taken]
    mean = sum(speeds) / 2
    beside_s = (
        second.seconds["measuring"] * (spec.evaluations - 1) + last.seconds["measuring"] + last.seconds["drawing"]
    )
    return Speed(
        mean,
        beside_s / size,
        START_S + max(0.0, first.seconds["training"] - sum(taken) / 2),  # the first stretch compiles
        sum(len(content) for files in last.files.values() for content in files.values()) // size,
        max(BUSY, abs(speeds[0] - speeds[1]) / (2 * mean)),
        f"a cohort of {networks} networks, {steps} steps, here",
    )


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """As many of torch's threads as a cohort is given."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _short(spec: SweepSpec, size: int, steps: int, compiled: bool) -> CohortSpec:
    sizes = {name: max(spec.samples(name)) for name in ("hidden_width", "hidden_layers") if spec.samples(name)}
    params = {**spec.fixed, **sizes, "steps": steps}
    members = tuple(Member(number, params) for number in range(size))
    gpu = spec.resources.gpus > 0
    return CohortSpec(
        spec.task, spec.data_seed, members, tuple(spec.seeds), 3, gpu=gpu, dtype=spec.dtype, compiled=compiled
    )


def _cohort_size(spec: SweepSpec) -> int:
    """What the sweep says; "auto" is decided by a measurement on the workers, here taken for 128 networks."""
    return max(1, 128 // spec.replicates) if spec.cohort_size == "auto" else spec.cohort_size
