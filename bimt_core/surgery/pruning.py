"""Pruning by size: how much of a network is needed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from bimt_core.population import Population
from bimt_core.surgery.evaluation import (
    RowSet,
    finite_network,
    loss_and_score,
    scores_without,
    variants_at_once,
    variants_without,
)
from bimt_core.tasks import Task
from bimt_core.wiring import is_active

N_THRESHOLDS = 24  # of a curve, from the smallest parameter to the largest
SMALLEST_SHARE = 1e-6  # of the largest parameter; a curve has no thresholds below
CANDIDATES_AT_ONCE = 64  # for the smallest network


@dataclass(frozen=True)
class PruningResult:
    """Size and accuracy of a network pruned at one threshold.

    Args:
        network: Index in the population.
        threshold: Parameters of at most this size are 0.
        parameters: Number of parameters that are not 0.
        active_weights: Number of active weights; see `METRICS`.
        val_loss: Prediction loss on the validation rows, to choose a threshold by.
        val_score: Score on the validation rows; see `Task.score`.
        test_loss: Prediction loss on the test rows, to report for the chosen threshold.
        test_score: Score on the test rows.
    """

    network: int
    threshold: float
    parameters: int
    active_weights: int
    val_loss: float
    val_score: float
    test_loss: float
    test_score: float


def prune(population: Population, threshold: float) -> Population:
    """Sets every small parameter to exactly 0: weights, biases and embeddings, as published.

    Biases and embeddings have the same threshold as weights because they share one cost.

    Args:
        population: Networks of one architecture; not changed. A parameter that is NaN stays NaN.
        threshold: Parameters p with |p| <= threshold become 0; 0 changes nothing.

    Raises:
        ValueError: If the threshold is negative or not finite.

    Examples:
        >>> from bimt_core import MLP, initialise
        >>> prune(initialise(MLP((2, 3, 1)), seeds=[0]), 0.5).flat.count_nonzero()
        tensor(4)
    """
    small = population.flat.abs() <= _to_tensor([threshold], population)
    return replace(population, flat=population.flat.masked_fill(small, 0.0))


def prune_curve(population: Population, task: Task, thresholds: Sequence[float] | None = None) -> list[PruningResult]:
    """Evaluates every network pruned at several thresholds, network by network.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        thresholds: Thresholds for every network; None for `default_thresholds` of each network, the last of which
            prunes everything.

    Raises:
        ValueError: If a threshold is negative or not finite, or a network has parameters that are not finite.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> moons = load_task("two_moons")
        >>> len(prune_curve(initialise(moons.network, seeds=[0]), moons))
        25
    """
    networks = [finite_network(population, network) for network in range(len(population))]
    return [result for network, one in enumerate(networks) for result in _curve(one, task, network, thresholds)]


def default_thresholds(flat: Tensor) -> list[float]:
    """Spreads thresholds over the sizes of parameters: 0, and 24 in equal ratios up to the largest parameter.

    They start at the smallest parameter that is not 0, but at least at a millionth of the largest.

    Args:
        flat: Finite parameters, of any shape.
    """
    sizes = flat.abs()[flat != 0].double().cpu()
    if not len(sizes):
        return [0.0]
    largest = sizes.max().item()
    smallest = max(sizes.min().item(), SMALLEST_SHARE * largest)
    return [0.0, *np.unique(np.geomspace(smallest, largest, N_THRESHOLDS)).tolist()]


def smallest_network(population: Population, task: Task, network: int, keep: float = 0.99) -> Population:
    """Finds the pruned network with the fewest parameters that keeps the validation score, a population of one.

    Pruning has as many outcomes as a network has parameters of different sizes. They are tried from the smallest
    network upwards until the score suffices. So the result has the fewest parameters of all of them, even if the score
    falls and rises again in between. It is chosen by its score on the validation rows, and so tested by that on the
    test rows, which `prune_curve` gives.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        network: Index in the population.
        keep: Share of the whole network's validation score that must be kept, above 0 and at most 1. The score s may
            fall by (1 - keep) |s|, so that a negative R^2 is allowed.

    Raises:
        ValueError: If `keep` is out of range, there is no such network, or its parameters or its score are not finite.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> moons = load_task("two_moons")
        >>> small = smallest_network(initialise(moons.network, seeds=[0]), moons, network=0)
        >>> (curve,) = prune_curve(small, moons, [0.0])
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep must be above 0 and at most 1, got {keep}")
    one = finite_network(population, network)
    (whole,) = scores_without(one, task, torch.zeros_like(one.flat, dtype=torch.bool), "validation")
    if not math.isfinite(whole):
        raise ValueError(f"network {network} has a score that is not finite: {whole}")
    enough, sizes = whole - (1 - keep) * abs(whole), one.flat.abs()
    for thresholds in sizes.unique().flip(0).split(min(CANDIDATES_AT_ONCE, variants_at_once(one, task))):
        scores = scores_without(one, task, sizes <= thresholds.unsqueeze(1), "validation")
        for threshold, score in zip(thresholds.tolist(), scores, strict=True):
            if score >= enough:
                return prune(one, threshold)
    return one


def _to_tensor(thresholds: Sequence[float], population: Population) -> Tensor:
    """Checks thresholds and returns them in the parameters' type, shape (thresholds, 1)."""
    for threshold in thresholds:
        if not (threshold >= 0 and math.isfinite(threshold)):
            raise ValueError(f"a threshold must be finite and at least 0, got {threshold}")
    flat = population.flat
    return torch.tensor(thresholds, dtype=flat.dtype, device=flat.device).unsqueeze(1)


def _curve(one: Population, task: Task, network: int, thresholds: Sequence[float] | None) -> list[PruningResult]:
    thresholds = default_thresholds(one.flat) if thresholds is None else thresholds
    silenced = one.flat.abs() <= _to_tensor(thresholds, one)
    values = []
    for variants in variants_without(one, task, silenced):
        tensors = variants.tensors
        weights = torch.cat([tensors[wire.tensor].flatten(1) for wire in one.network.wiring.weights], dim=1)
        columns = [(variants.flat != 0).sum(1), is_active(weights).sum(1)]
        for rows in get_args(RowSet):
            columns += loss_and_score(variants, task, rows)
        values += list(zip(*(column.tolist() for column in columns), strict=True))
    return [PruningResult(network, float(at), *row) for at, row in zip(thresholds, values, strict=True)]
