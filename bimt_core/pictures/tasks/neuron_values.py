"""Neuron values: the neurons of a residual stream against the quantities of a task."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from bimt_core.networks import Transformer
from bimt_core.pictures.canvas import Floats
from bimt_core.pictures.chart import create_chart, create_message, set_titles
from bimt_core.pictures.palette import MUTED, NEGATIVE, POSITIVE
from bimt_core.pictures.subject import BROKEN, select_network, task_title
from bimt_core.population import Population
from bimt_core.tasks import Task

MOST, DRAWN, ROWS = 5, 300, 2000  # neurons; test rows drawn; test rows used for correlations
CLEAR = 0.5  # |correlation| above which points are coloured


def plot_neuron_values(
    population: Population,
    task: Task,
    network: int = 0,
    *,
    quantities: Mapping[str, Tensor] | None = None,
    most: int = MOST,
) -> Figure:
    """Plots residual-stream neurons at the last sequence index against the task's quantities, as scatter plots.

    The strongest neurons (standard deviation times sum of |w| of the weights that read them) are at the top. Titles
    show the correlation r. Points are blue where r is above 0.5 and orange-red where it is below -0.5.

    Args:
        population: Transformers trained on the task.
        task: A task of sequences.
        network: Index of the network in the population.
        quantities: Name to the value for each test row. When left out: x, w and w x for the task in_context, whose
            sequences are (0, x1), (y1, 0), (0, x2), and for others the inputs at the last sequence index.
        most: Number of neurons shown.

    Raises:
        ValueError: If the network is no transformer, a quantity has not one value per test row, or there is no such
            network.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("in_context")
        >>> figure = plot_neuron_values(initialise(task.network, [0], dtype=task.dtype), task)
    """
    one, title = select_network(population, network), f"{task_title(task)}: neurons of the residual stream, last index"
    if not isinstance(one.network, Transformer):
        raise ValueError(f"neuron values need a transformer, task {task.name!r} has {type(one.network).__name__}")
    rows = len(task.test_inputs)
    quantities = _task_quantities(task) if quantities is None else quantities
    for name, values in quantities.items():
        if tuple(values.shape) != (rows,):
            raise ValueError(f"quantity {name!r} must have one value per test row ({rows}), got {tuple(values.shape)}")
    if not one.flat.isfinite().all():
        return create_message(title, BROKEN)
    stream = _residual_stream(one, task.test_inputs[:ROWS].cpu())[0, :, -1].double()
    strength = stream.std(0, correction=0) * one.tensors["read.weight"][0].abs().sum(0)
    shown = [i for i in strength.argsort(descending=True, stable=True).tolist()[:most] if strength[i] > 0]
    if not shown:
        return create_message(title, "no neuron of the residual stream varies and is read")
    columns = len(quantities)
    figure, panels = create_chart(title, len(shown) * columns, columns=columns, height=74, bottom=22, foot=12)
    for axes, (neuron, (name, values)) in zip(panels, product(shown, quantities.items()), strict=True):
        x, y = values[:ROWS].cpu().double().numpy(), stream[:, neuron].numpy()
        r = _correlation(x, y)
        colour = MUTED if abs(r) < CLEAR else POSITIVE if r > 0 else NEGATIVE
        axes.scatter(x[:DRAWN], y[:DRAWN], s=3, color=colour, edgecolors="none", gid=f"neuron{neuron}.{name}")
        is_last, is_first = neuron == shown[-1], name == next(iter(quantities))
        set_titles(axes, f"r = {r:.2f}", name if is_last else "", f"neuron {neuron + 1}" if is_first else "")
    return figure


def _residual_stream(one: Population, inputs: Tensor) -> Tensor:
    """Computes the stream as the output with an identity readout, shape (networks, rows, sequence, width)."""
    assert isinstance(one.network, Transformer)
    width, n = one.network.width, len(one)
    network = replace(one.network, outputs=width)
    identity = {"read.weight": torch.eye(width).to(one.flat).repeat(n, 1, 1), "read.bias": one.flat.new_zeros(n, width)}
    flat = network.wiring.flatten({**one.tensors, **identity})
    labels = torch.arange(width, device=one.flat.device).repeat(n, 1)
    return Population(network, flat, one.input_labels, labels).predict(inputs)


def _task_quantities(task: Task) -> dict[str, Tensor]:
    inputs = task.test_inputs
    if task.name == "in_context":
        x, w = inputs[:, 2, 1], inputs[:, 1, 0] / inputs[:, 0, 1]
        return {"x": x, "w": w, "w x": w * x}
    return dict(zip(task.input_names, inputs[:, -1].unbind(1), strict=True))


def _correlation(x: Floats, y: Floats) -> float:
    """Computes Pearson's correlation; 0 if one of the two does not vary."""
    x, y = x - x.mean(), y - y.mean()
    sizes = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / sizes if sizes > 0 else 0.0
