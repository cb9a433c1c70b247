"""MLflow: one thread writes a sweep's runs, from a spool on disk.

Whatever is to be recorded is first a file in the spool, written whole or not at all, and is deleted only when MLflow
has it. So the sweep never waits for MLflow and never fails with it, and what a dead driver or an unreachable server
left behind is written by the next launch. Writing a record twice does no harm: runs are found by their key, metrics
keep their timestamps, artifacts are overwritten. An entry that cannot be read is set aside in the spool's folder
`unreadable`, and `Tracker.problem` says so.
"""

import dataclasses
import io
import json
import logging
import math
import os
import shutil
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from bimt_core.population import write_atomically
from sweeps.errors import StoreError

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY_TAG = "bimt.key"
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
PAUSE_S = 2.0  # between two rounds of writing, so that small records gather
MAX_BACKOFF_S = 30.0
ENTRY = "[0-9]" * 9  # name of a spool's entry, as a pattern

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
        status: "FINISHED", "FAILED" or "KILLED" ends the run.
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
    """Records on disk, in order of their numbers. One process at a time writes to the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._remove_halves()
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

    def _remove_halves(self) -> None:
        """Removes what a dead process left of entries it was writing or forgetting."""
        for temporary in self.folder.glob(f".{ENTRY}.json.*"):
            temporary.unlink()
        for files in self.folder.glob(f"{ENTRY}.files"):
            if not files.with_suffix(".json").exists():
                shutil.rmtree(files)


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
            try:
                self._write(self._spool.pending())
                self._no_answer, backoff = None, 1.0
                if self._closing.is_set() and not self.waiting:
                    return
                if not self.waiting:
                    self._wake.wait()
                self._closing.wait(PAUSE_S)
            except Exception as error:  # noqa: BLE001 (MLflow lets any library's error through; whatever it is, is told)
                self._no_answer = " ".join(f"{type(error).__name__}: {error}".split())[:300]
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
            if record.status is not None:
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


def client(uri: str) -> "MlflowClient":
    """An MLflow client that tells of a dead server soon, writes no progress and calls nobody."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow
    from mlflow.store.db import utils

    utils.MAX_RETRY_COUNT = 3  # the 10 of a database that does not open take 100 s
    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow.MlflowClient(tracking_uri=uri)


def refused(error: Exception) -> bool:
    """Whether MLflow answered, and would answer the same way again."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.get_http_status_code() == 400


def create_database(uri: str) -> None:
    """Makes the SQLite database of a `sqlite:///FILE` URI whole or not at all; does nothing if it is there.

    MLflow makes its tables by a chain of migrations, and a database left in the middle of them never opens again.
    """
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or path.exists():
        return
    with FileLock(path.with_name(f"{path.name}.lock")):
        if path.exists():
            return
        for left in path.parent.glob(f".{path.name}.*"):
            left.unlink()
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        SqlAlchemyStore(f"sqlite:///{unfinished}", str(path.parent)).engine.dispose()
        unfinished.rename(path)


def find_run(mlflow_client: "MlflowClient", experiment_id: str, key: str) -> str | None:
    """Id of the run with a key, if there is one."""
    found = mlflow_client.search_runs([experiment_id], filter_string=f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    return str(found[0].info.run_id) if found else None


def serve(uri: str, artifacts: Path, port: int) -> int:
    """Runs an MLflow server over an embedded store on 127.0.0.1 until it is ended; returns its exit code."""
    import subprocess
    import sys

    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--default-artifact-root", artifacts.as_uri()]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    try:
        return subprocess.run(command, env=os.environ | quiet, check=False).returncode
    except KeyboardInterrupt:
        return 0


def download(uri: str, experiment: str, key: str, path: str, folder: Path | None = None) -> Path | None:
    """Copies an artifact of a run, or only finds it where it is a local file and no folder is given.

    Args:
        uri: Tracking URI.
        experiment: Name of the experiment.
        key: Key of the run.
        path: The artifact, a file or a folder.
        folder: Where to.

    Returns:
        Where it is; None if there is no such run.

    Raises:
        StoreError: If MLflow or the artifact cannot be read.
    """
    from mlflow.exceptions import MlflowException

    try:
        mlflow_client = client(uri)
        found = mlflow_client.get_experiment_by_name(experiment)
        run = find_run(mlflow_client, found.experiment_id, key) if found else None
        return Path(mlflow_client.download_artifacts(run, path, str(folder) if folder else None)) if run else None
    except (MlflowException, OSError) as error:
        raise StoreError(f"cannot read {path} from MLflow: {' '.join(str(error).split())}") from error


def runs_link(server: str, uri: str, experiment: str, *, where: str, order_by: str, ascending: bool) -> str | None:
    """Where an MLflow server shows some runs and their charts.

    Args:
        server: Address of the server.
        uri: Tracking URI of the same store.
        experiment: Name of the experiment.
        where: MLflow search filter.
        order_by: Metric to order by; MLflow then lists nested runs by themselves, not folded under their parent.
        ascending: Whether small values come first.

    Returns:
        The address; None if there is no such experiment.
    """
    found = client(uri).get_experiment_by_name(experiment)
    if found is None:
        return None
    query = {
        "workflowType": "machine_learning",
        "compareRunsMode": "CHART",
        "searchFilter": where,
        "orderByKey": f"metrics.`{order_by}`",
        "orderByAsc": str(ascending).lower(),
    }
    encoded = urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
    return f"{server}/#/experiments/{found.experiment_id}/runs?{encoded}"
