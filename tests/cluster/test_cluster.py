"""Sweeps on several Ray nodes with PostgreSQL, an MLflow that asks who is there, and S3, started as a driver is."""

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

from bimt_core.population import deserialize_population
from sweeps import Store, Summary, launch, open_sweep
from sweeps.errors import StoreError
from sweeps.pages.report import render_report
from sweeps.run.trainable import CohortTrainable
from sweeps.spec.sweep import SweepSpec, parse_spec
from sweeps.tracking.reading import create_client, download_artifact
from sweeps.tracking.run_writer import Target
from sweeps.tracking.spool import Record
from sweeps.tracking.tracker import Tracker

from .parts import S3, Env, Head, files_in, free_port, secrets_in, until
from .ray_clusters import ray_cluster

WRONG = "a-wrong-password"
SPACE = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}}


@dataclass(frozen=True)
class Swept:
    """A sweep launched twice, first with a wrong password for MLflow.

    Args:
        folder: Where the drivers ran.
        first: The launch that trained, in a process of its own.
        second: How the launch ended that had the right password, and nothing to train.
        uploads: What the first asked S3 for.
    """

    folder: Path
    first: "subprocess.CompletedProcess[str]"
    second: Summary
    uploads: list[str]


@pytest.fixture(scope="module")
def cluster(s3: S3) -> Iterator[Cluster]:
    """A head and two workers of one core each, which want a token; their machines may use the bucket."""
    with ray_cluster(s3.env) as made:
        yield made


