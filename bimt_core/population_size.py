"""How many networks to train at once: what fits into memory, and what is fastest."""

import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from bimt_core.hyperparameters import SharedHyperparameters
from bimt_core.networks import Network
from bimt_core.population import initialise
from bimt_core.tasks import Task
from bimt_core.train import start, train

LONG_ENOUGH_S = 0.2  # one timing
WORTH_IT = 1.05  # a larger population must be this much faster to be looked at further
NEARLY_BEST = 0.9  # the smallest population this near to the fastest is chosen


def network_bytes(task: Task, network: Network, shared: SharedHyperparameters) -> int:
    """Memory of one network in training: about eight copies of its parameters, and its activations twice.

    Args:
        task: Its data; predictions on training and test rows count where rows do not come in batches.
        network: The architecture.
        schedule: Says how many rows a step sees.
    """
    rows = shared.batch_size or len(task.inputs) + len(task.test_inputs)
    numbers = 8 * network.wiring.n_parameters + 2 * network.activation_values(rows * task.sequence_length)
    return numbers * task.dtype.itemsize


def throughput(task: Task, network: Network, shared: SharedHyperparameters, networks: int) -> float:
    """Network-steps per second of a population in training, without relocation and compiling, on the task's device."""
    one = initialise(network, [0], dtype=task.dtype, device=task.inputs.device)
    begin = start(one.select([0] * networks))
    steps = 1
    while True:
        plain = replace(shared, relocation="none", steps=1 + steps)
        snapshots = train(begin, task, [task.per_network] * networks, plain, {1, 1 + steps}, compiled=False)
        next(snapshots)
        _finish(task)
        before = time.perf_counter()
        next(snapshots)
        _finish(task)
        taken = time.perf_counter() - before
        if taken > LONG_ENOUGH_S:
            return networks * steps / taken
        steps *= 2


def _finish(task: Task) -> None:
    if task.inputs.is_cuda:
        torch.cuda.synchronize()


def best_population(task: Task, network: Network, shared: SharedHyperparameters, *, most: int) -> int:
    """The smallest population that trains nearly as fast, per network, as the fastest; measured, in seconds.

    Args:
        task: The task, on the device to train on.
        network: The architecture.
        schedule: The schedule.
        most: How many networks fit into memory, at least 1; see `network_bytes`.
    """
    measured = dict(_growing(task, network, shared, most))
    best = max(measured.values())
    return min(n for n, speed in measured.items() if speed >= NEARLY_BEST * best)


def _growing(task: Task, network: Network, shared: SharedHyperparameters, most: int) -> Iterator[tuple[int, float]]:
    """Powers of two (and `most`) with their speeds, until twice in a row a larger one was not worth it."""
    best, in_vain = 0.0, 0
    for size in sorted({min(2**k, most) for k in range(most.bit_length() + 1)}):
        speed = throughput(task, network, shared, size)
        yield size, speed
        in_vain = 0 if speed > WORTH_IT * best else in_vain + 1
        best = max(best, speed)
        if in_vain == 2:
            return
