"""Layout: which rows of neurons a diagram has, and between which of them each tensor is drawn.

Everything is read off the wiring. Signals go upwards: a set of neurons stands above all sets that lead to it. Where
that is impossible, because what a set writes comes back to it, the set is drawn again above: a residual stream after
every part that adds to it, recurrent neurons at the next time.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bimt_core.wiring import Neurons, Wire, Wiring

FOLD_GAP, FOLD_SHIFT = 0.36, 0.34  # between rows of one level, up (of a gap) and sideways (of the room a neuron has)
SHEAR = 0.2165  # how far, of the width, the far edge of a plate is shifted: no two rows of a square grid line up

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, order=True)
class Copy:
    """A set of neurons, drawn for the first (0), second (1), ... time."""

    neurons: str
    number: int = 0


@dataclass(frozen=True)
class Link:
    """A weight tensor, drawn between two copies."""

    wire: Wire
    source: Copy
    target: Copy


@dataclass(frozen=True, eq=False)
class Row:
    """One drawing of a set of neurons: a row, or a plate for positions of more than one dimension.

    Args:
        copy: Which set, and which drawing of it.
        name: What it is called in print.
        gaps: Height above the lowest row in gaps between levels.
        depths: What its height is more than that, in depths of a plate.
        shift: How far it is moved aside, as a part of the width, so that none of several rows hides another.
        places: Where each neuron is without it: across, as a part of the width, and up, as a part of a plate's depth;
            shape (n, 2).
        is_plate: Whether its neurons have positions of more than one dimension.
    """

    copy: Copy
    name: str
    gaps: float
    depths: float
    shift: float
    places: Floats
    is_plate: bool

    @property
    def spacing(self) -> float:
        """Room that each neuron has across, as a part of the width."""
        return _spacing(self.places)


@dataclass(frozen=True, eq=False)
class Layout:
    """The rows of a diagram.

    Args:
        rows: From below; those of one set in order of its copies and folds.
        targets: For each weight tensor the rows it leads to, one a fold.
        sources: For each weight tensor the rows it comes from, one a fold.
        carried: Pairs of rows, lower and upper, that are the same neurons, once more within one time.
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
        """The rows of every set of neurons."""
        found: dict[str, list[int]] = {}
        for i, row in enumerate(self.rows):
            found.setdefault(row.copy.neurons, []).append(i)
        return found

    @property
    def gaps(self) -> float:
        """Height of all rows in gaps between levels."""
        return self.rows[-1].gaps

    @property
    def depths(self) -> float:
        """What the height is more than that, in depths of a plate."""
        return self.rows[-1].depths + self.rows[-1].is_plate


def layout(wiring: Wiring) -> Layout:
    """Where to draw the neurons of a wiring, inputs at the bottom, folds as rows of their own.

    A tensor that has fewer folds than its set has rows is drawn at the highest: what leaves attention heads comes from
    the values, not from the queries and keys below.

    Args:
        wiring: Any wiring.
    """
    links = _unrolled(wiring)
    folds = {Copy(neurons.name): 1 for neurons in wiring.neurons}
    for link in links:
        for copy, axis in zip((link.target, link.source), link.wire.ends, strict=True):
            folds[copy] = max(folds.get(copy, 1), axis.folds)
    steps = {link.source.neurons: link.source for link in reversed(links) if link.wire.is_recurrent}
    rows = _rows(wiring, _levels(wiring, links, folds), folds, steps)
    where: dict[Copy, list[int]] = {}
    for i, row in enumerate(rows):
        where.setdefault(row.copy, []).append(i)
    return Layout(
        tuple(rows),
        {link.wire.tensor: where[link.target][-link.wire.ends[0].folds :] for link in links},
        {link.wire.tensor: where[link.source][-link.wire.ends[1].folds :] for link in links},
        [
            (where[Copy(copy.neurons, copy.number - 1)][-1], above[0])
            for copy, above in where.items()
            if copy.number and copy.neurons not in steps
        ],
        inputs=rows[where[Copy(wiring.inputs.name)][0]],
        outputs=rows[max(rows_of[-1] for copy, rows_of in where.items() if copy.neurons == wiring.outputs.name)],
    )


def _unrolled(wiring: Wiring) -> list[Link]:
    """Every weight between copies of its source and target, so that no copy leads back to itself."""
    links: list[Link] = []
    latest = {neurons.name: Copy(neurons.name) for neurons in wiring.neurons}
    for wire in wiring.weights:
        target, source = (latest[end.neurons] for end in wire.ends)
        step = [link for link in links if wire.is_recurrent and link.wire.is_recurrent and link.target == target]
        if step:
            source = step[0].source
        elif source in _reached(links, target):
            target = latest[target.neurons] = Copy(target.neurons, target.number + 1)
        links.append(Link(wire, source, target))
    return links


