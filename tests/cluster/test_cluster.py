"""Sweeps on several Ray nodes with PostgreSQL, an MLflow with passwords, and S3, started like a driver."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import yaml
from ray.cluster_utils import Cluster
from support.processes import find_free_port, wait_for

from bimt_core.files import deserialize_population
from sweeps import Store, Summary, launch, open_sweep
from sweeps.errors import StoreError
from sweeps.pages.report import render_report
from sweeps.run.tune import CohortTrainable
from sweeps.spec.sweep import SweepSpec, parse_spec
from sweeps.tracking.reading import create_client, download_artifact
from sweeps.tracking.record import Record
from sweeps.tracking.run_writer import Target
from sweeps.tracking.tracker import Tracker

from .ray_clusters import start_ray_cluster
from .servers import S3, Env, Head, find_secrets, read_files

WRONG = "a-wrong-password"


@dataclass(frozen=True)
class TwoLaunches:
    """A sweep launched twice, first with a wrong password for MLflow.

    Args:
        folder: Working folder of the drivers.
        first: The launch that trained, in a separate process.
        second: Summary of the launch with the right password, and nothing left to train.
        uploads: Requests of the first to S3.
    """

    folder: Path
    first: "subprocess.CompletedProcess[str]"
    second: Summary
    uploads: list[str]


@pytest.fixture(scope="module")
def cluster(s3: S3) -> Iterator[Cluster]:
    """A head and two workers of one core each, which require a token and have rights on the bucket."""
    with start_ray_cluster(s3.env) as started:
        yield started


@pytest.fixture(scope="module")
def driver_env(services: Head, s3: S3, cluster: Cluster) -> Env:
    """The environment of a driver, as the head's Ray has it, without the store."""
    ray = {name: os.environ[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    own = {"PATH": os.environ["PATH"], "RAY_ADDRESS": cluster.address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    return services.env | s3.env | ray | own


@pytest.fixture(scope="module")
def launches(
    driver_env: Env, s3: S3, small: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> TwoLaunches:
    folder, data = tmp_path_factory.mktemp("driver"), small(trials=4, cohort_size=2, confirm={"replicates": 2})
    (folder / "sweep.yaml").write_text(yaml.safe_dump(data))
    env = driver_env | {"HOME": str(folder), "BIMT_STORE": str(folder / "store")}
    before = len(s3.requests)
    first = subprocess.run(
        [sys.executable, "-m", "sweeps.cli", "launch", "sweep.yaml"],
        cwd=folder,
        env=env | {"MLFLOW_TRACKING_PASSWORD": WRONG},
        capture_output=True,
        text=True,
        check=False,
    )
    uploads = [request for request, _ in s3.requests[before:]]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        return TwoLaunches(folder, first, launch(parse_spec(data)), uploads)


@pytest.fixture
def store(services: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of a client: without the driver's folder and without S3."""
    for name, value in services.env.items():
        monkeypatch.setenv(name, value)
    return Store(tmp_path / "store", services.env["BIMT_STORAGE"], services.env["MLFLOW_TRACKING_URI"])


# A sweep


def test_a_wrong_mlflow_password_delays_nothing(launches: TwoLaunches) -> None:
    assert launches.first.returncode == 0, launches.first.stderr
    assert "4 of 4 trials complete" in launches.first.stdout
    (line,) = (line for line in launches.first.stdout.splitlines() if line.startswith("MLflow"))
    assert re.fullmatch(
        r"MLflow lacks \d+ records \(MLflow does not know who asks .*\); the next launch writes them", line
    )
    assert "Traceback" not in launches.first.stderr


def test_the_next_launch_writes_the_waiting_records(launches: TwoLaunches, store: Store) -> None:
    assert (launches.second.unwritten, launches.second.tracking_problem, launches.second.network_steps) == (0, None, 0)
    assert read_files(launches.folder / "store" / "sweeps" / "small" / "spool") == {}
    mlflow = create_client(store.mlflow_uri)
    experiment = mlflow.get_experiment_by_name("small")
    found = mlflow.search_runs([experiment.experiment_id])
    confirmed = ["confirmation"] * len(launches.second.confirmed)
    assert sorted(run.data.tags["bimt.role"] for run in found) == ["baseline", *confirmed, *["search"] * 4, "sweep"]
    assert {run.info.status for run in found} == {"FINISHED"}


def test_checkpoints_are_in_s3_and_are_deleted_after_the_sweep(launches: TwoLaunches, s3: S3) -> None:
    written = [upload for upload in launches.uploads if "/checkpoints/" in upload and "weights.safetensors" in upload]
    assert len([upload for upload in written if upload.startswith(("PUT", "POST"))]) >= 2, "at least one per cohort"
    left = [key for key, content in s3.objects("checkpoints/").items() if content]
    assert left == []


def test_a_client_pulls_the_best_through_mlflow(launches: TwoLaunches, s3: S3, store: Store, tmp_path: Path) -> None:
    sweep = open_sweep("small", store)
    trial = int(sweep.best().index[0])
    scores = [sweep.network(trial, replicate).score() for replicate in range(2)]
    assert sum(scores) / 2 == pytest.approx(sweep.trials()["test_score"].loc[trial], abs=1e-12)
    exported = {path.name: path for path in sweep.export(trial, tmp_path / "best")}
    weights = exported["weights.safetensors"].read_bytes()
    experiment = create_client(store.mlflow_uri).get_experiment_by_name("small").experiment_id
    objects = s3.objects(f"artifacts/{experiment}/")
    stored = [content for key, content in objects.items() if key.endswith("/weights.safetensors")]
    assert len(stored) == 5 + len(launches.second.confirmed)
    assert weights in stored
    assert deserialize_population(weights).flat.shape[0] == 2
    assert [c.confirmation.seeds for c in sweep.confirmed_trials()] == [(2, 3)] * len(launches.second.confirmed)
    assert '"name":"small"' in render_report(sweep)
    assert len(sweep.sketches()) == 5


# Credentials


def collect_contents(services: Head, s3: S3, cluster: Cluster, launches: TwoLaunches) -> dict[str, bytes]:
    """Returns everything that sweeps leave behind, and everything that was sent to S3."""
    return {
        **{f"database {name}": services.rows(name) for name in ("bimt", "mlflow", "mlflow_accounts")},
        **{f"s3 {key}": content for key, content in s3.objects().items()},
        **{f"{number} {request}": request.encode() + body for number, (request, body) in enumerate(s3.requests)},
        **read_files(launches.folder),
        **read_files(Path(cluster.head_node.get_session_dir_path())),
        "printed": (launches.first.stdout + launches.first.stderr).encode(),
        "log of MLflow": (services.folder.parent / "mlflow.log").read_bytes(),
    }


def test_no_secret_is_left_anywhere(services: Head, s3: S3, cluster: Cluster, launches: TwoLaunches) -> None:
    secrets = [*services.secrets, s3.secret, WRONG, os.environ["RAY_AUTH_TOKEN"]]
    contents = collect_contents(services, s3, cluster, launches)
    for part in ("raylet.out", "tuner.pkl", "weights.safetensors", "database bimt"):
        assert any(name.endswith(part) for name in contents), part
    assert find_secrets(contents, secrets) == []


def test_a_secret_would_be_found(services: Head, s3: S3, cluster: Cluster, launches: TwoLaunches, store: Store) -> None:
    """The search covers every kind of content and every encoding."""
    planted = "planted/in+places"
    study = optuna.load_study(study_name="small", storage=services.env["BIMT_STORAGE"])
    study.set_user_attr("note", f"postgresql://bimt:{planted}@127.0.0.1/bimt")
    mlflow = create_client(store.mlflow_uri)
    (run,) = mlflow.search_runs([mlflow.get_experiment_by_name("small").experiment_id], max_results=1)
    mlflow.set_tag(run.info.run_id, "note", planted)
    mlflow.log_text(run.info.run_id, "https://bimt:planted%2Fin%2Bplaces@host", "note.txt")
    (launches.folder / "note.txt").write_text("Authorization: Basic YmltdDpwbGFudGVkL2luK3BsYWNlcw==")
    found = find_secrets(collect_contents(services, s3, cluster, launches), [planted])
    assert [name for name in found if name.startswith("database")] == ["database bimt", "database mlflow"]
    others = [name for name in found if not name.startswith("database")]
    assert [name.rpartition("/")[2] for name in others] == ["note.txt"] * 3, "in S3, in the request to S3, on disk"


# Servers that are down


def test_an_unreachable_postgres_starts_nothing(
    store: Store, cluster: Cluster, small_spec: Callable[..., SweepSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    unreachable = Store(store.folder, f"postgresql://bimt@127.0.0.1:{find_free_port()}/bimt", store.tracking_uri)
    monkeypatch.setenv("BIMT_CHECKPOINTS", str(store.folder / "checkpoints"))
    refused = r"cannot open the study storage postgresql://bimt@127\.0\.0\.1:\d+/bimt: .*Connection refused"
    with pytest.raises(StoreError, match=refused) as caught:
        launch(small_spec(name="never"), Store.resolve(unreachable.folder, storage=unreachable.storage))
    assert len(str(caught.value).splitlines()) == 1
    assert create_client(store.mlflow_uri).get_experiment_by_name("never") is None


def test_a_wrong_postgres_password_is_not_repeated(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passfile = tmp_path / "pgpass"
    passfile.touch(mode=0o600)
    passfile.write_text(f"127.0.0.1:*:*:bimt:{WRONG}\n")
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        open_sweep("small", replace(store, storage=f"{store.storage}?application_name=wrong"))  # a new connection
    assert WRONG not in str(caught.value)


def test_closing_without_credentials_for_mlflow_does_not_wait(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    tracker = Tracker(Target(store.mlflow_uri, "nobody", None, ""), tmp_path / "spool")
    tracker.record(Record("key", "a run"))
    assert tracker.close(patience_s=3600.0) == 1
    assert tracker.problem is not None
    assert tracker.problem.startswith("MLflow does not know who asks (401): check MLFLOW_TRACKING_USERNAME and ")
    with pytest.raises(StoreError, match=r"cannot read a\.txt from MLflow: MLflow does not know who asks"):
        download_artifact(store.mlflow_uri, "nobody", "key", "a.txt")


def test_a_missing_bucket_starts_nothing(
    store: Store, cluster: Cluster, small_spec: Callable[..., SweepSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with pytest.raises(StoreError, match=r"checkpoints cannot be kept at s3://nobucket/a: .*not found"):
        launch(small_spec(name="never"), Store.resolve(store.folder, checkpoints="s3://nobucket/a"))
    assert create_client(store.mlflow_uri).get_experiment_by_name("never") is None


# Nodes that die


@pytest.fixture
def spare(cluster: Cluster) -> Iterator[None]:
    """Replaces the node that the test kills."""
    yield
    while len(cluster.worker_nodes) < 2:
        cluster.add_node(num_cpus=1)


@pytest.mark.usefixtures("spare")
def test_a_node_that_dies_costs_one_checkpoint_interval(
    store: Store,
    cluster: Cluster,
    small_spec: Callable[..., SweepSpec],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The node is killed in the cohort's third interval; the other one continues from the checkpoint of the second."""
    log = tmp_path / "intervals"

    class Logged(CohortTrainable):
        def step(self) -> dict[str, Any]:
            step = self._snapshot.step if self._snapshot else 0
            with log.open("a") as file:
                file.write(f"{step} {os.getpid()}\n")
            if step == 200 and len(log.read_text().splitlines()) == 3:
                threading.Event().wait(60)  # is killed here
            return super().step()

    def kill() -> None:
        wait_for(lambda: log.exists() and len(log.read_text().splitlines()) == 3, "the third interval")
        cluster.remove_node(_find_node(int(log.read_text().split()[-1]), cluster), allow_graceful=False)

    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    variants = {"weak": {"cost_weight": 1e-3}, "strong": {"cost_weight": 5e-3}}
    spec = small_spec(name="killed", search={"steps": 500}, variants=variants, trials=None, evaluations=5)
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    summary = launch(spec, Store.resolve(store.folder), trainable=Logged)
    killer.join()

    assert (summary.complete, summary.failed, summary.unwritten) == (2, 0, 0)
    steps, processes = zip(*(map(int, line.split()) for line in log.read_text().splitlines()), strict=True)
    assert list(steps) == [0, 100, 200, 200, 300, 400], "one interval was repeated"
    assert len(set(processes)) == 2
    mlflow = create_client(store.mlflow_uri)
    for run in mlflow.search_runs(
        [mlflow.get_experiment_by_name("killed").experiment_id], "tags.`bimt.role` = 'search'"
    ):
        history = mlflow.get_metric_history(run.info.run_id, "mean/val_score")
        assert [point.step for point in history] == [100, 200, 300, 400, 500]


def _find_node(pid: int, cluster: Cluster) -> Any:
    """Returns the node of a worker process."""
    ancestors = {parent.pid for parent in psutil.Process(pid).parents()}
    for node in cluster.worker_nodes:
        if any(info.process.pid in ancestors for infos in node.all_processes.values() for info in infos):
            return node
    raise AssertionError(f"process {pid} belongs to no worker node")
