"""Capacity for a sweep: slots, trials per cohort, and if compiling pays."""

import os

import psutil
import torch

from bimt_core.population_size import best_population_size, network_bytes
from bimt_core.train import COMPILE_ABOVE, estimate_work
from sweeps.cluster.resources import ClusterResources, check_fits
from sweeps.errors import BadInputError
from sweeps.spec.sweep import SweepSpec

UNKNOWN_SLOTS = 64  # assumed for a cluster whose resources are not known
USABLE_MEMORY = 0.8  # part of the free memory that cohorts may fill


def count_cores() -> int:
    """Returns the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def count_slots(spec: SweepSpec, resources: ClusterResources | None = None) -> int:
    """Returns the number of cohorts that can train at once.

    Args:
        spec: The sweep.
        resources: Resources of a cluster; None for this machine.

    Raises:
        BadInputError: If not even one cohort fits.
    """
    if resources is not None:
        check_fits(spec, resources)
        return resources.count_slots(spec) or UNKNOWN_SLOTS
    cores, gpus, required = count_cores(), torch.cuda.device_count(), spec.resources
    if required.cpus > cores:
        raise BadInputError(f"resources.cpus must be at most this machine's {cores} cores, got {required.cpus}")
    if required.gpus > gpus:
        raise BadInputError(f"resources.gpus must be at most this machine's {gpus} GPUs, got {required.gpus:g}")
    slots = cores // required.cpus
    return min(slots, int(gpus / required.gpus)) if required.gpus > 0 else slots


def check_memory(spec: SweepSpec, workers: int) -> None:
    """Refuses cohorts that do not fit into this machine's memory.

    Args:
        spec: The sweep.
        workers: Cohorts at once.

    Raises:
        BadInputError: If the cohorts are too large, or not even one trial fits.
    """
    max_trials, free, trial_bytes = _max_trials(spec, workers)
    if (1 if spec.cohort_size == "auto" else spec.cohort_size) > max_trials:
        raise BadInputError(
            f"cohort_size must be at most {max_trials} to fit {workers} cohorts at once into {free / 2**30:.1f} GiB"
            f" of free memory ({trial_bytes / 2**20:.1f} MiB per trial), got {spec.cohort_size}"
        )


def should_compile(spec: SweepSpec, workers: int) -> bool:
    """Decides if cohorts compile their training, by the spec alone, since compiling changes the rounding.

    Args:
        spec: The sweep.
        workers: Cohorts at once.
    """
    if spec.resources.compile != "auto":
        return spec.resources.compile == "always"
    r = spec.recipe(spec.largest_params)
    return estimate_work(r.network, spec.load_task(), r.shared, spec.trials * spec.replicates) / workers > COMPILE_ABOVE


def measure_cohort_size(spec: SweepSpec, workers: int) -> int:
    """Measures on a worker how many trials per cohort train fastest; every worker gets some of the trials.

    Args:
        spec: The sweep.
        workers: Cohorts at once.
    """
    import ray

    @ray.remote(num_cpus=spec.resources.cpus, num_gpus=spec.resources.gpus, max_retries=1)
    def measure() -> int:
        r, device = spec.recipe(spec.largest_params), spec.device
        max_trials, _, _ = _max_trials(spec, max(1, count_cores() // spec.resources.cpus))
        most = max(max_trials, 1) * spec.replicates
        return best_population_size(spec.load_task().to(device), r.network, r.shared, most=most) // spec.replicates

    trials: int = ray.get(measure.remote())
    return max(1, min(trials, -(-spec.trials // workers)))


def _max_trials(spec: SweepSpec, cohorts: int) -> tuple[int, float, float]:
    """Returns the most trials in each of several cohorts at once on this machine, the free bytes, bytes per trial."""
    r = spec.recipe(spec.largest_params)
    trial_bytes = spec.replicates * network_bytes(spec.load_task(), r.network, r.shared)
    free = psutil.virtual_memory().available / cohorts
    if spec.resources.gpus > 0 and torch.cuda.is_available():
        free = min(spec.resources.gpus, 1.0) * torch.cuda.mem_get_info()[0]
    return int(USABLE_MEMORY * free / trial_bytes), free * cohorts, trial_bytes
