"""Checkpoints of cohorts: files that training continues from, also in a later launch.

A checkpoint names the trials it holds. So a checkpoint of a launch that was stopped, or died, serves the next launch
even where only some of its trials continue, or continue in another order.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyarrow.fs import FileSelector, FileSystem, FileType

from bimt_core import Moments, Network, Snapshot, load_population, serialize_population
from bimt_core.files import write_atomically
from sweeps.spec.cohort import SavedCheckpoint
from sweeps.store import join_path
from sweeps.worker.history import HistoryEntry, read_history, write_history

MEMBERS = "members.json"
STATES = ("weights", "first", "second")
FILES = frozenset({*(f"{name}.safetensors" for name in STATES), "step.txt", MEMBERS})


def write_checkpoint(
    folder: Path, snapshot: Snapshot, history: Sequence[HistoryEntry], members: Mapping[int, int]
) -> None:
    """Writes a checkpoint: weights and moments as populations, the step, the history and the trials' numbers.

    Args:
        folder: Destination.
        snapshot: State of training.
        history: History of the cohort.
        members: Number of networks of each trial, by its number, in the order of the population.
    """
    p, moments = snapshot.population, snapshot.moments
    for name, flat in zip(STATES, (p.flat, moments.first, moments.second), strict=True):
        write_atomically(folder / f"{name}.safetensors", serialize_population(dataclasses.replace(p, flat=flat)))
    write_history(history, folder / "history")
    write_atomically(folder / "step.txt", str(snapshot.step).encode())
    write_atomically(folder / MEMBERS, json.dumps(list(members.items())).encode())


def read_checkpoint(
    folder: Path, network: Network, device: str = "cpu", members: Sequence[int] | None = None
) -> tuple[Snapshot, tuple[HistoryEntry, ...]]:
    """Reads the snapshot and the history of some trials from a checkpoint that `write_checkpoint` wrote.

    Args:
        folder: Folder of the checkpoint.
        network: Architecture of the cohort.
        device: Device to train on.
        members: Numbers of the trials, in the order to return; None for all of them.
    """
    stored = json.loads((folder / MEMBERS).read_text())
    weights, first, second = (load_population(folder / f"{name}.safetensors", network) for name in STATES)
    rows = _find_rows(stored, members)
    snapshot = Snapshot(
        int((folder / "step.txt").read_text()),
        weights.select(rows).to(device),
        Moments(first.flat[rows].to(device), second.flat[rows].to(device)),
    )
    history = read_history(folder / "history", network)
    return snapshot, tuple(HistoryEntry(entry.step, entry.population.select(rows)) for entry in history)


def find_checkpoints(uri: str) -> list[SavedCheckpoint]:
    """Finds the latest complete checkpoint of every cohort in the Ray Tune folders of any number of launches.

    Args:
        uri: Folder, or address of one on S3 or GCS (in pyarrow's form).

    Raises:
        OSError: If it cannot be read.
    """
    files, root = FileSystem.from_uri(uri)
    latest: dict[str, tuple[str, str]] = {}
    names: dict[str, set[str]] = {}
    for info in files.get_file_info(FileSelector(root, allow_not_found=True, recursive=True)):
        if info.type == FileType.File:
            folder, _, name = info.path.rpartition("/")
            names.setdefault(folder, set()).add(name)
    for folder, present in names.items():
        cohort, _, checkpoint = folder.rpartition("/")
        if present >= FILES and checkpoint > latest.get(cohort, ("", ""))[0]:
            latest[cohort] = checkpoint, folder
    start = len(root.rstrip("/")) + 1
    return [_read_saved(files, folder, join_path(uri, folder[start:])) for _, folder in sorted(latest.values())]


def delete_folder(uri: str) -> None:
    """Deletes a folder of checkpoints, if it exists.

    Args:
        uri: Folder, or address of one on S3 or GCS.
    """
    files, path = FileSystem.from_uri(uri)
    if files.get_file_info(path).type == FileType.Directory:
        files.delete_dir(path)


def _read_saved(files: FileSystem, folder: str, uri: str) -> SavedCheckpoint:
    with files.open_input_file(f"{folder}/step.txt") as step, files.open_input_file(f"{folder}/{MEMBERS}") as members:
        return SavedCheckpoint(uri, int(step.read()), tuple(number for number, _ in json.loads(members.read())))


def _find_rows(stored: Sequence[tuple[int, int]], wanted: Sequence[int] | None) -> list[int]:
    """Rows of the wanted trials in a population that holds so many networks of each trial."""
    rows: dict[int, range] = {}
    end = 0
    for number, networks in stored:
        rows[number] = range(end, end := end + networks)
    return [row for number in (rows if wanted is None else wanted) for row in rows[number]]
