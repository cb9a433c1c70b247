import os
import shutil

import pytest

from sweeps.errors import StoreError
from sweeps.tracking import reading
from sweeps.tracking.reading import (
    create_client,
    create_database,
    download_artifact,
    is_refusal,
    make_runs_link,
    read_artifacts,
    read_run_metrics,
)
from sweeps.tracking.record import KEY_TAG


@pytest.fixture
def uri(empty_mlflow, tmp_path):
    return f"sqlite:///{shutil.copy(empty_mlflow, tmp_path)}"


@pytest.fixture
def run(uri, tmp_path):
    """A run of key id/1 in the experiment "small", with one artifact."""
    mlflow = create_client(uri)
    experiment = mlflow.create_experiment("small", (tmp_path / "artifacts").as_uri())
    for key in ("id/10", "id/1"):
        run = mlflow.create_run(experiment, tags={KEY_TAG: key})
    mlflow.log_text(run.info.run_id, "a: 1", "folder/config.yaml")
    return run


def test_a_database_is_created_completely_and_only_once(tmp_path):
    path = tmp_path / "mlflow.db"
    (tmp_path / f".mlflow.db.{os.getpid() + 1}").write_text("of a process that died")
    create_database(f"sqlite:///{path}")
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".lock"] == ["mlflow.db"]
    assert create_client(f"sqlite:///{path}").get_experiment_by_name("none") is None
    before = path.stat()
    create_database(f"sqlite:///{path}")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_server_gets_no_database(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create_database("http://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


def test_an_artifact_is_copied(uri, run, tmp_path):
    assert download_artifact(uri, "small", "id/1", "folder/config.yaml").read_text() == "a: 1"
    (tmp_path / "copy").mkdir()
    copied = download_artifact(uri, "small", "id/1", "folder", tmp_path / "copy")
    assert (copied / "config.yaml").read_text() == "a: 1"
    assert copied.parent == tmp_path / "copy"


def test_missing_runs_and_artifacts(uri, run, tmp_path):
    assert download_artifact(uri, "small", "id/2", "folder") is None
    assert download_artifact(uri, "other", "id/1", "folder") is None
    assert download_artifact(f"sqlite:///{tmp_path}/none.db", "small", "id/1", "folder") is None
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(StoreError, match=r"^cannot read weights from MLflow: [^\n]*weights[^\n]*$"):
        download_artifact(uri, "small", "id/1", "weights")


def test_a_link_shows_some_runs_in_order(uri, run):
    link = make_runs_link(
        "http://127.0.0.1:5000", uri, "small", run_filter="tags.a = 'yes'", order_by="mean/score", ascending=False
    )
    address, query = link.split("?")
    assert address == f"http://127.0.0.1:5000/#/experiments/{run.info.experiment_id}/runs"
    assert "searchFilter=tags.a%20%3D%20%27yes%27" in query
    assert "orderByKey=metrics.%60mean%2Fscore%60&orderByAsc=false" in query
    assert make_runs_link("http://x", uri, "other", run_filter="", order_by="m", ascending=True) is None


def test_a_refusal_is_not_a_failure(uri, run):
    mlflow = create_client(uri)
    mlflow.log_param(run.info.run_id, "a", 1)
    with pytest.raises(Exception, match="Changing param values is not allowed") as caught:
        mlflow.log_param(run.info.run_id, "a", 2)
    assert is_refusal(caught.value)
    with pytest.raises(Exception, match="refused") as caught:
        create_client("http://127.0.0.1:1").get_experiment_by_name("small")
    assert not is_refusal(caught.value)
    assert not is_refusal(OSError("disk full"))


def test_the_last_metrics_of_a_run_are_read(uri, run):
    for step, value in enumerate((1.0, 2.0)):
        create_client(uri).log_metric(run.info.run_id, "launch/trials", value, step=step)
    assert read_run_metrics(uri, "small", "id/1") == {"launch/trials": 2.0}
    for experiment, key in (("small", "id/2"), ("small", "id/"), ("other", "id/1")):
        assert read_run_metrics(uri, experiment, key) == {}
    create_client(uri).delete_run(run.info.run_id)
    assert read_run_metrics(uri, "small", "id/1") == {}


@pytest.mark.parametrize("page", [1, 1000])
def test_one_artifact_of_every_run_is_read(uri, run, monkeypatch, page):
    monkeypatch.setattr(reading, "PAGE_SIZE", page)
    mlflow = create_client(uri)
    other = mlflow.create_run(run.info.experiment_id, tags={KEY_TAG: "id/2"})
    mlflow.log_text(other.info.run_id, "a: 2", "folder/config.yaml")
    foreign = mlflow.create_run(run.info.experiment_id)
    mlflow.log_text(foreign.info.run_id, "a: 3", "folder/config.yaml")
    assert read_artifacts(uri, "small", "folder/config.yaml") == {"id/1": b"a: 1", "id/2": b"a: 2"}
    assert read_artifacts(uri, "small", "folder/config.yaml", "tags.`bimt.key` = 'id/2'") == {"id/2": b"a: 2"}
    assert read_artifacts(uri, "small", "none.svg") == read_artifacts(uri, "none", "folder/config.yaml") == {}


def test_reading_creates_no_database(tmp_path):
    assert read_artifacts(f"sqlite:///{tmp_path / 'mlflow.db'}", "small", "x") == {}
    assert list(tmp_path.iterdir()) == []


def test_an_mlflow_that_does_not_answer_is_a_store_error():
    with pytest.raises(StoreError, match="cannot read runs from MLflow: "):
        read_artifacts("http://127.0.0.1:9", "small", "x")
