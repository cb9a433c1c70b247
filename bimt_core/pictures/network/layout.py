"""Layout of a diagram: its rows of neurons, and the rows between which each tensor is drawn.

Signals go upwards: a set of neurons is above all sets that lead to it. If the outputs of a set come back to it, the
set is drawn again above: a residual stream after every part that adds to it, recurrent neurons at the next time step.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import networkx as nx
import numpy as np

from bimt_core.pictures.canvas import Floats
from bimt_core.wiring import Neurons, Wire, Wiring

FOLD_GAP, FOLD_SHIFT = 0.36, 0.34  # between rows of one level: upwards, in gaps; sideways, in neuron spacings
SHEAR = 0.2165  # shift of a plate's far edge, in widths: no two rows of a square grid coincide


class Copy(NamedTuple):
    """Name of a set of neurons, and the number of its drawing from 0."""

    neurons: str
    number: int = 0


class Link(NamedTuple):
    """A weight tensor, drawn from a lower to an upper copy."""

    wire: Wire
    source: Copy
    target: Copy


@dataclass(frozen=True, eq=False)
class Row:
    """One drawing of a set of neurons: a row, or a plate for positions of more than one dimension.

    Args:
        copy: The set and the number of its drawing.
        name: Name in print.
        gaps: Height above the lowest row, in gaps between levels.
        depths: Additional height, in depths of a plate.
        shift: Sideways shift, in widths, so that none of several rows hides another.
        positions: Positions of the neurons within the unit square, shape (n, dimensions).
    """

    copy: Copy
    name: str
    gaps: float
    depths: float
    shift: float
    positions: Floats

    @property
    def is_plate(self) -> bool:
        """True if the positions have more than one dimension."""
        return bool(self.positions.shape[1] > 1)

    @cached_property
    def points(self) -> Floats:
        """Neurons seen from the front, unshifted: across in widths, up in depths of a plate; shape (n, 2)."""
        if self.is_plate:
            return _project_to_plate(self.positions)
        return np.stack([self.positions[:, 0], np.zeros(len(self.positions))], axis=1)

    @property
    def spacing(self) -> float:
        """Horizontal space per neuron, in widths."""
        across = np.sort(self.points[:, 0])
        return float(min([2 * across[0], 2 * (1 - across[-1]), *np.diff(across)]))


@dataclass(frozen=True, eq=False)
class Layout:
    """Rows of a diagram.

    Args:
        rows: From below; those of one set in the order of its copies and folds.
        targets: Indices of the rows that each weight tensor leads to, one per fold.
        sources: Indices of the rows that each weight tensor comes from, one per fold.
        carried: Pairs of rows, lower and upper, that show the same neurons at the same time step.
        inputs: Row of the inputs, the lowest of several.
        outputs: Row of the outputs, the highest of several.
    """

    rows: tuple[Row, ...]
    targets: Mapping[str, list[int]]
    sources: Mapping[str, list[int]]
    carried: list[tuple[int, int]]
    inputs: Row
    outputs: Row

    @property
    def sets(self) -> dict[str, list[int]]:
        """Indices of the rows of every set of neurons."""
        sets: dict[str, list[int]] = {}
        for i, row in enumerate(self.rows):
            sets.setdefault(row.copy.neurons, []).append(i)
        return sets

    @property
    def gaps(self) -> float:
        """Height of all rows, in gaps between levels."""
        return self.rows[-1].gaps

    @property
    def depths(self) -> float:
        """Additional height, in depths of a plate."""
        return self.rows[-1].depths + self.rows[-1].is_plate


def make_layout(wiring: Wiring) -> Layout:
    """Arranges the neurons of a wiring in rows, inputs at the bottom, with one row per fold.

    A tensor with fewer folds than its set has rows is drawn at the highest rows: the output of attention heads comes
    from the values, not from the queries and keys below.

    Args:
        wiring: Any wiring.
    """
    links = _unroll(wiring)
    folds = {Copy(neurons.name): 1 for neurons in wiring.neurons}
    for link in links:
        for copy, axis in zip((link.target, link.source), link.wire.ends, strict=True):
            folds[copy] = max(folds.get(copy, 1), axis.folds)
    steps = {link.source.neurons: link.source for link in reversed(links) if link.wire.is_recurrent}
    rows = _make_rows(wiring, _find_levels(wiring, links), folds, steps)
    indices: dict[Copy, list[int]] = {}
    for i, row in enumerate(rows):
        indices.setdefault(row.copy, []).append(i)
    return Layout(
        tuple(rows),
        {link.wire.tensor: indices[link.target][-link.wire.ends[0].folds :] for link in links},
        {link.wire.tensor: indices[link.source][-link.wire.ends[1].folds :] for link in links},
        [
            (indices[Copy(copy.neurons, copy.number - 1)][-1], above[0])
            for copy, above in indices.items()
            if copy.number and copy.neurons not in steps
        ],
        inputs=rows[indices[Copy(wiring.inputs.name)][0]],
        outputs=rows[max(own[-1] for copy, own in indices.items() if copy.neurons == wiring.outputs.name)],
    )


def _unroll(wiring: Wiring) -> list[Link]:
    """Links every weight to copies of its source and target, such that no copy leads back to itself."""
    links: list[Link] = []
    latest = {neurons.name: Copy(neurons.name) for neurons in wiring.neurons}
    graph = nx.DiGraph(dict.fromkeys(latest.values(), ()))
    for wire in wiring.weights:
        target, source = (latest[end.neurons] for end in wire.ends)
        step = [link for link in links if wire.is_recurrent and link.wire.is_recurrent and link.target == target]
        if step:
            source = step[0].source
        elif nx.has_path(graph, target, source):
            target = latest[target.neurons] = Copy(target.neurons, target.number + 1)
        links.append(Link(wire, source, target))
        graph.add_edge(source, target)
    return links


def _find_levels(wiring: Wiring, links: list[Link]) -> list[list[Copy]]:
    """Orders the copies from below, each above all that lead to it; the outputs at the top unless they lead on."""
    graph = nx.DiGraph([(link.source, link.target) for link in links])
    graph.add_nodes_from(Copy(neurons.name) for neurons in wiring.neurons)
    level = {copy: height for height, some in enumerate(nx.topological_generations(graph)) for copy in some}
    outputs = max(copy for copy in level if copy.neurons == wiring.outputs.name)
    if not graph[outputs]:
        level[outputs] = max(level.values())
    order = {neurons.name: i for i, neurons in enumerate(wiring.neurons)}
    ordered = sorted(level, key=lambda copy: (order[copy.neurons], copy.number))
    return [[copy for copy in ordered if level[copy] == height] for height in sorted(set(level.values()))]


def _make_rows(
    wiring: Wiring, levels: list[list[Copy]], folds: Mapping[Copy, int], steps: Mapping[str, Copy]
) -> list[Row]:
    """Makes all rows from below; those of one level, folds or sets, are close together and a little shifted."""
    rows: list[Row] = []
    gaps = depths = 0.0
    for level in levels:
        parts = [(copy, fold) for copy in level for fold in range(folds[copy])]
        for i, (copy, fold) in enumerate(parts):
            name = _name(wiring, copy, fold, folds[copy], steps)
            row = Row(copy, name, gaps, depths, 0.0, _scale_positions(wiring, wiring[copy.neurons]))
            if not row.is_plate:
                row = replace(row, shift=FOLD_SHIFT * (i - (len(parts) - 1) / 2) * row.spacing)
            rows.append(row)
            gaps += FOLD_GAP if i + 1 < len(parts) else 1.0
            depths += row.is_plate
    return rows


def _scale_positions(wiring: Wiring, neurons: Neurons) -> Floats:
    """Shrinks positions into the unit square, those of all sets alike."""
    low = min(0.0, *(n.positions.min().item() for n in wiring.neurons))
    high = max(1.0, *(n.positions.max().item() for n in wiring.neurons))
    scaled: Floats = (neurons.positions.cpu().double().numpy() - low) / (high - low)
    return scaled


def _project_to_plate(positions: Floats) -> Floats:
    """Projects (row, column), or more dimensions before these, which raise, onto (across, up), from 0 to 1."""
    *raised, row, column = positions.T
    return np.stack([SHEAR * (1 - row) + (1 - SHEAR) * column, np.mean([1 - row, *raised], axis=0)], axis=1)


UNIT_SQUARE = np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)])  # corners, as (row, column)
CORNERS = _project_to_plate(UNIT_SQUARE)


def _name(wiring: Wiring, copy: Copy, fold: int, folds: int, steps: Mapping[str, Copy]) -> str:
    """Names a row: "inputs", "token 2", "hidden 1", "query 1", "hidden, t+1", ..."""
    ends = {wiring.inputs.name: "inputs", wiring.outputs.name: "outputs"}
    name = ends.get(copy.neurons, re.sub(r"(?<=[^\d\s])(?=\d+$)", " ", copy.neurons))
    is_embedded = any(not (w.is_weight or w.is_bias) and w.ends[0].neurons == copy.neurons for w in wiring.wires)
    if folds > 1 and is_embedded and copy.neurons == wiring.inputs.name:
        name = f"token {fold + 1}"
    elif folds == 3 and copy.neurons.startswith("heads"):
        name = ("query", "key", "value")[fold] + name.removeprefix("heads")
    elif folds > 1:
        name += f" {fold + 1}/{folds}"
    if copy.neurons in steps:
        first = steps[copy.neurons].number
        name += {first: ", t", first + 1: ", t+1"}.get(copy.number, "")
    return name
