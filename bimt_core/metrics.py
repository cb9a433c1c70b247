"""Metrics that are measured for every network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bimt_core.cost import ConnectionCost, published_cost
from bimt_core.modularity import Transform, communities, louvain, null_modularity, weight_graph
from bimt_core.population import Population
from bimt_core.tasks import Task
from bimt_core.wiring import ACTIVE, is_active

N_SHUFFLED = 20  # shuffled networks behind modularity_z
Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Metric:
    """Meaning of a metric and its better direction.

    Args:
        description: One line.
        direction: The better direction; for a trade-off, the direction of the more readable network.
    """

    description: str
    direction: Direction


METRICS: dict[str, Metric] = {
    "train_loss": Metric(
        "prediction loss on the training rows; of a task trained in batches, on the first, as many as validation rows",
        "minimize",
    ),
    "val_loss": Metric("prediction loss on the validation rows", "minimize"),
    "val_score": Metric("accuracy (classes) or R^2 (values) on the validation rows", "maximize"),
    "test_loss": Metric("prediction loss on the test rows", "minimize"),
    "test_score": Metric("accuracy (classes) or R^2 (values) on the test rows", "maximize"),
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
        f"standard deviations by which Q (one Louvain run) of |w| / layer maximum exceeds that of {N_SHUFFLED} copies "
        "with weights shuffled among the active neurons; 0 where shuffling changes nothing",
        "maximize",
    ),
}

TEST_COUNTERPARTS = {"val_loss": "test_loss", "val_score": "test_score"}  # by the metric that chooses: one that judges

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
    """Measures all of `METRICS` for every network.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        louvain_seeds: Louvain runs per graph; the best partition counts. Large graphs get fewer; see `louvain`.
        transforms: Weight graphs whose modularity is measured, which takes most of the time. The metrics of the other
            graphs are left out.
        thorough: If False, `modularity_newman` and `modularity_z` are left out.

    Returns:
        Metric name to values, float64 on the CPU, shape (networks,). All values are NaN for a network with parameters
        that are not finite.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> measure(initialise(task.network, seeds=[0, 1]), task, thorough=False)["active_neurons"]
        tensor([44., 44.], dtype=torch.float64)
    """
    n_train = len(task.validation_inputs) if task.shared.batch_size else len(task.inputs)
    inputs, targets = task.inputs[:n_train], task.targets[:n_train]
    outputs, validation_outputs = population.predict(inputs), population.predict(task.validation_inputs)
    test_outputs = population.predict(task.test_inputs)
    finite = population.flat.isfinite().all(1)
    values: dict[str, Tensor] = {
        "train_loss": task.loss(outputs, targets),
        "val_loss": task.loss(validation_outputs, task.validation_targets),
        "val_score": task.score(validation_outputs, task.validation_targets),
        "test_loss": task.loss(test_outputs, task.test_targets),
        "test_score": task.score(test_outputs, task.test_targets),
        **_wiring_metrics(population, task),
        **_modularity_metrics(population, finite, louvain_seeds, transforms, thorough),
    }
    return {name: values[name].double().cpu().where(finite.cpu(), torch.nan) for name in METRICS if name in values}


def _wiring_metrics(population: Population, task: Task) -> dict[str, Tensor]:
    wiring, flat, tensors = population.network.wiring, population.flat, population.tensors
    active = [is_active(tensors[wire.tensor]) for wire in wiring.weights]
    neurons = {n.name: torch.zeros(len(flat), len(n), dtype=torch.bool, device=flat.device) for n in wiring.neurons}
    for wire, mask in zip(wiring.weights, active, strict=True):
        for axis, end in enumerate(wire.ends):
            neurons[end.neurons] |= mask.any(2 - axis).unflatten(1, (end.folds, -1)).any(1)
    return {
        "connection_cost": published_cost(wiring, flat, task.per_network),
        "wiring_length": ConnectionCost.from_wiring(wiring).wiring_length(flat),
        "active_weights": torch.stack([mask.sum((1, 2)) for mask in active]).sum(0),
        "active_neurons": torch.stack([mask.sum(1) for mask in neurons.values()]).sum(0),
    }


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
            partition = louvain(weight_graph(wiring, one, transform), seeds=seeds)
            row += [partition.modularity, len(partition)]
        if thorough:
            newman = communities(weight_graph(wiring, one), "newman")
            row += [newman.modularity, null_modularity(wiring, one, among="used", n=N_SHUFFLED).z]
        values[:, network] = torch.tensor(row, dtype=torch.float64)
    return dict(zip(names, values, strict=True))
