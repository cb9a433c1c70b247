"""Interactive diagrams: one network during training, as an HTML page without network access."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from bimt_core.modularity import Communities
from bimt_core.pictures import palette
from bimt_core.pictures.canvas import Floats
from bimt_core.pictures.network.layout import CORNERS, make_layout
from bimt_core.pictures.page import render_page
from bimt_core.pictures.subject import find_communities, make_drawable, select_network
from bimt_core.pictures.text import format_name
from bimt_core.population import Population
from bimt_core.tasks import Task
from bimt_core.wiring import ACTIVE, Wiring, is_active

PER_UNIT = 1000  # weights are written as multiples of 1 / PER_UNIT; an active weight is at least one of them
MOST_LAST, MOST_IN_ALL, LEAST_EACH = 4000, 40_000, 500  # weights in a page: of the last entry, of all, of each
LARGEST = 1e12  # larger weights are clipped to it
COLOURS = ("ink", "muted", "positive", "negative", "inactive", "other", "carried", "plate")  # of the palette


def render_interactive(
    history: Sequence[Population],
    task: Task,
    network: int = 0,
    *,
    steps: Sequence[int] | None = None,
    communities: Communities | None = None,
    title: str | None = None,
) -> str:
    """Renders a connectivity diagram as an HTML page to explore: one file, no network access.

    One slider hides weak weights, another one selects the training step. Pointing at a neuron or a weight shows its
    properties. Selecting a neuron shows all paths through it, selecting a community shows its neurons and weights.
    Labels of inputs and outputs follow relocation. Everything can be done with the keyboard.

    Values are rounded to 0.001, the size above which a weight is active. Of an entry with many active weights, only the
    strongest relative to their tensor's maximum are in the page, which says so.

    Args:
        history: The same networks at one or more training steps, the earliest first.
        task: Names the inputs and outputs.
        network: Index of the network in each population.
        steps: Optimiser steps done at each entry; None numbers the entries 0, 1, ...
        communities: Of the last entry; they colour the neurons of all entries. Found when left out.
        title: Heading; None for the task's name.

    Raises:
        ValueError: If the history is empty, has not one step per entry, has different architectures, or lacks the
            network.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> render_interactive([initialise(task.network, [0])], task, steps=[0])[:15]
        '<!doctype html>'
    """
    if not history:
        raise ValueError("history must have at least one entry, got none")
    if steps is not None and len(steps) != len(history):
        raise ValueError(f"steps must be one per entry: {len(history)} entries, got {len(steps)}")
    if any(other.network != history[0].network for other in history):
        raise ValueError("all entries of a history must have the same architecture")
    singles = [select_network(population, network) for population in history]
    most = max(LEAST_EACH, MOST_IN_ALL // len(history))
    wiring, members = singles[0].network.wiring, find_communities(make_drawable(singles[-1]), communities).members
    number = {node: i for i, some in enumerate(members) for node in some}
    data = _describe_drawing(wiring, task) | {
        "title": title or task.name,
        "communities": [[number.get((n.name, place), -1) for place in range(len(n))] for n in wiring.neurons],
        "entries": [
            _describe_entry(one, step, MOST_LAST if one is singles[-1] else most)
            for one, step in zip(singles, steps or range(len(singles)), strict=True)
        ],
    }
    template = files("bimt_core.pictures.network").joinpath("interactive.html").read_text(encoding="utf-8")
    return render_page(template, data)


def _describe_drawing(wiring: Wiring, task: Task) -> dict[str, Any]:
    """Describes the common properties of all entries: rows, names and colours."""
    layout = make_layout(wiring)
    number = {neurons.name: i for i, neurons in enumerate(wiring.neurons)}
    folds = [sum(other.copy == row.copy for other in layout.rows[:i]) for i, row in enumerate(layout.rows)]
    rows = [
        {
            "name": row.name,
            "set": number[row.copy.neurons],
            "fold": fold,
            "gaps": round(row.gaps, 4),
            "depths": row.depths,
            "shift": round(row.shift, 5),
            "x": row.points[:, 0].round(4).tolist(),
            "y": row.points[:, 1].round(4).tolist(),
            "plate": row.is_plate,
        }
        for row, fold in zip(layout.rows, folds, strict=True)
    ]
    return {
        "colours": {name: getattr(palette, name.upper()) for name in COLOURS} | {"communities": palette.COMMUNITY},
        "unit": PER_UNIT,
        "corners": CORNERS.round(4).tolist(),
        "gaps": layout.gaps,
        "depths": layout.depths,
        "rows": rows,
        "inputs": layout.rows.index(layout.inputs),
        "outputs": layout.rows.index(layout.outputs),
        "carried": layout.carried,
        "sets": [{"name": n.name, "positions": n.positions.numpy().round(4).tolist()} for n in wiring.neurons],
        "tensors": [
            {
                "name": wire.tensor,
                "targets": layout.targets[wire.tensor],
                "sources": layout.sources[wire.tensor],
                "shape": wiring.shape(wire),
            }
            for wire in wiring.weights
        ],
        "distance": {"name": wiring.distance, "power": wiring.distance_power},
        "labels": {"inputs": [*map(format_name, task.input_names)], "outputs": [*map(format_name, task.output_names)]},
    }


def _describe_entry(one: Population, step: int, most: int) -> dict[str, Any]:
    """Describes labels, biases and active weights, which are gaps between their indices and rounded values."""
    wiring, finite = one.network.wiring, bool(one.flat.isfinite().all())
    flat = one.flat[0].detach().double().numpy() if finite else np.zeros(wiring.n_parameters)
    parts = np.split(flat, np.cumsum(wiring.sizes)[:-1])
    tensors = {wire.tensor: part for wire, part in zip(wiring.wires, parts, strict=True)}
    weights = [tensors[wire.tensor] for wire in wiring.weights]
    largest = [max(ACTIVE, np.abs(w).max()) for w in weights]
    strengths = [np.abs(w) / m * is_active(w) for w, m in zip(weights, largest, strict=True)]
    active = sum(int(np.count_nonzero(s)) for s in strengths)
    least = np.partition(np.concatenate(strengths), -most)[-most] if active > most else 0.0
    kept = [np.flatnonzero((s > 0) & (s >= least)) for s in strengths]  # the strongest of their tensors
    return {
        "step": int(step),
        "finite": finite,
        "inputs": one.input_labels[0].tolist(),
        "outputs": one.output_labels[0].tolist(),
        "biases": [_sum_biases(wiring, n.name, tensors) for n in wiring.neurons],
        "largest": [round(m, 4) for m in largest],
        "left_out": active - sum(map(len, kept)),
        "weights": [[np.diff(k, prepend=0).tolist(), _round(w[k])] for w, k in zip(weights, kept, strict=True)],
    }


def _sum_biases(wiring: Wiring, neurons: str, tensors: dict[str, Floats]) -> list[int] | None:
    """Sums the biases of a set, fold after fold; None if it has no bias."""
    biases = [tensors[w.tensor] for w in wiring.wires if w.is_bias and w.ends[0].neurons == neurons]
    if not biases:
        return None
    total = np.zeros(max(map(len, biases)))
    for bias in biases:
        total[-len(bias) :] += bias  # fewer folds than others are the last ones; see `make_layout`
    return _round(total)


def _round(values: Floats) -> list[int]:
    whole: list[int] = np.rint(PER_UNIT * np.clip(values, -LARGEST, LARGEST)).astype(np.int64).tolist()
    return whole
