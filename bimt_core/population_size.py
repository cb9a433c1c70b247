"""Number of networks to train at once: limited by memory, chosen by speed."""

import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from bimt_core.hyperparameters import SharedHyperparameters
from bimt_core.networks import Network
from bimt_core.population import initialise
from bimt_core.tasks import Task
from bimt_core.train import start, train

MIN_TIMING_S = 0.2
MIN_SPEEDUP = 1.05  # populations grow while the larger one is this many times as fast
NEARLY_BEST = 0.9  # the smallest population with this fraction of the best speed is chosen


def network_bytes(task: Task, network: Network, shared: SharedHyperparameters) -> int:
    """Estimates the memory of one network in training: eight copies of its parameters, two of its activations.

    Args:
        task: The task; without batches, predictions on all training and test rows count.
        network: The architecture.
        shared: The shared hyperparameters, of which the batch size matters.

    Returns:
        Bytes.
    """
    rows = shared.batch_size or len(task.inputs) + len(task.test_inputs)
    values = 8 * network.wiring.n_parameters + 2 * network.activation_values(rows * task.sequence_length)
    return values * task.dtype.itemsize


def measure_throughput(task: Task, network: Network, shared: SharedHyperparameters, networks: int) -> float:
    """Measures the training speed of a population on the task's device, without relocation and compiling.

    Args:
        task: The task.
        network: The architecture.
        shared: The shared hyperparameters.
        networks: Size of the population.

    Returns:
        Network-steps per second.
    """
    one = initialise(network, [0], dtype=task.dtype, device=task.inputs.device)
    begin = start(one.select([0] * networks))
    steps = 1
    while True:
        plain = replace(shared, relocation="none", steps=1 + steps)
        snapshots = train(begin, task, [task.per_network] * networks, plain, {1, 1 + steps}, compiled=False)
        next(snapshots)
        _synchronise(task)
        before = time.perf_counter()
        next(snapshots)
        _synchronise(task)
        elapsed = time.perf_counter() - before
        if elapsed > MIN_TIMING_S:
            return networks * steps / elapsed
        steps *= 2


def _synchronise(task: Task) -> None:
    if task.inputs.is_cuda:
        torch.cuda.synchronize()


def best_population_size(task: Task, network: Network, shared: SharedHyperparameters, *, most: int) -> int:
    """Measures the smallest population that trains nearly as many network-steps per second as the fastest.

    Args:
        task: The task, on the device to train on.
        network: The architecture.
        shared: The shared hyperparameters.
        most: Number of networks that fit into memory, at least 1; see `network_bytes`.

    Returns:
        Number of networks.
    """
    speeds = dict(_measure_speeds(task, network, shared, most))
    best = max(speeds.values())
    return min(n for n, speed in speeds.items() if speed >= NEARLY_BEST * best)


def _measure_speeds(
    task: Task, network: Network, shared: SharedHyperparameters, most: int
) -> Iterator[tuple[int, float]]:
    """Powers of two (and `most`) with their speeds, until two in a row are not faster."""
    best, slower = 0.0, 0
    for size in sorted({min(2**k, most) for k in range(most.bit_length() + 1)}):
        speed = measure_throughput(task, network, shared, size)
        yield size, speed
        slower = 0 if speed > MIN_SPEEDUP * best else slower + 1
        best = max(best, speed)
        if slower == 2:
            return
