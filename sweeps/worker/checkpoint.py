"""A cohort's checkpoints: what training goes on from, in files; and those that a launch left behind.

A checkpoint says which trials it holds. So one that was left by a launch that was stopped, or died, serves the next
launch even where only some of its trials go on, or in another order.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from pyarrow.fs import FileSelector, FileSystem, FileType

from bimt_core import Moments, Network, Snapshot, load_population, serialize_population
from bimt_core.population import write_atomically
from sweeps.store import join_path
from sweeps.worker.history import HistoryEntry, read_history, write_history

MEMBERS = "members.json"
STATES = ("weights", "first", "second")
FILES = frozenset({*(f"{name}.safetensors" for name in STATES), "step.txt", MEMBERS})


@dataclasses.dataclass(frozen=True)
class SavedCheckpoint:
    """Trials in a checkpoint that a cohort left behind.

    Args:
        uri: Where it is.
        step: How many steps they were trained.
        members: Numbers of the trials.
    """

    uri: str
    step: int
    members: tuple[int, ...]


def write_checkpoint(folder: Path, snapshot: Snapshot, history: Sequence[HistoryEntry], members: Sequence[int]) -> None:
    """Writes a snapshot, its history and the numbers of its trials.

    A snapshot is two populations, the weights and the moments side by side, and the step.
    """
    p, moments = snapshot.population, snapshot.moments
    for name, flat in zip(STATES, (p.flat, moments.first, moments.second), strict=True):
        write_atomically(folder / f"{name}.safetensors", serialize_population(dataclasses.replace(p, flat=flat)))
    write_history(history, folder / "history")
    write_atomically(folder / "step.txt", str(snapshot.step).encode())
    write_atomically(folder / MEMBERS, json.dumps(list(members)).encode())


def read_checkpoint(
    folder: Path, network: Network, device: str = "cpu", members: Sequence[int] | None = None
) -> tuple[Snapshot, tuple[HistoryEntry, ...]]:
    """The snapshot and the history that `write_checkpoint` wrote.

    Args:
        folder: Where they are.
        network: Of the cohort.
        device: Where to train.
        members: Numbers of the trials to take, in this order; None for all of them.
    """
    held = json.loads((folder / MEMBERS).read_text())
    weights, first, second = (load_population(folder / f"{name}.safetensors", network) for name in STATES)
    rows = _rows(held, members if members is not None else held, len(weights))
    snapshot = Snapshot(
        int((folder / "step.txt").read_text()),
        weights.select(rows).to(device),
        Moments(first.flat[rows].to(device), second.flat[rows].to(device)),
    )
    history = read_history(folder / "history", network)
    return snapshot, tuple(HistoryEntry(moment.step, moment.population.select(rows)) for moment in history)


def find_checkpoints(uri: str) -> list[SavedCheckpoint]:
    """The newest whole checkpoint of every cohort under a folder, Ray Tune's of any number of launches.

    Args:
        uri: A folder, or the address of one on S3 or GCS (what pyarrow reads).

    Raises:
        OSError: If it cannot be read.
    """
    files, root = FileSystem.from_uri(uri)
    newest: dict[str, tuple[str, str]] = {}
    names: dict[str, set[str]] = {}
    for found in files.get_file_info(FileSelector(root, allow_not_found=True, recursive=True)):
        if found.type == FileType.File:
            folder, _, name = found.path.rpartition("/")
            names.setdefault(folder, set()).add(name)
    for folder, held in names.items():
        cohort, _, checkpoint = folder.rpartition("/")
        if held >= FILES and checkpoint > newest.get(cohort, ("", ""))[0]:
            newest[cohort] = checkpoint, folder
    start = len(root.rstrip("/")) + 1
    return [_read_left(files, folder, join_path(uri, folder[start:])) for _, folder in sorted(newest.values())]


def delete_folder(uri: str) -> None:
    """Deletes a folder of checkpoints; does nothing where there is none."""
    files, path = FileSystem.from_uri(uri)
    if files.get_file_info(path).type == FileType.Directory:
        files.delete_dir(path)


def _read_left(files: FileSystem, folder: str, uri: str) -> SavedCheckpoint:
    with files.open_input_file(f"{folder}/step.txt") as step, files.open_input_file(f"{folder}/{MEMBERS}") as members:
        return SavedCheckpoint(uri, int(step.read()), tuple(json.loads(members.read())))


def _rows(held: Sequence[int], wanted: Sequence[int], networks: int) -> list[int]:
    each = networks // len(held)
    return [held.index(number) * each + replicate for number in wanted for replicate in range(each)]
