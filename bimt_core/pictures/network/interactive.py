"""The interactive diagram: one network along its training, as a page of its own that needs nothing from outside."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from bimt_core.modularity import ACTIVE, Communities, louvain, weight_graph
from bimt_core.pictures.canvas import INK, MUTED, Floats
from bimt_core.pictures.network.labels import readable
from bimt_core.pictures.network.layout import CORNERS, layout
from bimt_core.pictures.network.legend import CARRIED, COMMUNITY, INACTIVE, NEGATIVE, OTHER, PLATE, POSITIVE
from bimt_core.population import Population
from bimt_core.tasks import Task
from bimt_core.wiring import Wiring

PER_UNIT = 1000  # weights are written as whole numbers of 1 / PER_UNIT: what is active is at least one
MOST_LAST, MOST_IN_ALL, LEAST_EACH = 4000, 40_000, 500  # weights in a page: of the last moment, of all, of each
LARGEST = 1e12  # what is larger is written as this
COLOURS = {
    "ink": INK,
    "muted": MUTED,
    "positive": POSITIVE,
    "negative": NEGATIVE,
    "inactive": INACTIVE,
    "other": OTHER,
    "carried": CARRIED,
    "plate": PLATE,
}


def render_interactive(
    moments: Sequence[Population],
    task: Task,
    network: int = 0,
    *,
    steps: Sequence[int] | None = None,
    communities: Communities | None = None,
    title: str | None = None,
) -> str:
    """The connectivity diagram as an HTML page to explore: one file, no network access, a few thousand weights.

    A slider hides weak weights, another one goes through training; pointing at a neuron or a weight tells about it;
    choosing a neuron shows all paths through it, choosing a community shows what belongs to it. Labels of inputs and
    outputs follow when relocation moves these. All of it works from the keyboard.

    Values are rounded to 0.001, the size from which a weight is active. Of a moment with many active weights only the
    strongest of each tensor's maximum are in the page, which says so.

    Args:
        moments: The same networks at points of training, the earliest first; one is enough.
        task: Names the inputs and outputs.
        network: Which network of each population.
        steps: Optimiser steps done at each moment; None numbers the moments 0, 1, ...
        communities: Of the last moment; they colour the neurons at all moments. Found when left out.
        title: Heading; None for the task's name.

    Returns:
        The page.

    Raises:
        ValueError: If there is no moment, or not one step a moment, or their architectures differ.
    """
    if not moments:
        raise ValueError("moments must be at least one, got none")
    if steps is not None and len(steps) != len(moments):
        raise ValueError(f"steps must be one a moment: {len(moments)} moments, got {len(steps)}")
    if any(other.network != moments[0].network for other in moments):
        raise ValueError("moments must be of one architecture")
    singles = [moment.select([network]).to("cpu") for moment in moments]
    most = max(LEAST_EACH, MOST_IN_ALL // len(moments))
    data = _drawing(singles[0].network.wiring, task) | {
        "title": title or task.name,
        "communities": _colouring(singles[-1], communities),
        "moments": [
            _moment(one, step, MOST_LAST if one is singles[-1] else most)
            for one, step in zip(singles, steps or range(len(singles)), strict=True)
        ],
    }
    return page("interactive.html", data)


def page(template: str, data: Any) -> str:
    """A page of this folder with its data; text in the data cannot end the script element that holds it.

    Args:
        template: Name of the file.
        data: What JSON can hold.
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    html = (files("bimt_core.pictures") / template).read_text(encoding="utf-8")
    return html.replace("__DATA__", text.replace("<", "\\u003c"), 1)


