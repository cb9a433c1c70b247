"""Number of networks to train at once: limited by memory, chosen by speed."""

import time
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
    """Estimates the bytes of one network in training: eight copies of its parameters, two of its values.

    Args:
        task: The task; without batches, predictions on all training rows count. If there are more outputs
            of validation and test rows, which are predicted in parts, these count.
        network: The architecture.
        shared: The shared hyperparameters, of which the batch size matters.
    """
    rows, measured = shared.batch_size or len(task.inputs), len(task.validation_inputs) + len(task.test_inputs)
    training = network.activation_values(rows * task.sequence_length)
    measuring = measured * task.sequence_length * len(network.wiring.outputs)
    return (8 * network.wiring.n_parameters + 2 * max(training, measuring)) * task.dtype.itemsize


def measure_throughput(task: Task, network: Network, shared: SharedHyperparameters, networks: int) -> float:
    """Measures network-steps per second of a population on the task's device, without relocation and compiling.

    Args:
        task: The task.
        network: The architecture.
        shared: The shared hyperparameters.
        networks: Size of the population.
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
    """Measures the size of the smallest population that trains nearly as many network-steps per second as the fastest.

    Powers of two (and `most`) are tried in turn until two in a row are not faster.

    Args:
        task: The task, on the device to train on.
        network: The architecture.
        shared: The shared hyperparameters.
        most: Number of networks that fit into memory, at least 1; see `network_bytes`.
    """
    speeds: dict[int, float] = {}
    best, slower = 0.0, 0
    for size in sorted({min(2**k, most) for k in range(most.bit_length() + 1)}):
        speeds[size] = measure_throughput(task, network, shared, size)
        slower = 0 if speeds[size] > MIN_SPEEDUP * best else slower + 1
        best = max(best, speeds[size])
        if slower == 2:
            break
    return min(size for size, speed in speeds.items() if speed >= NEARLY_BEST * best)
