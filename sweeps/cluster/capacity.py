"""What there is room for: cohorts at once, trials in a cohort, and whether compiling pays."""

import os

import psutil
import torch

from bimt_core import Task, load_task
from bimt_core.population_size import best_population, network_bytes
from bimt_core.train import WORTH_COMPILING, estimate_work
from sweeps.cluster.resources import ClusterResources, check_fits
from sweeps.errors import BadInputError
from sweeps.spec.recipe import ARCHITECTURE, Recipe, recipe
from sweeps.spec.sweep import SweepSpec

UNKNOWN_SLOTS = 64  # cohorts of a cluster of which it is not known what it can start
FILLED = 0.8  # part of the free memory that cohorts may fill


def count_cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def count_slots(spec: SweepSpec, offer: ClusterResources | None = None) -> int:
    """How many cohorts can train at once.

    Args:
        spec: The sweep.
        offer: What a cluster has or may start; None for this machine.

    Raises:
        BadInputError: If not even one can.
    """
    if offer is not None:
        check_fits(spec, offer)
        return offer.room(spec) or UNKNOWN_SLOTS
    if spec.resources.cpus > count_cores():
        raise BadInputError(
            f"resources.cpus must be at most this machine's {count_cores()} cores, got {spec.resources.cpus}"
        )
    room = count_cores() // spec.resources.cpus
    if spec.resources.gpus > 0:
        if spec.resources.gpus > torch.cuda.device_count():
            n = torch.cuda.device_count()
            raise BadInputError(f"resources.gpus must be at most this machine's {n} GPUs, got {spec.resources.gpus:g}")
        room = min(room, int(torch.cuda.device_count() / spec.resources.gpus))
    return room


def check_memory(spec: SweepSpec, workers: int) -> None:
    """Refuses cohorts that do not fit into this machine's memory.

    Raises:
        BadInputError: If the sweep's cohorts are too large, or not even one trial fits.
    """
    fits, free, trial_bytes = _trials_that_fit(spec, workers)
    if (1 if spec.cohort_size == "auto" else spec.cohort_size) > fits:
        raise BadInputError(
            f"cohort_size must be at most {fits} to fit {workers} cohorts at once into {free / 2**30:.1f} GiB"
            f" of free memory ({trial_bytes / 2**20:.1f} MiB a trial), got {spec.cohort_size}"
        )


def _trials_that_fit(spec: SweepSpec, at_once: int) -> tuple[int, float, float]:
    """How many trials fit into one of the cohorts beside each other here; free bytes; bytes of a trial."""
    r = largest_recipe(spec)
    trial_bytes = spec.replicates * network_bytes(_task(spec), r.network, r.shared)
    free = psutil.virtual_memory().available / at_once
    if spec.resources.gpus > 0 and torch.cuda.is_available():
        free = min(spec.resources.gpus, 1.0) * torch.cuda.mem_get_info()[0]
    return int(FILLED * free / trial_bytes), free * at_once, trial_bytes


def _task(spec: SweepSpec) -> Task:
    task = load_task(spec.task, spec.data_seed)
    return task.in_dtype(getattr(torch, spec.dtype)) if spec.dtype else task


def should_compile(spec: SweepSpec, workers: int) -> bool:
    """Whether cohorts compile their training; decided by the spec alone, since compiling changes the rounding."""
    if spec.resources.compile != "auto":
        return spec.resources.compile == "always"
    r = largest_recipe(spec)
    networks = spec.trials * spec.replicates
    return estimate_work(r.network, _task(spec), r.shared, networks) / workers > WORTH_COMPILING


def measure_cohort_size(spec: SweepSpec, workers: int) -> int:
    """Trials of a cohort that train fastest, measured where cohorts train; every worker gets some of the trials."""
    import ray

    @ray.remote(num_cpus=spec.resources.cpus, num_gpus=spec.resources.gpus, max_retries=1)
    def measured_there() -> int:
        r, device = largest_recipe(spec), "cuda" if spec.resources.gpus > 0 else "cpu"
        fits, _, _ = _trials_that_fit(spec, max(1, count_cores() // spec.resources.cpus))
        most = max(fits, 1) * spec.replicates
        return best_population(_task(spec).to(device), r.network, r.shared, most=most) // spec.replicates

    trials: int = ray.get(measured_there.remote())
    return max(1, min(trials, -(-spec.trials // workers)))


def largest_recipe(spec: SweepSpec) -> Recipe:
    """The recipe with the largest network of the search space, and the fixed hyperparameters."""
    sizes = {name: max(spec.samples(name)) for name in ARCHITECTURE if spec.samples(name)}
    return recipe(_task(spec), spec.fixed | sizes)