def _reached(links: list[Link], start: Copy) -> set[Copy]:
    """All copies that one leads to, itself included."""
    reached, found = {start}, [start]
    while found:
        at = found.pop()
        new = {link.target for link in links if link.source == at} - reached
        reached |= new
        found += new
    return reached


def _levels(wiring: Wiring, links: list[Link], copies: Iterable[Copy]) -> list[list[Copy]]:
    """The copies from below, each above all that lead to it; the outputs at the top unless they lead on."""
    level = dict.fromkeys(copies, 0)
    for _ in level:
        for link in links:
            level[link.target] = max(level[link.target], level[link.source] + 1)
    outputs = max(copy for copy in level if copy.neurons == wiring.outputs.name)
    if _reached(links, outputs) == {outputs}:
        level[outputs] = max(level.values())
    order = {neurons.name: i for i, neurons in enumerate(wiring.neurons)}
    ordered = sorted(level, key=lambda copy: (order[copy.neurons], copy.number))
    return [[copy for copy in ordered if level[copy] == height] for height in sorted(set(level.values()))]


def _rows(wiring: Wiring, levels: list[list[Copy]], folds: Mapping[Copy, int], steps: Mapping[str, Copy]) -> list[Row]:
    """All rows from below; those of one level, folds or sets, close together and a little aside."""
    rows: list[Row] = []
    gaps = depths = 0.0
    for level in levels:
        parts = [(copy, fold) for copy in level for fold in range(folds[copy])]
        for i, (copy, fold) in enumerate(parts):
            places, is_plate = _places(wiring, wiring[copy.neurons])
            shift = 0.0 if is_plate else FOLD_SHIFT * (i - (len(parts) - 1) / 2) * _spacing(places)
            name = _name(wiring, copy, fold, folds[copy], steps)
            rows.append(Row(copy, name, gaps, depths, shift, places, is_plate))
            gaps += FOLD_GAP if i + 1 < len(parts) else 1.0
            depths += is_plate
    return rows


def _places(wiring: Wiring, neurons: Neurons) -> tuple[Floats, bool]:
    """`Row.places` and `Row.is_plate`. Positions outside the unit square shrink, those of all sets alike."""
    low = min(0.0, *(n.positions.min().item() for n in wiring.neurons))
    high = max(1.0, *(n.positions.max().item() for n in wiring.neurons))
    at = (neurons.positions.cpu().double().numpy() - low) / (high - low)
    if at.shape[1] == 1:
        return np.stack([at[:, 0], np.zeros(len(at))], axis=1), False
    return on_plate(at), True


def _spacing(places: Floats) -> float:
    across = np.sort(places[:, 0])
    return float(min([2 * across[0], 2 * (1 - across[-1]), *np.diff(across)]))


def on_plate(positions: Floats) -> Floats:
    """Positions in the unit square, seen from the front and above: the first row of a grid is far, as in an image.

    Args:
        positions: (row, column), or more dimensions before these, which raise; shape (n, dimensions).

    Returns:
        Across and up, both from 0 to 1, shape (n, 2).
    """
    *raised, row, column = positions.T
    return np.stack([SHEAR * (1 - row) + (1 - SHEAR) * column, np.mean([1 - row, *raised], axis=0)], axis=1)


CORNERS = on_plate(np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)]))


def _name(wiring: Wiring, copy: Copy, fold: int, folds: int, steps: Mapping[str, Copy]) -> str:
    """What a row is called: "inputs", "token 2", "hidden 1", "query 1", "hidden, t+1", ..."""
    ends = {wiring.inputs.name: "inputs", wiring.outputs.name: "outputs"}
    name = ends.get(copy.neurons, re.sub(r"(?<=[^\d\s])(?=\d+$)", " ", copy.neurons))
    if folds > 1:
        name = _fold_name(wiring, copy.neurons, name, fold, folds)
    if copy.neurons in steps:
        first = steps[copy.neurons].number
        name += {first: ", t", first + 1: ", t+1"}.get(copy.number, "")
    return name


def _fold_name(wiring: Wiring, neurons: str, name: str, fold: int, folds: int) -> str:
    is_embedded = any(not (w.is_weight or w.is_bias) and w.ends[0].neurons == neurons for w in wiring.wires)
    if neurons == wiring.inputs.name and is_embedded:
        return f"token {fold + 1}"
    if folds == 3 and neurons.startswith("heads"):
        return ("query", "key", "value")[fold] + name.removeprefix("heads")
    return f"{name} {fold + 1}/{folds}"
