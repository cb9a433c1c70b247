"""What there is room for: cohorts at once, trials in a cohort, and whether compiling pays."""

import os

import psutil
import torch

from bimt_core import Task, task
from bimt_core.population_size import best_population, network_bytes
from bimt_core.train import WORTH_COMPILING, work
from sweeps.errors import BadInputError
from sweeps.recipe import ARCHITECTURE, Recipe, recipe
from sweeps.spec import SweepSpec


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def workers_of(spec: SweepSpec) -> int:
    """How many cohorts train at once.

    Raises:
        BadInputError: If this machine cannot train even one. A cluster is asked by Ray instead.
    """
    if os.environ.get("RAY_ADDRESS"):
        return spec.concurrent_cohorts or 64
    if spec.resources.cpus > cores():
        raise BadInputError(f"resources.cpus must be at most this machine's {cores()} cores, got {spec.resources.cpus}")
    room = cores() // spec.resources.cpus
    if spec.resources.gpus > 0:
        if spec.resources.gpus > torch.cuda.device_count():
            n = torch.cuda.device_count()
            raise BadInputError(f"resources.gpus must be at most this machine's {n} GPUs, got {spec.resources.gpus:g}")
        room = min(room, int(torch.cuda.device_count() / spec.resources.gpus))
    return min(room, spec.concurrent_cohorts or room)


def trials_that_fit(spec: SweepSpec, workers: int) -> int:
    """How many trials fit into one of the cohorts that train beside each other.

    Raises:
        BadInputError: If the sweep's cohorts are larger, or not even one trial fits.
    """
    r = _largest(spec)
    trial_bytes = spec.replicates * network_bytes(_task(spec), r.network, r.schedule)
    available = psutil.virtual_memory().available
    fits = int(0.8 * available / workers / trial_bytes)
    least = 1 if spec.cohort_size == "auto" else spec.cohort_size
    if least > fits and not os.environ.get("RAY_ADDRESS"):
        raise BadInputError(
            f"cohort_size must be at most {fits} to fit {workers} cohorts at once into {available / 2**30:.1f} GiB"
            f" of free memory ({trial_bytes / 2**20:.1f} MiB a trial), got {spec.cohort_size}"
        )
    return max(fits, least)


def _task(spec: SweepSpec) -> Task:
    the_task = task(spec.task, spec.data_seed)
    return the_task.in_dtype(getattr(torch, spec.dtype)) if spec.dtype else the_task


def compiles(spec: SweepSpec, workers: int) -> bool:
    """Whether cohorts compile their training; decided by the spec alone, since compiling changes the rounding."""
    if spec.resources.compile != "auto":
        return spec.resources.compile == "always"
    r = _largest(spec)
    networks = spec.trials * spec.replicates
    return work(r.network, _task(spec), r.schedule, networks) / workers > WORTH_COMPILING


def measured_cohort_size(spec: SweepSpec, workers: int, fits: int) -> int:
    """Trials of a cohort that train fastest, measured where cohorts train; every worker gets some of the trials."""
    import ray

    @ray.remote(num_cpus=spec.resources.cpus, num_gpus=spec.resources.gpus, max_retries=1)
    def measured_there() -> int:
        r, device = _largest(spec), "cuda" if spec.resources.gpus > 0 else "cpu"
        return best_population(_task(spec).to(device), r.network, r.schedule, most=fits * spec.replicates)

    networks: int = ray.get(measured_there.remote())
    return max(1, min(networks // spec.replicates, -(-spec.trials // workers), fits))


def _largest(spec: SweepSpec) -> Recipe:
    """The recipe with the largest network of the search space, and the fixed hyperparameters."""
    sizes = {name: max(spec.samples(name)) for name in ARCHITECTURE if spec.samples(name)}
    return recipe(_task(spec), spec.fixed | sizes)
