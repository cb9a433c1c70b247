"""Neuron values: what the neurons of a residual stream have to do with the quantities of a task."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from bimt_core.networks import Transformer
from bimt_core.pictures.canvas import MUTED, Floats
from bimt_core.pictures.chart import chart, entitle, nothing
from bimt_core.pictures.network.legend import NEGATIVE, POSITIVE
from bimt_core.pictures.subject import BROKEN, select_network, task_title
from bimt_core.population import Population
from bimt_core.tasks import Task

MOST, ROWS, LOOKED_AT = 5, 300, 2000  # neurons shown; test rows drawn; test rows that correlations are taken of
CLEAR = 0.5  # |correlation| from which on points are coloured


def plot_neuron_values(
    population: Population,
    task: Task,
    network: int = 0,
    *,
    quantities: Mapping[str, Tensor] | None = None,
    most: int = MOST,
) -> Figure:
    """The values of residual-stream neurons at the last place against the task's quantities, as scatter plots.

    Strongest neurons (largest standard deviation times sum of |w| of what reads them) at the top; the correlation r is
    told, and points are blue where it is above 0.5 and orange-red where it is below -0.5.

    Args:
        population: Transformers trained on the task.
        task: A task of sequences.
        network: Which network of the population.
        quantities: Name to the value for each test row. When left out: x, w and w x for sequences (0, x1), (y1, 0),
            (0, x2) as of the task in_context, and else the inputs at the last place.
        most: Neurons shown.

    Raises:
        ValueError: If the network is no transformer, quantities are not one value a test row, or there is no such
            network.
    """
    one, title = (
        select_network(population, network),
        f"{task_title(task)}: neurons of the residual stream at the last place",
    )
    if not isinstance(one.network, Transformer):
        raise ValueError(f"neuron values need a transformer, task {task.name!r} has {type(one.network).__name__}")
    rows = len(task.test_inputs)
    told = quantities_of(task) if quantities is None else quantities
    for name, given in told.items():
        if tuple(given.shape) != (rows,):
            raise ValueError(f"quantity {name!r} must have one value a test row: ({rows},), got {tuple(given.shape)}")
    if not one.flat.isfinite().all():
        return nothing(title, BROKEN)
    stream = residual_stream(one, task.test_inputs[:LOOKED_AT].cpu())[0, :, -1].double()
    strength = stream.std(0, correction=0) * one.tensors["read.weight"][0].abs().sum(0)
    shown = [i for i in strength.argsort(descending=True, stable=True).tolist()[:most] if strength[i] > 0]
    if not shown:
        return nothing(title, "no neuron of the residual stream varies and is read")
    columns = len(told)
    figure, panels = chart(title, len(shown) * columns, columns=columns, height=74, bottom=22, foot=12)
    for row, neuron in enumerate(shown):
        for column, (name, given) in enumerate(told.items()):
            axes = panels[row * columns + column]
            x, y = given[:LOOKED_AT].cpu().double().numpy(), stream[:, neuron].numpy()
            r = correlation(x, y)
            colour = MUTED if abs(r) < CLEAR else POSITIVE if r > 0 else NEGATIVE
            axes.scatter(x[:ROWS], y[:ROWS], s=3, color=colour, edgecolors="none", gid=f"neuron{neuron}.{name}")
            is_last, is_first = row + 1 == len(shown), column == 0
            entitle(axes, f"r = {r:.2f}", name if is_last else "", f"neuron {neuron + 1}" if is_first else "")
    return figure


def residual_stream(one: Population, inputs: Tensor) -> Tensor:
    """The residual stream before it is read.

    It is what the same transformer says whose last layer passes the stream on as it is.

    Args:
        one: Transformers.
        inputs: Shape (rows, places, inputs).

    Returns:
        Shape (networks, rows, places, width).
    """
    assert isinstance(one.network, Transformer)
    width, n = one.network.width, len(one)
    passing = replace(one.network, outputs=width)
    unchanged = {
        "read.weight": torch.eye(width).to(one.flat).repeat(n, 1, 1),
        "read.bias": one.flat.new_zeros(n, width),
    }
    flat = passing.wiring.flatten({**one.tensors, **unchanged})
    labels = torch.arange(width, device=one.flat.device).repeat(n, 1)
    return Population(passing, flat, one.input_labels, labels).predict(inputs)


def quantities_of(task: Task) -> dict[str, Tensor]:
    """What the values of neurons are compared with; see `plot_neuron_values`."""
    inputs = task.test_inputs
    if task.name == "in_context":
        x, w = inputs[:, 2, 1], inputs[:, 1, 0] / inputs[:, 0, 1]
        return {"x": x, "w": w, "w x": w * x}
    return dict(zip(task.input_names, inputs[:, -1].unbind(1), strict=True))


def correlation(x: Floats, y: Floats) -> float:
    """Pearson's correlation; 0 where one of the two does not vary."""
    x, y = x - x.mean(), y - y.mean()
    sizes = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / sizes if sizes > 0 else 0.0
