"""MLflow: one thread writes a sweep's runs, from a spool on disk.

Whatever is to be recorded is first a file in the spool, written whole or not at all, and is deleted only when MLflow
has it. So the sweep never waits for MLflow and never fails with it, and what a dead driver or an unreachable server
left behind is written by the next launch. Writing a record twice does no harm: runs are found by their key, metrics
keep their timestamps, artifacts are overwritten. An entry that cannot be read is set aside in the spool's folder
`unreadable`, and `Tracker.problem` says so.
"""

import io
import json
import math
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sweeps.tracking.mlflow_store import KEY_TAG, client, create_database, find_run, reason, refused
from sweeps.tracking.spool import Record, Spool

if TYPE_CHECKING:
    pass

PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
PAUSE_S = 10.0  # between two rounds of writing, so that small records gather: a call costs as much as 40 values
MAX_BACKOFF_S = 30.0


class Tracker:
    """Writes records to one MLflow experiment from its own thread.

    Args:
        uri: MLflow's tracking URI.
        experiment: Name of the experiment, made when needed.
        artifacts: Where a new experiment's artifacts go; None leaves it to the server.
        note: The experiment's description.
        spool: The spool's folder.
    """

    def __init__(self, uri: str, experiment: str, artifacts: Path | None, note: str, spool: Path) -> None:
        self._target = (uri, experiment, artifacts, note)
        self._spool = Spool(spool)
        self._writer: _Writer | None = None
        self._no_answer: str | None = None
        self._lost: str | None = None
        self._wake, self._closing = threading.Event(), threading.Event()
        self._patience_s, self._answered = math.inf, time.monotonic()
        self._thread = threading.Thread(target=self._run, name="mlflow-writer", daemon=True)
        self._thread.start()

    def record(self, record: Record) -> None:
        """Puts a record into the spool; MLflow has it a little later. Where even that fails, `problem` says so."""
        try:
            self._spool.add(record)
        except OSError as error:
            self._lost = f"a record of {record.name} cannot be written to {self._spool.folder}: {error.strerror}"
        self._wake.set()

    @property
    def problem(self) -> str | None:
        """Why records wait, else why one was lost or set aside; None while all is well."""
        return self._no_answer or self._lost

    @property
    def waiting(self) -> int:
        """Records that MLflow does not have yet."""
        return len(self._spool.pending())

    def close(self, patience_s: float = 60.0) -> int:
        """Writes what waits and ends the thread. Closing again does nothing.

        Args:
            patience_s: How long to wait for an MLflow that does not answer, or not any more.

        Returns:
            Number of records that stay in the spool for the next launch.
        """
        if self._closing.is_set():
            return self.waiting
        self._patience_s, self._answered = patience_s, time.monotonic()
        self._closing.set()
        self._wake.set()
        while self._thread.is_alive() and self._patience_left_s() > 0:
            self._thread.join(self._patience_left_s())
        if self._thread.is_alive():
            self._no_answer = self._no_answer or f"MLflow has not answered for {patience_s:g} s"
        self._patience_s = -math.inf  # a thread that is still in a call ends with it
        return self.waiting

    def _patience_left_s(self) -> float:
        return self._answered + self._patience_s - time.monotonic()

    def _run(self) -> None:
        backoff = 1.0
        while self._patience_left_s() > 0:
            self._wake.clear()
            closing = self._closing.is_set()  # then this round has all there is
            try:
                self._write(self._spool.pending())
                self._no_answer, backoff = None, 1.0
                if self._closing.is_set() and not self.waiting:
                    return
                if not self.waiting:
                    self._wake.wait()
                self._closing.wait(PAUSE_S)
            except Exception as error:  # noqa: BLE001 (MLflow lets any library's error through; whatever it is, is told)
                self._no_answer = reason(error)
                if closing and refused(error):
                    return  # asking again would not help
                self._wait(backoff)
                backoff = min(2 * backoff, MAX_BACKOFF_S)

    def _wait(self, seconds: float) -> None:
        """Waits until it is time to ask again; when closing, no longer than patience lasts."""
        if not self._closing.wait(seconds):
            return
        time.sleep(max(0.0, min(seconds, PAUSE_S, self._patience_left_s())))

    def _write(self, entries: Iterable[Path]) -> None:
        """Writes entries run by run; an entry is forgotten when all of its run's are written.

        A run that MLflow refuses waits, and the others are written all the same.
        """
        refusal: Exception | None = None
        for waiting in self._of_run(entries).values():
            self._writer = self._writer or _Writer(*self._target)
            try:
                self._writer.write([(record, self._spool.files(entry)) for entry, record in waiting])
            except Exception as error:
                if not refused(error):
                    raise
                refusal = error
                continue
            for entry, _ in waiting:
                self._spool.done(entry)
            self._answered = time.monotonic()
            if self._patience_left_s() <= 0:
                return
        if refusal is not None:
            raise refusal

    def _of_run(self, entries: Iterable[Path]) -> dict[str, list[tuple[Path, Record]]]:
        """Entries by the key of their run."""
        found: dict[str, list[tuple[Path, Record]]] = {}
        for entry in entries:
            record = self._spool.read(entry)
            if record is None:
                self._lost = f"a record could not be read and is kept in {self._spool.set_aside(entry)}"
            else:
                found.setdefault(record.key, []).append((entry, record))
        return found


