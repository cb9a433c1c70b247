"""Every figure that is tracked of a network, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bimt_core.cost import ConnectionCost, connection_cost
from bimt_core.modularity import ACTIVE, Transform, communities, louvain, null_modularity, weight_graph
from bimt_core.population import Population
from bimt_core.tasks import Task
from bimt_core.wiring import Wiring

SHUFFLED = 20  # networks behind modularity_z
Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Metric:
    """A tracked figure: what it means and which way is better (for a trade-off, towards the readable network)."""

    description: str
    direction: Direction


METRICS: dict[str, Metric] = {
    "train_loss": Metric(
        "prediction loss on the training rows; of a task trained in batches, on the first, as many as test rows",
        "minimize",
    ),
    "test_loss": Metric("prediction loss on the test rows", "minimize"),
    "score": Metric("accuracy (classes) or R^2 (values) on the test rows", "maximize"),
    "connection_cost": Metric("connection cost with the task's published weight factor and layer distance", "minimize"),
    "wiring_length": Metric("sum of |weight| x in-layer distance over all weights", "minimize"),
    "active_weights": Metric(f"number of weights above {ACTIVE:g} in size", "minimize"),
    "active_neurons": Metric("number of neurons with an active weight", "minimize"),
    "modularity": Metric("Newman's Q (Louvain) of the graph of |w| / layer maximum", "maximize"),
    "communities": Metric("number of communities behind modularity", "maximize"),
    "modularity_raw": Metric("Newman's Q (Louvain) of the graph of |w|", "maximize"),
    "communities_raw": Metric("number of communities behind modularity_raw", "maximize"),
    "modularity_newman": Metric("Newman's Q (leading eigenvectors, fine-tuned) of |w| / layer maximum", "maximize"),
    "modularity_z": Metric(
        f"how many standard deviations Q (one Louvain run) of |w| / layer maximum is above that of {SHUFFLED} networks "
        "whose weights are shuffled among the neurons in use; 0 where shuffling changes nothing",
        "maximize",
    ),
}

MODULARITY: dict[Transform, tuple[str, str]] = {
    "layer_max": ("modularity", "communities"),
    "raw": ("modularity_raw", "communities_raw"),
}


def measure(
    population: Population,
    task: Task,
    *,
    louvain_seeds: int = 10,
    transforms: Sequence[Transform] = tuple(MODULARITY),
    thorough: bool = True,
) -> dict[str, Tensor]:
    """All of `METRICS` for every network.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        louvain_seeds: Louvain runs a graph; the best partition counts. Graphs of many edges have fewer; see `louvain`.
        transforms: Graphs whose modularity is measured, which takes most of the time; the metrics of the others are
            left out.
        thorough: Whether modularity is also measured by Newman's method and against shuffled weights; otherwise
            `modularity_newman` and `modularity_z` are left out.

    Returns:
        Metric name to values, float64 on the CPU, shape (networks,). A network whose parameters are not all finite has
        NaN everywhere.
    """
    n_train = len(task.test_inputs) if task.shared.batch_size else len(task.inputs)
    inputs, targets = task.inputs[:n_train], task.targets[:n_train]
    outputs, test_outputs = population.predict(inputs), population.predict(task.test_inputs)
    finite = population.flat.isfinite().all(1)
    rows: dict[str, Tensor] = {
        "train_loss": task.loss(outputs, targets),
        "test_loss": task.loss(test_outputs, task.test_targets),
        "score": task.score(test_outputs, task.test_targets),
        **_wiring_metrics(population, task),
        **_modularity_metrics(population, finite, louvain_seeds, transforms, thorough),
    }
    return {name: rows[name].double().cpu().where(finite.cpu(), torch.nan) for name in METRICS if name in rows}


def _wiring_metrics(population: Population, task: Task) -> dict[str, Tensor]:
    wiring, flat = population.network.wiring, population.flat
    cost = ConnectionCost.of(wiring)
    factor, distance = (
        flat.new_full((1,), v) for v in (task.per_network.weight_factor, task.per_network.layer_distance)
    )
    active = _active_weights(wiring, flat)
    return {
        "connection_cost": connection_cost(flat, cost.coefficients(factor, distance)),
        "wiring_length": cost.wiring_length(flat),
        "active_weights": torch.stack([a.sum((1, 2)) for a in active.values()]).sum(0),
        "active_neurons": _active_neurons(wiring, active),
    }


def _active_weights(wiring: Wiring, flat: Tensor) -> dict[str, Tensor]:
    tensors = wiring.tensors(flat)
    return {wire.tensor: tensors[wire.tensor].abs() > ACTIVE for wire in wiring.weights}


def _active_neurons(wiring: Wiring, active: dict[str, Tensor]) -> Tensor:
    """Number of neurons at either end of an active weight, shape (networks,)."""
    touched: dict[str, Tensor] = {}
    for wire in wiring.weights:
        for axis, end in enumerate(wire.ends):
            here = active[wire.tensor].any(2 - axis).unflatten(1, (end.folds, -1)).any(1)
            touched[end.neurons] = touched[end.neurons] | here if end.neurons in touched else here
    return torch.stack([t.sum(1) for t in touched.values()]).sum(0)


def _modularity_metrics(
    population: Population, finite: Tensor, seeds: int, transforms: Sequence[Transform], thorough: bool
) -> dict[str, Tensor]:
    wiring, tensors = population.network.wiring, population.to("cpu").tensors
    names = [name for transform in transforms for name in MODULARITY[transform]]
    names += ["modularity_newman", "modularity_z"] * thorough
    values = torch.full((len(names), len(population)), torch.nan, dtype=torch.float64)
    for network in finite.nonzero().flatten().tolist():
        one, row = {name: tensor[network] for name, tensor in tensors.items()}, []
        for transform in transforms:
            found = louvain(weight_graph(wiring, one, transform), seeds=seeds)
            row += [found.modularity, len(found)]
        if thorough:
            newman = communities(weight_graph(wiring, one), "newman")
            row += [newman.modularity, null_modularity(wiring, one, among="used", n=SHUFFLED).z]
        values[:, network] = torch.tensor(row, dtype=torch.float64)
    return dict(zip(names, values, strict=True))
