"""Throughput of MLflow: metric values per second through the spool and its writer, and the time to add a record.

    python benchmarks/tracking.py [--stores ...] [--trials N] [--evaluations N] [--json]

The records are those of a sweep: for each trial its start, its evaluations with every metric's mean, and its end with
standard errors and a table. The stores are SQLite, PostgreSQL, and an MLflow server over PostgreSQL as on a cluster.
The time is from the first record until MLflow has the last one; it includes the start of the writer's process.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from _printing import make_parser, print_json
from _synthetic import ROW_STDERR, make_metrics, make_spec, start_postgres

from bimt_core import METRICS
from sweeps.study.pooling import summarize_trial
from sweeps.study.trial import Trial
from sweeps.tracking.reading import create_client, create_database
from sweeps.tracking.records import SweepRecords
from sweeps.tracking.run_writer import Target
from sweeps.tracking.tracker import Tracker

STORES = ("sqlite", "postgres", "server")
PARAMS = {"cost_weight": 1e-3, "weight_factor": 1.0, "layer_distance": 0.1}


@dataclass
class Result:
    """Throughput of one store."""

    store: str
    values: int
    values_per_s: float
    ms_per_record: float


@contextmanager
def create_store(store: str, folder: Path) -> Iterator[str]:
    """Yields the tracking URI of a new store."""
    if store == "sqlite":
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        create_database(uri)
        yield uri
        return
    with start_postgres(folder) as create:
        uri = create("mlflow")
        if store == "postgres":
            create_client(uri).search_experiments()  # creates the tables
            yield uri
        else:
            with start_server(uri, folder) as address:
                yield address


@contextmanager
def start_server(uri: str, folder: Path) -> Iterator[str]:
    """Runs an MLflow server on a free port of 127.0.0.1 and yields its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--artifacts-destination", str(folder / "artifacts")]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | quiet, stdout=log, stderr=log, cwd=folder)
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 180
    try:
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def measure_store(store: str, trials: int, evaluations: int) -> Result:
    spec = make_spec(trials, evaluations=evaluations)
    metrics = make_metrics(0, PARAMS)
    with tempfile.TemporaryDirectory() as name, create_store(store, Path(name)) as uri, contextlib.chdir(name):
        folder = Path(name)  # MLflow's default folder of artifacts is the current one
        artifacts = None if store == "server" else str(folder / "artifacts")
        tracker = Tracker(Target(uri, spec.name, artifacts, ""), folder / "spool")
        begin = time.perf_counter()
        records = SweepRecords(spec, "id")
        tracker.record(records.describe_sweep_start())
        for number in range(trials):
            trial = Trial(number, "RUNNING", PARAMS, seeds=spec.seeds)
            tracker.record(records.describe_trial_start(trial))
            for step in range(1, evaluations):
                tracker.record(records.describe_evaluation(number, metrics, step))
            result = {"step": evaluations, "host": "here", "device": "cpu"}
            trial = summarize_trial(replace(trial, state="COMPLETE"), metrics, ROW_STDERR, spec)
            tracker.record(records.describe_trial_end(trial, result, {}))
        added_s = time.perf_counter() - begin
        assert tracker.close(600.0) == 0, tracker.problem
        seconds = time.perf_counter() - begin
    values, n_records = trials * (evaluations + 1) * len(METRICS), 1 + trials * (1 + evaluations)
    return Result(store, values, values / seconds, 1e3 * added_s / n_records)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--stores", nargs="+", default=STORES, choices=STORES)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=20, help="per trial")
    options = parser.parse_args()
    results = []
    for store in options.stores:
        result = measure_store(store, options.trials, options.evaluations)
        results.append(result)
        if not options.json:
            print(
                f"{store}: {result.values} values, {result.values_per_s:.0f} per second;"
                f" adding a record takes {result.ms_per_record:.2f} ms"
            )
    if options.json:
        print_json({"rows": [asdict(result) for result in results]})


if __name__ == "__main__":
    main()
