"""History of a cohort: its networks at several steps of their training, in single precision, to draw."""

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
from bimt_core.files import write_atomically

MAX_BYTES, MAX_NETWORK_BYTES = 2**26, 2**22  # of the weights in a cohort's history, and in one network's


@dataclass(frozen=True, eq=False)
class HistoryEntry:
    """A population at one step: weights in float32 on the CPU and labels, which is not enough to continue training.

    Args:
        step: Finished optimiser steps.
        population: The networks.
    """

    step: int
    population: Population

    @staticmethod
    def of(snapshot: Snapshot) -> "HistoryEntry":
        """Returns the history entry of a snapshot.

        Args:
            snapshot: Snapshot of training.
        """
        p = snapshot.population.to("cpu")
        return HistoryEntry(snapshot.step, dataclasses.replace(p, flat=p.flat.detach().float()))


def choose_history_steps(points: Sequence[int], networks: int, n_parameters: int) -> frozenset[int]:
    """Chooses the steps that a history records: all of them, or as many as fit into memory, the last included.

    Args:
        points: Numbers of finished steps, rising from 0.
        networks: Number of networks of the cohort.
        n_parameters: Parameters per network.
    """
    fit = min(MAX_BYTES // (4 * networks * n_parameters), MAX_NETWORK_BYTES // (4 * n_parameters))
    n, last = max(1, min(len(points), fit)), len(points) - 1
    return frozenset(points[last - round(i * last / max(n - 1, 1))] for i in range(n))


def serialize_history(history: Sequence[HistoryEntry], network: int) -> bytes:
    """Returns the history of one network as a safetensors file: a population with a row per entry, and `steps`.

    Args:
        history: Entries, the earliest first.
        network: Index of the network in the populations.
    """
    rows = concatenate([entry.population.select([network]) for entry in history])
    return serialize_population(rows, steps=torch.tensor([entry.step for entry in history]))


def deserialize_history(data: bytes, network: Network, *, source: str = "the data") -> tuple[HistoryEntry, ...]:
    """Reads what `serialize_history` returned; every entry is a population of one network.

    Args:
        data: Content of a safetensors file.
        network: Architecture.
        source: Name of the data in an error.

    Raises:
        ValueError: If the data are not a history.
    """
    rows = deserialize_population(data, network, source=source)
    try:
        steps = load(data)["steps"].tolist()
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{source} holds no history: {error}") from error
    return tuple(HistoryEntry(step, rows.select([i])) for i, step in enumerate(steps))


def write_history(history: Sequence[HistoryEntry], folder: Path) -> None:
    """Writes a cohort's history, one file per entry.

    Args:
        history: The history.
        folder: Destination, created if needed.
    """
    folder.mkdir(exist_ok=True)
    for entry in history:
        write_atomically(folder / f"{entry.step:012d}.safetensors", serialize_population(entry.population))


def read_history(folder: Path, network: Network) -> tuple[HistoryEntry, ...]:
    """Reads what `write_history` wrote; empty where there is no folder.

    Args:
        folder: Folder of the history.
        network: Architecture.
    """
    return tuple(
        HistoryEntry(int(path.stem), load_population(path, network)) for path in sorted(folder.glob("*.safetensors"))
    )
