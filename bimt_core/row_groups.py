"""Metrics without some of the rows, for the error that a finite number of rows causes."""

import torch
from torch import Tensor

from bimt_core.population import Population
from bimt_core.tasks import Task


def measure_leaving_out(population: Population, task: Task, n_groups: int = 20) -> dict[str, Tensor]:
    """Measures loss and score on all rows but those of one group, for each group of rows in turn.

    Row i is in group i mod `n_groups`. If m_g is a metric without group g and m its mean over G groups, the
    delete-a-group jackknife estimates the variance of the metric as (G - 1) / G times the sum over g of (m_g - m)^2.

    Args:
        population: Networks trained on the task.
        task: The task, on the population's device.
        n_groups: Number of groups, at least 2; as many as rows if there are fewer rows.

    Returns:
        For val_loss, val_score, test_loss and test_score, values without each group, float64 on the CPU, shape
        (groups, networks). All values are NaN for a network with parameters that are not finite.

    Raises:
        ValueError: If there are fewer than 2 groups or rows.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> measure_leaving_out(initialise(task.network, seeds=[0, 1, 2]), task)["test_loss"].shape
        torch.Size([20, 3])
    """
    values: dict[str, Tensor] = {}
    for prefix, inputs, targets in (
        ("val", task.validation_inputs, task.validation_targets),
        ("test", task.test_inputs, task.test_targets),
    ):
        if min(n_groups, len(inputs)) < 2:
            raise ValueError(f"n_groups and numbers of rows must be at least 2, got {n_groups} and {len(inputs)}")
        outputs, group = population.predict(inputs), torch.arange(len(inputs), device=inputs.device) % n_groups
        kept = [group != number for number in range(min(n_groups, len(inputs)))]
        values[f"{prefix}_loss"] = torch.stack([task.loss(outputs[:, rows], targets[rows]) for rows in kept])
        values[f"{prefix}_score"] = torch.stack([task.score(outputs[:, rows], targets[rows]) for rows in kept])
    finite = population.flat.isfinite().all(1).cpu()
    return {name: value.double().cpu().where(finite, torch.nan) for name, value in values.items()}