def _drawing(wiring: Wiring, task: Task) -> dict[str, Any]:
    """What is the same at all moments: where everything is drawn, and what it is called."""
    rows_of = layout(wiring)
    number = {neurons.name: i for i, neurons in enumerate(wiring.neurons)}
    folds = [sum(other.copy == row.copy for other in rows_of.rows[:i]) for i, row in enumerate(rows_of.rows)]
    rows = [
        {
            "name": row.name,
            "set": number[row.copy.neurons],
            "fold": fold,
            "gaps": round(row.gaps, 4),
            "depths": row.depths,
            "shift": round(row.shift, 5),
            "x": row.places[:, 0].round(4).tolist(),
            "y": row.places[:, 1].round(4).tolist(),
            "plate": row.is_plate,
        }
        for row, fold in zip(rows_of.rows, folds, strict=True)
    ]
    return {
        "colours": COLOURS | {"communities": COMMUNITY},
        "unit": PER_UNIT,
        "corners": CORNERS.round(4).tolist(),
        "gaps": rows_of.gaps,
        "depths": rows_of.depths,
        "rows": rows,
        "inputs": rows_of.rows.index(rows_of.inputs),
        "outputs": rows_of.rows.index(rows_of.outputs),
        "carried": rows_of.carried,
        "sets": [{"name": n.name, "positions": n.positions.numpy().round(4).tolist()} for n in wiring.neurons],
        "tensors": [
            {
                "name": wire.tensor,
                "targets": rows_of.targets[wire.tensor],
                "sources": rows_of.sources[wire.tensor],
                "shape": wiring.shape(wire),
            }
            for wire in wiring.weights
        ],
        "distance": {"name": wiring.distance, "power": wiring.distance_power},
        "labels": {"inputs": list(map(readable, task.input_names)), "outputs": list(map(readable, task.output_names))},
    }


def _colouring(one: Population, communities: Communities | None) -> list[list[int]]:
    """For each set of neurons the community at each place, the largest 0; -1 for none."""
    wiring, tensors = one.network.wiring, {name: tensor[0] for name, tensor in one.tensors.items()}
    if communities is None:
        finite = bool(one.flat.isfinite().all())
        communities = louvain(weight_graph(wiring, tensors)) if finite else Communities(0.0, ())
    of = {node: i for i, members in enumerate(communities.members) for node in members}
    return [[of.get((n.name, place), -1) for place in range(len(n))] for n in wiring.neurons]


def _moment(one: Population, step: int, most: int) -> dict[str, Any]:
    """What changes: labels, biases and active weights, these as gaps between their indices and rounded values."""
    wiring, finite = one.network.wiring, bool(one.flat.isfinite().all())
    flat = one.flat[0].detach().double().numpy() if finite else np.zeros(wiring.n_parameters)
    parts = np.split(flat, np.cumsum(wiring.sizes)[:-1])
    tensors = {wire.tensor: part for wire, part in zip(wiring.wires, parts, strict=True)}
    weights = [tensors[wire.tensor] for wire in wiring.weights]
    largest = [max(ACTIVE, np.abs(w).max()) for w in weights]
    strengths = [np.abs(w) / m * (np.abs(w) > ACTIVE) for w, m in zip(weights, largest, strict=True)]
    active = sum(int(np.count_nonzero(s)) for s in strengths)
    least = np.partition(np.concatenate(strengths), -most)[-most] if active > most else 0.0
    kept = [np.flatnonzero((s > 0) & (s >= least)) for s in strengths]  # the strongest of their tensors
    return {
        "step": int(step),
        "finite": finite,
        "inputs": one.input_labels[0].tolist(),
        "outputs": one.output_labels[0].tolist(),
        "biases": [_biases(wiring, name, tensors) for name in (n.name for n in wiring.neurons)],
        "largest": [round(m, 4) for m in largest],
        "left_out": active - sum(map(len, kept)),
        "weights": [[np.diff(k, prepend=0).tolist(), _rounded(w[k])] for w, k in zip(weights, kept, strict=True)],
    }


def _biases(wiring: Wiring, neurons: str, tensors: dict[str, Floats]) -> list[int] | None:
    """Summed biases of a set, fold after fold; None if it has none."""
    found = [tensors[w.tensor] for w in wiring.wires if w.is_bias and w.ends[0].neurons == neurons]
    if not found:
        return None
    total = np.zeros(max(map(len, found)))
    for bias in found:
        total[-len(bias) :] += bias  # fewer folds than others are the last, as `layout` has it
    return _rounded(total)


def _rounded(values: Floats) -> list[int]:
    whole: list[int] = np.rint(PER_UNIT * np.clip(values, -LARGEST, LARGEST)).astype(np.int64).tolist()
    return whole
