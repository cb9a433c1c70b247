"""A cohort's history: its networks at points of training, in single precision, light enough to keep to the end."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from bimt_core import (
    Network,
    Population,
    Snapshot,
    concatenate,
    deserialize_population,
    load_population,
    serialize_population,
)
from bimt_core.population import write_atomically

MOST_BYTES, MOST_BYTES_EACH = 2**26, 2**22  # of the weights that a cohort keeps, and of one network's


@dataclass(frozen=True, eq=False)
class HistoryEntry:
    """A population after some steps: weights in float32 on the CPU, and labels; nothing to train on with."""

    step: int
    population: Population

    @staticmethod
    def of(snapshot: Snapshot) -> "HistoryEntry":
        """What a history keeps of a snapshot."""
        p = snapshot.population.to("cpu")
        return HistoryEntry(snapshot.step, dataclasses.replace(p, flat=p.flat.detach().float()))


def choose_history_steps(points: Sequence[int], networks: int, n_parameters: int) -> frozenset[int]:
    """Which of training's points a history keeps: all of them, or as many as fit, the last among them.

    Args:
        points: Numbers of finished steps, rising, the first 0 (the start).
        networks: Of the cohort.
        n_parameters: Of one network.
    """
    fit = min(MOST_BYTES // (4 * networks * n_parameters), MOST_BYTES_EACH // (4 * n_parameters))
    n, last = max(1, min(len(points), fit)), len(points) - 1
    return frozenset(points[last - round(i * last / max(n - 1, 1))] for i in range(n))


def serialize_history(history: Sequence[HistoryEntry], network: int) -> bytes:
    """One network's history as a safetensors file: a population with a row a moment, and the tensor `steps`.

    Args:
        history: Moments, the earliest first.
        network: Which network of the populations.
    """
    rows = concatenate([moment.population.select([network]) for moment in history])
    return serialize_population(rows, steps=torch.tensor([moment.step for moment in history]))


def deserialize_history(data: bytes, network: Network, *, source: str = "the data") -> tuple[HistoryEntry, ...]:
    """The moments that `serialize_history` wrote, each a population of one.

    Raises:
        ValueError: If the data are no history.
    """
    rows = deserialize_population(data, network, source=source)
    try:
        steps = load(data)["steps"].tolist()
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{source} holds no history: {error}") from error
    return tuple(HistoryEntry(step, rows.select([i])) for i, step in enumerate(steps))


def write_history(history: Sequence[HistoryEntry], folder: Path) -> None:
    """Writes a cohort's history into a folder, one file a moment."""
    folder.mkdir(exist_ok=True)
    for moment in history:
        write_atomically(folder / f"{moment.step:012d}.safetensors", serialize_population(moment.population))


def read_history(folder: Path, network: Network) -> tuple[HistoryEntry, ...]:
    """The history that `write_history` wrote; empty where there is none."""
    return tuple(
        HistoryEntry(int(path.stem), load_population(path, network)) for path in sorted(folder.glob("*.safetensors"))
    )
