"""The spool: records on disk that wait for MLflow.

A record is first a file in the spool, written completely or not at all, and is deleted only when MLflow has it. So a
sweep never waits for MLflow and never fails with it; the next launch writes the records that a dead driver or an
unreachable server left behind.
"""

import dataclasses
import json
import shutil
import time
from pathlib import Path

from bimt_core.files import write_atomically
from sweeps.tracking.records import Record

NUMBER = "[0-9]" * 9  # pattern of an entry's number
UNREADABLE = "unreadable"  # subfolder of entries that hold no record


class Spool:
    """Records on disk in the order of their numbers. One process adds to the folder, and one takes from it.

    Args:
        folder: The spool's folder, created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._number = max((int(path.stem) for path in self.entries()), default=0)

    def add(self, record: Record) -> None:
        """Writes a record: first its files, then the entry itself.

        Args:
            record: The record.

        Raises:
            OSError: If it cannot be written.
        """
        self._number += 1
        entry = self.folder / f"{self._number:09d}.json"
        for name, content in record.files.items():
            path = self.files_of(entry) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != "files"}
        write_atomically(entry, json.dumps(fields).encode())

    def entries(self) -> list[Path]:
        """Returns the entries that wait, oldest first."""
        return sorted(self.folder.glob(f"{NUMBER}.json"))

    def read(self, entry: Path) -> Record | None:
        """Reads an entry's record, without the content of its files.

        Args:
            entry: One of `entries`.

        Returns:
            The record; None if the entry holds none.
        """
        try:
            data = json.loads(entry.read_text())
            return Record(**data | {"points": tuple(tuple(point) for point in data["points"])})
        except (ValueError, KeyError, TypeError):
            return None

    def files_of(self, entry: Path) -> Path:
        """Returns the folder of an entry's files, which may not exist.

        Args:
            entry: One of `entries`.
        """
        return entry.with_suffix(".files")

    def remove(self, entry: Path) -> None:
        """Deletes an entry with its files.

        Args:
            entry: One of `entries`.
        """
        entry.unlink()
        shutil.rmtree(self.files_of(entry), ignore_errors=True)

    def set_aside(self, entry: Path) -> Path:
        """Moves an entry with its files to the subfolder `unreadable`.

        Args:
            entry: One of `entries`.

        Returns:
            Its new path.
        """
        folder = self.folder / UNREADABLE / f"{entry.stem}-{time.time_ns()}"
        folder.mkdir(parents=True)
        if self.files_of(entry).is_dir():
            self.files_of(entry).rename(folder / "files")
        return entry.rename(folder / entry.name)

    def remove_leftovers(self) -> None:
        """Deletes partial entries of a process that died. No process may be writing to the spool."""
        for temporary in self.folder.glob(f".{NUMBER}.json.*"):
            temporary.unlink()
        for files in self.folder.glob(f"{NUMBER}.files"):
            if not files.with_suffix(".json").exists():
                shutil.rmtree(files)
