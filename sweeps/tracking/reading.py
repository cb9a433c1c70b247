"""MLflow's store: open it, make it, find runs in it, copy from it, serve it."""

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

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run, RunInfo

KEY_TAG = "bimt.key"
MOST_RUNS, READERS = 1000, 8  # of one search; artifacts read at the same time
QUIET_MLFLOW = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines a trial
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",  # else files are fetched around the server, from its bucket
}


def create_client(uri: str) -> "MlflowClient":
    """An MLflow client that tells of a dead server soon, writes no progress and calls nobody."""
    _settle()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _settle() -> None:
    """Imports MLflow and makes it quiet and quick to give up."""
    for name, value in QUIET_MLFLOW.items():
        os.environ.setdefault(name, value)
    from mlflow.store.db import utils

    utils.MAX_RETRY_COUNT = 3  # the 10 of a database that does not open take 100 s
    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)


def is_refusal(error: Exception) -> bool:
    """Whether MLflow answered, and would answer the same way again."""
    return _status(error) in (400, 401, 403)


def describe_error(error: Exception) -> str:
    """What went wrong, in a line."""
    if _status(error) == 401:
        return (
            "MLflow does not know who asks (401): check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or"
            " ~/.mlflow/credentials"
        )
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _status(error: Exception) -> int | None:
    """The HTTP status of an answer; artifacts' errors are those of requests."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return int(error.get_http_status_code())
    return getattr(getattr(error, "response", None), "status_code", None)


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
        _settle()
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
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--default-artifact-root", artifacts.as_uri()]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    try:
        return subprocess.run(command, env=os.environ | quiet, check=False).returncode
    except KeyboardInterrupt:
        return 0


def download_artifact(uri: str, experiment: str, key: str, path: str, folder: Path | None = None) -> Path | None:
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
    with _reading(path):
        run = _run_id(uri, experiment, key)
        return Path(create_client(uri).download_artifacts(run, path, str(folder) if folder else None)) if run else None


def read_run_metrics(uri: str, experiment: str, key: str) -> dict[str, float]:
    """The last values of a run's metrics; none where there is no such run.

    Raises:
        StoreError: If MLflow cannot be read.
    """
    with _reading("a run"):
        run = _run_id(uri, experiment, key)
        return dict(create_client(uri).get_run(run).data.metrics) if run else {}


def read_artifacts(uri: str, experiment: str, path: str, where: str = "") -> dict[str, bytes]:
    """One artifact of every run that has it.

    Args:
        uri: Tracking URI.
        experiment: Name of the experiment.
        path: The artifact, a file.
        where: MLflow search filter. A server whose artifacts are on S3 takes seconds to say that a run has none.

    Returns:
        Key of the run to the file's content; runs that lack it are left out.

    Raises:
        StoreError: If MLflow cannot be read.
    """
    with _reading("runs"):
        if (found := _experiment_id(uri, experiment)) is None:
            return {}
        mlflow_client = create_client(uri)
        runs = [(run.data.tags.get(KEY_TAG), run.info) for page in _pages(mlflow_client, found, where) for run in page]
    with ThreadPoolExecutor(READERS) as readers:
        contents = readers.map(lambda run: _content(mlflow_client, run[1], path), runs)
    return {key: content for (key, _), content in zip(runs, contents, strict=True) if key and content is not None}


@contextmanager
def _reading(what: str) -> "Iterator[None]":
    """Tells whatever goes wrong as a StoreError."""
    try:
        yield
    except Exception as error:  # MLflow lets those of its libraries through
        raise StoreError(f"cannot read {what} from MLflow: {describe_error(error)}") from error


def _experiment_id(uri: str, experiment: str) -> str | None:
    """Id of an experiment, if there is one."""
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        return None  # MLflow would make it
    found = create_client(uri).get_experiment_by_name(experiment)
    return str(found.experiment_id) if found else None


def _run_id(uri: str, experiment: str, key: str) -> str | None:
    """Id of the run with a key, if there is one."""
    found = _experiment_id(uri, experiment)
    return find_run(create_client(uri), found, key) if found else None


def run_ids(mlflow_client: "MlflowClient", experiment_id: str) -> dict[str, str]:
    """Ids of all runs of an experiment that have a key, by key."""
    runs = (run for page in _pages(mlflow_client, experiment_id, "") for run in page)
    return {run.data.tags[KEY_TAG]: str(run.info.run_id) for run in runs if KEY_TAG in run.data.tags}


def _pages(mlflow_client: "MlflowClient", experiment_id: str, where: str) -> "Iterator[list[Run]]":
    """The runs of an experiment that a filter leaves, page by page."""
    token, first = None, True
    while first or token:
        page = mlflow_client.search_runs([experiment_id], where, max_results=MOST_RUNS, page_token=token)
        token, first = page.token, False
        yield page


def _content(mlflow_client: "MlflowClient", run: "RunInfo", path: str) -> bytes | None:
    """An artifact's content; None if there is none, or it cannot be read."""
    from mlflow.exceptions import MlflowException

    where = urllib.parse.urlparse(run.artifact_uri)
    try:
        if where.scheme in ("", "file"):
            return (Path(urllib.request.url2pathname(where.path)) / path).read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            return Path(mlflow_client.download_artifacts(run.run_id, path, folder)).read_bytes()
    except (OSError, MlflowException):
        return None


def make_runs_link(server: str, uri: str, experiment: str, *, where: str, order_by: str, ascending: bool) -> str | None:
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
    found = create_client(uri).get_experiment_by_name(experiment)
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
