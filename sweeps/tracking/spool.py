"""The spool: records on disk that wait for MLflow.

A record is first an entry of the spool, written completely or not at all, and is deleted only when MLflow has it. So a
sweep never waits for MLflow and never fails with it; the next launch writes the records that a dead driver or an
unreachable server left behind.
"""

import dataclasses
import json
import shutil
import time
from pathlib import Path

from bimt_core.files import write_atomically
from sweeps.tracking.record import Record

NUMBER = "[0-9]" * 9  # pattern of an entry's number


@dataclasses.dataclass(frozen=True)
class Entry:
    """One entry of a spool.

    Args:
        path: JSON file of the record without its files.
    """

    path: Path

    @property
    def files(self) -> Path:
        """Folder of the record's files, which may not exist."""
        return self.path.with_suffix(".files")

    def read(self) -> Record | None:
        """Reads the record, without the content of its files; None if the entry holds no record."""
        try:
            data = json.loads(self.path.read_text())
            return Record(**data | {"points": tuple(tuple(point) for point in data["points"])})
        except (ValueError, KeyError, TypeError):
            return None

    def remove(self) -> None:
        """Deletes the entry with its files."""
        self.path.unlink()
        shutil.rmtree(self.files, ignore_errors=True)

    def set_aside(self) -> Path:
        """Moves the entry with its files to the spool's subfolder `unreadable`; returns its new path."""
        folder = self.path.parent / "unreadable" / f"{self.path.stem}-{time.time_ns()}"
        folder.mkdir(parents=True)
        if self.files.is_dir():
            self.files.rename(folder / "files")
        return self.path.rename(folder / self.path.name)


class Spool:
    """Entries in the order of their numbers. One process adds to the folder, and one takes from it.

    Args:
        folder: The spool's folder, created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._number = max((int(entry.path.stem) for entry in self.entries()), default=0)

    def add(self, record: Record) -> None:
        """Writes a record: first its files, then the entry itself.

        Args:
            record: The record.

        Raises:
            OSError: If it cannot be written.
        """
        self._number += 1
        entry = Entry(self.folder / f"{self._number:09d}.json")
        for name, content in record.files.items():
            path = entry.files / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != "files"}
        write_atomically(entry.path, json.dumps(fields).encode())

    def entries(self) -> list[Entry]:
        """Returns the entries that wait, oldest first."""
        return [Entry(path) for path in sorted(self.folder.glob(f"{NUMBER}.json"))]

    def remove_leftovers(self) -> None:
        """Deletes partial entries of a process that died. No process may be writing to the spool."""
        for temporary in self.folder.glob(f".{NUMBER}.json.*"):
            temporary.unlink()
        for files in self.folder.glob(f"{NUMBER}.files"):
            if not files.with_suffix(".json").exists():
                shutil.rmtree(files)
