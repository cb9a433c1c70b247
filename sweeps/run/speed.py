"""Speed of a sweep's workers: as earlier sweeps have logged it, or as a short cohort shows here."""

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from sweeps.cluster.capacity import should_compile
from sweeps.errors import StoreError
from sweeps.run.network_counts import guess_networks_per_cohort
from sweeps.spec.cohort import Cohort, Member
from sweeps.spec.sweep import SweepSpec
from sweeps.store import Store
from sweeps.study.storage import list_sweep_names
from sweeps.study.study import SweepStudy
from sweeps.tracking.reading import read_run_metrics
from sweeps.tracking.record import TOTALS
from sweeps.worker.cohort import run_cohort

START_S = 12.0  # until the first cohort trains; benchmarks/workers.py
NOISE = 0.15  # least relative difference between speeds of one machine from run to run
MIN_TIMED_S = 1.5  # of training between two evaluations, to time it


@dataclass(frozen=True)
class Speed:
    """Speed of one worker.

    Args:
        network_steps_per_s: Optimiser steps x networks per second.
        network_s: Seconds per network in addition to its training, to measure and draw.
        start_s: Seconds before its first cohort trains.
        artifact_bytes: Size of a network's artifacts; None where it was not measured.
        uncertainty: Relative uncertainty.
        source: Origin of these values.
    """

    network_steps_per_s: float
    network_s: float
    start_s: float
    artifact_bytes: int | None
    uncertainty: float
    source: str


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
        if all(metrics.get(TOTALS + key) for key in ("network_steps", "workers", "wall_s")):
            steps = study.spec.recipe(study.spec.largest_params).shared.steps
            logged.append((name, _parse_speed(metrics, steps)))
    if not logged:
        return None
    speeds = [speed.network_steps_per_s for _, speed in logged]
    median = sorted(logged, key=lambda pair: pair[1].network_steps_per_s)[len(logged) // 2][1]
    spread = (max(speeds) - min(speeds)) / (2 * median.network_steps_per_s)
    names = ", ".join(name for name, _ in logged)
    return dataclasses.replace(median, uncertainty=max(NOISE, spread), source=f"logged by {names}")


def _parse_speed(metrics: dict[str, float], steps: int) -> Speed:
    """Speed from the metrics of a sweep's last launch, whose networks had so many steps."""
    worker_s = metrics[TOTALS + "wall_s"] * metrics[TOTALS + "workers"]
    training_s = max(metrics.get("worker_time/training", 1.0) * worker_s, 1e-9)
    other = sum(metrics.get(f"worker_time/{part}", 0.0) for part in ("measuring", "drawing"))
    waited_s = metrics.get("worker_time/starting and waiting", 0.0) * metrics[TOTALS + "wall_s"]
    return Speed(
        metrics[TOTALS + "network_steps"] / training_s,
        other * worker_s * steps / metrics[TOTALS + "network_steps"],
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
    size, compiled = guess_networks_per_cohort(spec) // spec.replicates, should_compile(spec, workers)
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
        other_s / networks,
        START_S + max(0.0, first.seconds["training"] - sum(taken) / 2),  # the first evaluation includes compiling
        sum(len(content) for files in last.files.values() for content in files.values()) // networks,
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
