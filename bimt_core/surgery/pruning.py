"""Pruning by size: how much of a network is needed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bimt_core.modularity import ACTIVE
from bimt_core.population import Population
from bimt_core.surgery.evaluation import finite_network, fitting, loss_and_score, scores_without, variants_without
from bimt_core.tasks import Task

N_THRESHOLDS = 24  # of a curve, from the smallest parameter to the largest
WIDEST = 1e-6  # part of the largest parameter below which a curve tells nothing apart
TRIED_TOGETHER = 64  # candidates for the smallest network


@dataclass(frozen=True)
class Pruned:
    """What is left of a network that is pruned by size.

    Args:
        network: Which network of the population.
        threshold: Parameters of at most this size are 0.
        parameters: How many parameters are not 0.
        active_weights: How many weights count as active; see `METRICS`.
        test_loss: Prediction loss on the test rows.
        score: See `Task.score`.
    """

    network: int
    threshold: float
    parameters: int
    active_weights: int
    test_loss: float
    score: float


def prune(population: Population, threshold: float) -> Population:
    """The networks with every small parameter set to exactly 0: weights, biases and embeddings, as published.

    Biases and the entries of an embedding are held to the same threshold as the weights, as they share one cost.

    Args:
        population: Networks of one architecture; they stay as they are. A parameter that is NaN stays NaN.
        threshold: Parameters p with |p| <= threshold become 0; 0 changes nothing.

    Raises:
        ValueError: If the threshold is negative or not finite.
    """
    small = population.flat.abs() <= _thresholds([threshold], population)
    return replace(population, flat=population.flat.masked_fill(small, 0.0))


def prune_curve(population: Population, task: Task, thresholds: Sequence[float] | None = None) -> list[Pruned]:
    """What every network is worth when it is pruned at rising thresholds.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        thresholds: The same for every network; None for each network's own: 0, and 24 from its smallest parameter that
            is not 0 (but at least a millionth of the largest) to its largest, in equal ratios. The last leaves nothing.

    Returns:
        One record a network and threshold: network by network, and in the order of the thresholds.

    Raises:
        ValueError: If a threshold is negative or not finite, or a network has parameters that are not finite.
    """
    networks = [finite_network(population, network) for network in range(len(population))]
    curves = []
    for network, one in enumerate(networks):
        own = default_thresholds(one.flat) if thresholds is None else thresholds
        curves += _curve(one, task, network, own)
    return curves


def default_thresholds(flat: Tensor) -> list[float]:
    """Thresholds that spread over the sizes of some parameters; see `prune_curve`.

    Args:
        flat: Finite parameters, of any shape.
    """
    sizes = flat.abs()[flat != 0].double().cpu()
    if not len(sizes):
        return [0.0]
    largest = sizes.max().item()
    smallest = max(sizes.min().item(), WIDEST * largest)
    return [0.0, *np.unique(np.geomspace(smallest, largest, N_THRESHOLDS)).tolist()]


def smallest_network(population: Population, task: Task, network: int, keep: float = 0.99) -> Population:
    """The pruned network with the fewest parameters that still does what the whole network does.

    Pruning has as many outcomes as a network has different sizes of parameters. They are tried from the one without
    any parameter upwards, until the score suffices, so of all of them the result is the one with the fewest parameters,
    even where the score falls and rises again on the way. It is chosen by its score on the test rows, so a fresh
    test needs fresh rows.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        network: Which network of the population.
        keep: Part of the whole network's score that must be kept. A score that may be negative (R^2) may fall by
            (1 - keep) of its size, which is the same rule where it is positive.

    Returns:
        That network, a population of one. `prune_curve(it, task, [0.0])` has its figures.

    Raises:
        ValueError: If `keep` is not above 0 and at most 1, there is no such network, its parameters are not finite, or
            its score is not.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep must be above 0 and at most 1, got {keep}")
    one = finite_network(population, network)
    (whole,) = scores_without(one, task, torch.zeros_like(one.flat, dtype=torch.bool))
    if not math.isfinite(whole):
        raise ValueError(f"network {network} has a score that is not finite: {whole}")
    enough, sizes = whole - (1 - keep) * abs(whole), one.flat.abs()
    for thresholds in sizes.unique().flip(0).split(min(TRIED_TOGETHER, fitting(one, task))):
        scores = scores_without(one, task, sizes <= thresholds.unsqueeze(1))
        for threshold, score in zip(thresholds.tolist(), scores, strict=True):
            if score >= enough:
                return prune(one, threshold)
    return one


def _thresholds(thresholds: Sequence[float], population: Population) -> Tensor:
    """Checked, in the parameters' type, shape (thresholds, 1)."""
    for threshold in thresholds:
        if not (threshold >= 0 and math.isfinite(threshold)):
            raise ValueError(f"a threshold must be finite and at least 0, got {threshold}")
    flat = population.flat
    return torch.tensor(thresholds, dtype=flat.dtype, device=flat.device).unsqueeze(1)


def _curve(one: Population, task: Task, network: int, thresholds: Sequence[float]) -> list[Pruned]:
    silenced = one.flat.abs() <= _thresholds(thresholds, one)
    figures = []
    for variants in variants_without(one, task, silenced):
        tensors = variants.tensors
        weights = torch.cat([tensors[wire.tensor].flatten(1) for wire in one.network.wiring.weights], dim=1)
        left, active = (variants.flat != 0).sum(1), (weights.abs() > ACTIVE).sum(1)
        figures += list(zip(*(t.tolist() for t in (left, active, *loss_and_score(variants, task))), strict=True))
    return [Pruned(network, float(at), *left) for at, left in zip(thresholds, figures, strict=True)]
