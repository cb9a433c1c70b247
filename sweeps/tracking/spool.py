"""The spool: what is to be recorded in MLflow, on disk until MLflow has it."""

import dataclasses
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bimt_core.population import write_atomically

ENTRY = "[0-9]" * 9  # name of an entry, as a pattern

Point = tuple[str, float, int, int]  # metric, value, step, milliseconds since 1970


@dataclass(frozen=True)
class Record:
    """Something to add to one run; the run is made when its first record arrives.

    Args:
        key: What the run is found by again.
        name: Name shown in the UI.
        parent: Key of the run it is nested under; that run's record comes first.
        start_ms: Start, in milliseconds since 1970.
        params: Hyperparameters.
        tags: Tags; `mlflow.note.content` is the description.
        points: Metric values.
        table: Artifact name to a table {"columns": [...], "data": [[...], ...]} that the UI shows as one.
        status: "FINISHED", "FAILED" or "KILLED" ends the run; "RUNNING" says that it goes on after all.
        end_ms: End, in milliseconds since 1970.
        image: Name among `files` of the PNG that is the run's picture in the charts.
        files: Artifact path to content.
    """

    key: str
    name: str
    parent: str | None = None
    start_ms: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    table: Mapping[str, Any] = field(default_factory=dict)
    status: str | None = None
    end_ms: int | None = None
    image: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


class Spool:
    """Records on disk, in order of their numbers. One process at a time adds to the folder, and one takes from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._number = max((int(path.stem) for path in self.pending()), default=0)

    def add(self, record: Record) -> None:
        """Writes a record: its files first, then the record itself, which makes it count."""
        self._number += 1
        entry = self.folder / f"{self._number:09d}.json"
        for name, content in record.files.items():
            path = entry.with_suffix(".files") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != "files"}
        write_atomically(entry, json.dumps(fields).encode())

    def pending(self) -> list[Path]:
        """Entries that wait, oldest first."""
        return sorted(self.folder.glob(f"{ENTRY}.json"))

    def read(self, entry: Path) -> Record | None:
        """The record of an entry, without the content of its files; None if the entry is no record."""
        try:
            data = json.loads(entry.read_text())
            return Record(**data | {"points": tuple(tuple(point) for point in data["points"])})
        except (ValueError, KeyError, TypeError):
            return None

    def set_aside(self, entry: Path) -> Path:
        """Moves an entry out of the way; returns where to."""
        folder = self.folder / "unreadable" / f"{entry.stem}-{time.time_ns()}"
        folder.mkdir(parents=True)
        if self.files(entry).is_dir():
            self.files(entry).rename(folder / "files")
        return entry.rename(folder / entry.name)

    def files(self, entry: Path) -> Path:
        """Folder of an entry's files; it may not exist."""
        return entry.with_suffix(".files")

    def done(self, entry: Path) -> None:
        """Forgets an entry."""
        entry.unlink()
        shutil.rmtree(self.files(entry), ignore_errors=True)

    def tidy(self) -> None:
        """Removes what a dead process left of entries it was writing or forgetting; nobody may be writing now."""
        for temporary in self.folder.glob(f".{ENTRY}.json.*"):
            temporary.unlink()
        for files in self.folder.glob(f"{ENTRY}.files"):
            if not files.with_suffix(".json").exists():
                shutil.rmtree(files)