class _Writer:
    """The MLflow calls."""

    def __init__(self, uri: str, experiment: str, artifacts: Path | None, note: str) -> None:
        create_database(uri)
        self._client = client(uri)
        self._runs: dict[str, str] = {}
        found = self._client.get_experiment_by_name(experiment)
        if found is None:
            location = None if artifacts is None else (artifacts / experiment).as_uri()
            tags = {NOTE_TAG: note, "mlflow.experimentKind": "custom_model_development"}
            self._experiment = self._client.create_experiment(experiment, artifact_location=location, tags=tags)
        else:
            self._experiment = found.experiment_id

    def write(self, records: list[tuple[Record, Path]]) -> None:
        """Adds records of one run, each with the folder of its files."""
        from mlflow.entities import Metric, Param, RunTag

        run = self._run_id(records[0][0])
        points = [point for record, _ in records for point in record.points]
        params = {name: value for record, _ in records for name, value in record.params.items()}
        tags = {name: value for record, _ in records for name, value in record.tags.items()}
        tables = {name: table for record, _ in records for name, table in record.table.items()}
        if tables:
            tags["mlflow.loggedArtifacts"] = json.dumps([{"path": name, "type": "table"} for name in tables])
        self._client.log_batch(
            run,
            metrics=[Metric(name, value, ms, step) for name, value, step, ms in points],
            params=[Param(name, str(value)) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        self._log_tables(run, tables)
        for record, files in records:
            if files.is_dir():
                self._client.log_artifacts(run, str(files))
            if record.image is not None:
                self._log_image(run, record, files / record.image)
            if record.status == "RUNNING":
                self._client.update_run(run, record.status)
            elif record.status is not None:
                self._client.set_terminated(run, record.status, record.end_ms)

    def _run_id(self, record: Record) -> str:
        if record.key not in self._runs:
            known = find_run(self._client, self._experiment, record.key)
            self._runs[record.key] = known or self._create(record)
        return self._runs[record.key]

    def _create(self, record: Record) -> str:
        tags = {KEY_TAG: record.key}
        if record.parent is not None:
            parent = self._runs.get(record.parent) or find_run(self._client, self._experiment, record.parent)
            tags |= {PARENT_TAG: parent} if parent else {}
        run = self._client.create_run(self._experiment, record.start_ms, tags, run_name=record.name)
        return str(run.info.run_id)

    def _log_tables(self, run: str, tables: Mapping[str, Any]) -> None:
        """As MLflow's log_table writes them, but whole, so that writing again does not append."""
        with tempfile.TemporaryDirectory() as folder:
            for name, table in tables.items():
                path = Path(folder) / name
                path.write_text(json.dumps(table))
                self._client.log_artifact(run, str(path))

    def _log_image(self, run: str, record: Record, path: Path) -> None:
        """Logs a file once more as an image with a step, which MLflow shows among the charts, by its folder's name."""
        from PIL import Image

        image, key = Image.open(io.BytesIO(path.read_bytes())), str(PurePosixPath(record.image or "").with_suffix(""))
        step = max((step for _, _, step, _ in record.points), default=0)
        known = [found.path for found in self._client.list_artifacts(run, "images")]
        start = f"images/{key.replace('/', '~')}+step+{step}+"
        if any(name.startswith(start) and name.endswith(".webp") for name in known):
            return  # MLflow gives each image a name of its own, so writing again would add one
        self._client.log_image(run, image, key=key, step=step, timestamp=record.end_ms)