@pytest.fixture(scope="module")
def driver_env(services: Head, s3: S3, cluster: Cluster) -> Env:
    """A driver's environment but for its store: that of the head's Ray."""
    ray = {name: os.environ[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    own = {"PATH": os.environ["PATH"], "RAY_ADDRESS": cluster.address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    return services.env | s3.env | ray | own


@pytest.fixture(scope="module")
def swept(
    driver_env: Env, s3: S3, small: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Swept:
    folder, data = tmp_path_factory.mktemp("driver"), small(trials=4, cohort_size=2)
    (folder / "sweep.yaml").write_text(yaml.safe_dump(data))
    env = driver_env | {"HOME": str(folder), "BIMT_STORE": str(folder / "store")}
    before = len(s3.requests)
    first = subprocess.run(
        [sys.executable, "-m", "sweeps.cli.main", "launch", "sweep.yaml"],
        cwd=folder,
        env=env | {"MLFLOW_TRACKING_PASSWORD": WRONG},
        capture_output=True,
        text=True,
        check=False,
    )
    uploads = [asked for asked, _ in s3.requests[before:]]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        return Swept(folder, first, launch(parse_spec(data)), uploads)


@pytest.fixture
def store(services: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """How somebody else sees the sweeps: without the driver's folder, and without S3."""
    for name, value in services.env.items():
        monkeypatch.setenv(name, value)
    return Store(tmp_path / "store", services.env["BIMT_STORAGE"], services.env["MLFLOW_TRACKING_URI"])


# A sweep


def test_a_wrong_mlflow_password_delays_nothing(swept: Swept) -> None:
    assert swept.first.returncode == 0, swept.first.stderr
    assert "4 of 4 trials complete" in swept.first.stdout
    (line,) = (line for line in swept.first.stdout.splitlines() if line.startswith("MLflow"))
    assert re.fullmatch(
        r"MLflow lacks \d+ records \(MLflow does not know who asks .*\); the next launch writes them", line
    )
    assert "Traceback" not in swept.first.stderr


def test_the_next_launch_writes_what_waited(swept: Swept, store: Store) -> None:
    assert (swept.second.unwritten, swept.second.tracking_problem, swept.second.network_steps) == (0, None, 0)
    assert files_in(swept.folder / "store" / "sweeps" / "small" / "spool") == {}
    mlflow = create_client(store.mlflow_uri)
    experiment = mlflow.get_experiment_by_name("small")
    found = mlflow.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["bimt.role"] for run in found) == ["sweep", *["trial"] * 4]
    assert {run.info.status for run in found} == {"FINISHED"}


def test_checkpoints_went_to_s3_and_are_gone_after_the_sweep(swept: Swept, s3: S3) -> None:
    written = [upload for upload in swept.uploads if "/checkpoints/" in upload and "weights.safetensors" in upload]
    assert len([upload for upload in written if upload.startswith(("PUT", "POST"))]) >= 2, "one a cohort, or more"
    left = [key for key, content in s3.objects("checkpoints/").items() if content]
    assert left == []


@pytest.mark.usefixtures("swept")
def test_a_client_pulls_what_is_best_through_mlflow(s3: S3, store: Store, tmp_path: Path) -> None:
    sweep = open_sweep("small", store)
    trial = int(sweep.best().index[0])
    scores = [sweep.network(trial, replicate).score() for replicate in range(2)]
    assert sum(scores) / 2 == pytest.approx(sweep.trials()["score"].loc[trial], abs=1e-12)
    exported = {path.name: path for path in sweep.export(trial, tmp_path / "best")}
    weights = exported["weights.safetensors"].read_bytes()
    stored = [content for key, content in s3.objects("artifacts/").items() if key.endswith("/weights.safetensors")]
    assert len(stored) == 4
    assert weights in stored
    assert deserialize_population(weights).flat.shape[0] == 2
    assert '"name":"small"' in render_report(sweep)
    assert len(sweep.sketches()) == 4


# Credentials


def places(services: Head, s3: S3, cluster: Cluster, swept: Swept) -> dict[str, bytes]:
    """Everything that sweeps leave behind anywhere, and all that was ever sent to S3."""
    return {
        **{f"database {name}": services.rows(name) for name in ("bimt", "mlflow", "mlflow_accounts")},
        **{f"s3 {key}": content for key, content in s3.objects().items()},
        **{f"{number} {asked}": asked.encode() + body for number, (asked, body) in enumerate(s3.requests)},
        **files_in(swept.folder),
        **files_in(Path(cluster.head_node.get_session_dir_path())),
        "printed": (swept.first.stdout + swept.first.stderr).encode(),
        "log of MLflow": (services.folder.parent / "mlflow.log").read_bytes(),
    }


def test_no_secret_is_left_anywhere(services: Head, s3: S3, cluster: Cluster, swept: Swept) -> None:
    secrets = [*services.secrets, s3.secret, WRONG, os.environ["RAY_AUTH_TOKEN"]]
    looked_at = places(services, s3, cluster, swept)
    for part in ("raylet.out", "tuner.pkl", "weights.safetensors", "database bimt"):
        assert any(name.endswith(part) for name in looked_at), part
    assert secrets_in(looked_at, secrets) == []


def test_a_secret_would_be_found(services: Head, s3: S3, cluster: Cluster, swept: Swept, store: Store) -> None:
    """In every kind of place, and in what any of the parts writes it down as."""
    planted = "planted/in+places"
    study = optuna.load_study(study_name="small", storage=services.env["BIMT_STORAGE"])
    study.set_user_attr("note", f"postgresql://bimt:{planted}@127.0.0.1/bimt")
    mlflow = create_client(store.mlflow_uri)
    (run,) = mlflow.search_runs([mlflow.get_experiment_by_name("small").experiment_id], max_results=1)
    mlflow.set_tag(run.info.run_id, "note", planted)
    mlflow.log_text(run.info.run_id, "https://bimt:planted%2Fin%2Bplaces@host", "note.txt")
    (swept.folder / "note.txt").write_text("Authorization: Basic YmltdDpwbGFudGVkL2luK3BsYWNlcw==")
    found = secrets_in(places(services, s3, cluster, swept), [planted])
    assert [name for name in found if name.startswith("database")] == ["database bimt", "database mlflow"]
    others = [name for name in found if not name.startswith("database")]
    assert [name.rpartition("/")[2] for name in others] == ["note.txt"] * 3, "in S3, on the way there, on disk"


# Parts that are down


def test_a_postgres_that_is_down_starts_nothing(
    store: Store, cluster: Cluster, small_spec: Callable[..., SweepSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    away = Store(store.folder, f"postgresql://bimt@127.0.0.1:{free_port()}/bimt", store.tracking_uri)
    monkeypatch.setenv("BIMT_CHECKPOINTS", str(store.folder / "checkpoints"))
    refused = r"the study storage postgresql://bimt@127\.0\.0\.1:\d+/bimt does not open: .*Connection refused"
    with pytest.raises(StoreError, match=refused) as caught:
        launch(small_spec(name="never"), Store.resolve(away.folder, storage=away.storage))
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
        open_sweep("small", replace(store, storage=f"{store.storage}?application_name=wrong"))  # by a new connection
    assert WRONG not in str(caught.value)


def test_without_credentials_for_mlflow_closing_does_not_wait(
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


def test_a_bucket_that_is_not_there_starts_nothing(
    store: Store, cluster: Cluster, small_spec: Callable[..., SweepSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with pytest.raises(StoreError, match=r"checkpoints cannot be kept at s3://nobucket/a: .*not found"):
        launch(small_spec(name="never"), Store.resolve(store.folder, checkpoints="s3://nobucket/a"))
    assert create_client(store.mlflow_uri).get_experiment_by_name("never") is None


# Nodes that die


@pytest.fixture
def spare(cluster: Cluster) -> Iterator[None]:
    """A node in the place of one that the test kills."""
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
    """The node is killed in the cohort's third interval; the other one goes on from the checkpoint of the second."""
    begun = tmp_path / "begun"

    class Told(CohortTrainable):
        def step(self) -> dict[str, Any]:
            at = self._snapshot.step if self._snapshot else 0
            with begun.open("a") as file:
                file.write(f"{at} {os.getpid()}\n")
            if at == 200 and len(begun.read_text().splitlines()) == 3:
                threading.Event().wait(60)  # to be killed at a known place
            return super().step()

    def kill() -> None:
        until(lambda: begun.exists() and len(begun.read_text().splitlines()) == 3, "the third interval")
        cluster.remove_node(_node_of(int(begun.read_text().split()[-1]), cluster), allow_graceful=False)

    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    spec = small_spec(name="killed", search=SPACE | {"steps": 500}, trials=2, cohort_size=2, evaluations=5)
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    summary = launch(spec, Store.resolve(store.folder), trainable=Told)
    killer.join()

    assert (summary.complete, summary.failed, summary.unwritten) == (2, 0, 0)
    begins, processes = zip(*(map(int, line.split()) for line in begun.read_text().splitlines()), strict=True)
    assert list(begins) == [0, 100, 200, 200, 300, 400], "one interval was begun twice"
    assert len(set(processes)) == 2
    mlflow = create_client(store.mlflow_uri)
    for run in mlflow.search_runs(
        [mlflow.get_experiment_by_name("killed").experiment_id], "tags.`bimt.role` = 'trial'"
    ):
        history = mlflow.get_metric_history(run.info.run_id, "mean/score")
        assert [point.step for point in history] == [100, 200, 300, 400, 500]


def _node_of(pid: int, cluster: Cluster) -> Any:
    """The node whose worker process this is."""
    ancestors = {parent.pid for parent in psutil.Process(pid).parents()}
    for node in cluster.worker_nodes:
        if any(info.process.pid in ancestors for infos in node.all_processes.values() for info in infos):
            return node
    raise AssertionError(f"process {pid} belongs to no worker node")
