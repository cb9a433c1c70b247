"""MLflow calls that read: opening and creating a store, finding runs, copying artifacts, serving the UI."""

import logging
import os
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from sweeps.errors import StoreError
from sweeps.tracking.record import KEY_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import RunInfo

SQLITE = "sqlite:///"
PAGE_SIZE = 1000  # runs per search request
READERS = 8  # artifacts read at the same time
MAX_ERROR = 300  # characters
MLFLOW_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines per trial
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",  # else files bypass the server, straight from its bucket
}


def create_client(uri: str) -> "MlflowClient":
    """Creates an MLflow client that reports a dead server soon, shows no progress bars and sends no telemetry.

    Args:
        uri: Tracking URI.
    """
    _configure_mlflow()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _configure_mlflow() -> None:
    for name, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow.store.db import utils

    utils.MAX_RETRY_COUNT = 3  # private, as there is no setting: 10 retries on a database that is down take 100 s
    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)


def is_refusal(error: Exception) -> bool:
    """Returns whether MLflow answered a call and would answer it the same way again.

    Args:
        error: Raised by the call.
    """
    return _http_status(error) in (400, 401, 403)


def describe_error(error: Exception) -> str:
    """Describes an error of an MLflow call in one line.

    Args:
        error: Raised by the call.
    """
    if _http_status(error) == 401:
        return (
            "MLflow does not know who asks (401): check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or"
            " ~/.mlflow/credentials"
        )
    return " ".join(f"{type(error).__name__}: {error}".split())[:MAX_ERROR]


def _http_status(error: Exception) -> int | None:
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return int(error.get_http_status_code())
    return getattr(getattr(error, "response", None), "status_code", None)  # artifact calls raise errors of requests


def create_database(uri: str) -> None:
    """Creates the SQLite database of a `sqlite:///FILE` URI, completely or not at all, if it is missing.

    MLflow creates its tables by a chain of migrations, and a database left in the middle of them never opens again.

    Args:
        uri: Tracking URI; nothing is done for other schemes.
    """
    path = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE) or path.exists():
        return
    with FileLock(path.with_name(f"{path.name}.lock")):
        if path.exists():
            return
        for leftover in path.parent.glob(f".{path.name}.*"):
            leftover.unlink()
        _configure_mlflow()
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # private: a client keeps its file open

        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        SqlAlchemyStore(f"{SQLITE}{unfinished}", str(path.parent)).engine.dispose()
        unfinished.rename(path)


def list_run_ids(mlflow_client: "MlflowClient", experiment_id: str) -> dict[str, str]:
    """Lists the ids of an experiment's runs by their keys; runs without a key are left out.

    Args:
        mlflow_client: See `create_client`.
        experiment_id: Id of the experiment.
    """
    return {key: str(run.run_id) for key, run in _search_runs(mlflow_client, experiment_id, "").items()}


def serve(uri: str, artifacts: Path, port: int) -> int:
    """Runs an MLflow server over an embedded store on 127.0.0.1 until it is ended, and returns its exit code.

    Args:
        uri: Tracking URI of the store.
        artifacts: Folder of its artifacts.
        port: Port to listen at.
    """
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--default-artifact-root", artifacts.as_uri()]
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    try:
        return subprocess.run(command, env=os.environ | settings, check=False).returncode
    except KeyboardInterrupt:
        return 0


def download_artifact(uri: str, experiment: str, key: str, path: str, folder: Path | None = None) -> Path | None:
    """Copies an artifact of a run and returns the path of the copy; None if there is no such run.

    Args:
        uri: Tracking URI.
        experiment: Name of the experiment.
        key: Key of the run.
        path: Path of the artifact, a file or a folder.
        folder: Destination; None for a temporary folder, or for no copy where the artifact is a local file.

    Raises:
        StoreError: If MLflow or the artifact cannot be read.
    """
    with _as_store_error(path):
        run = _find_run(uri, experiment, key)
        return Path(create_client(uri).download_artifacts(run, path, str(folder) if folder else None)) if run else None


def read_run_metrics(uri: str, experiment: str, key: str) -> dict[str, float]:
    """Reads the last value of each metric of a run; empty if there is no such run.

    Args:
        uri: Tracking URI.
        experiment: Name of the experiment.
        key: Key of the run.

    Raises:
        StoreError: If MLflow cannot be read.
    """
    with _as_store_error("a run"):
        run = _find_run(uri, experiment, key)
        return dict(create_client(uri).get_run(run).data.metrics) if run else {}


def read_artifacts(uri: str, experiment: str, path: str, run_filter: str = "") -> dict[str, bytes]:
    """Reads one artifact of every run that has it, by the key of the run.

    Args:
        uri: Tracking URI.
        experiment: Name of the experiment.
        path: Path of the artifact, a file.
        run_filter: MLflow search filter. A server whose artifacts are on S3 takes seconds to find that a run has none.

    Raises:
        StoreError: If MLflow cannot be read.
    """
    with _as_store_error("runs"):
        if (experiment_id := _find_experiment(uri, experiment)) is None:
            return {}
        mlflow_client = create_client(uri)
        runs = _search_runs(mlflow_client, experiment_id, run_filter)
    with ThreadPoolExecutor(READERS) as readers:
        contents = readers.map(lambda run: _read_artifact(mlflow_client, run, path), runs.values())
    return {key: content for key, content in zip(runs, contents, strict=True) if content is not None}


@contextmanager
def _as_store_error(name: str) -> "Iterator[None]":
    try:
        yield
    except Exception as error:  # MLflow raises whatever its libraries raise
        raise StoreError(f"cannot read {name} from MLflow: {describe_error(error)}") from error


def _find_experiment(uri: str, experiment: str) -> str | None:
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
        return None  # MLflow would create it
    entity = create_client(uri).get_experiment_by_name(experiment)
    return str(entity.experiment_id) if entity else None


def _find_run(uri: str, experiment: str, key: str) -> str | None:
    """Id of the run with a key, if there is one."""
    if (experiment_id := _find_experiment(uri, experiment)) is None:
        return None
    runs = create_client(uri).search_runs([experiment_id], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    return str(runs[0].info.run_id) if runs else None


def _search_runs(mlflow_client: "MlflowClient", experiment_id: str, run_filter: str) -> "dict[str, RunInfo]":
    """Runs that have a key, by key."""
    runs: dict[str, RunInfo] = {}
    token = None
    while True:
        page = mlflow_client.search_runs([experiment_id], run_filter, max_results=PAGE_SIZE, page_token=token)
        runs |= {run.data.tags[KEY_TAG]: run.info for run in page if KEY_TAG in run.data.tags}
        if not (token := page.token):
            return runs


def _read_artifact(mlflow_client: "MlflowClient", run: "RunInfo", path: str) -> bytes | None:
    """Content of an artifact; None if there is none, or if it cannot be read."""
    from mlflow.exceptions import MlflowException

    location = urllib.parse.urlparse(run.artifact_uri)
    try:
        if location.scheme in ("", "file"):
            return (Path(urllib.request.url2pathname(location.path)) / path).read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            return Path(mlflow_client.download_artifacts(run.run_id, path, folder)).read_bytes()
    except (OSError, MlflowException):
        return None


def make_runs_link(
    server: str, uri: str, experiment: str, *, run_filter: str, order_by: str, ascending: bool
) -> str | None:
    """Returns the address at which an MLflow server shows some runs and their charts; None without the experiment.

    Args:
        server: Address of the server.
        uri: Tracking URI of the same store.
        experiment: Name of the experiment.
        run_filter: MLflow search filter.
        order_by: Metric to order by; MLflow then lists nested runs separately, not folded under their parent.
        ascending: Whether small values come first.
    """
    entity = create_client(uri).get_experiment_by_name(experiment)
    if entity is None:
        return None
    query = {
        "workflowType": "machine_learning",
        "compareRunsMode": "CHART",
        "searchFilter": run_filter,
        "orderByKey": f"metrics.`{order_by}`",
        "orderByAsc": str(ascending).lower(),
    }
    encoded = urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
    return f"{server}/#/experiments/{entity.experiment_id}/runs?{encoded}"
