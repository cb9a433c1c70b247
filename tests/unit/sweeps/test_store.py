import os
from pathlib import Path

import pytest

from sweeps.errors import BadInputError
from sweeps.store import Store, join_path


def test_arguments_precede_the_environment_and_that_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Store.resolve() == Store(tmp_path / "bimt-store")
    monkeypatch.setenv("BIMT_STORE", "elsewhere")
    monkeypatch.setenv("BIMT_STORAGE", "sqlite:///study.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert Store.resolve() == Store(tmp_path / "elsewhere", "sqlite:///study.db", "http://127.0.0.1:1")
    store = Store.resolve("folder", storage="sqlite:///other.db", tracking_uri="sqlite:///mlflow.db")
    assert store == Store(tmp_path / "folder", "sqlite:///other.db", "sqlite:///mlflow.db")


def test_mlflow_is_in_the_folder_by_default(tmp_path):
    assert Store(tmp_path).mlflow_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert Store(tmp_path, tracking_uri="http://127.0.0.1:1").mlflow_uri == "http://127.0.0.1:1"


def test_locations_are_those_of_the_modules_docstring():
    store = Store(Path("/s"))
    assert store.study_file("NAME") == Path("/s/studies/NAME.journal")
    assert store.work_folder("NAME") == Path("/s/sweeps/NAME")
    assert store.artifacts == Path("/s/artifacts")


def test_checkpoints_are_in_the_store_unless_set(tmp_path, monkeypatch):
    assert Store.resolve(tmp_path).checkpoint_folder("s") == str(tmp_path / "sweeps" / "s" / "checkpoints")
    monkeypatch.setenv("BIMT_CHECKPOINTS", "gs://bucket/x")
    assert Store.resolve(tmp_path).checkpoint_folder("s") == "gs://bucket/x/s"


def test_a_path_is_joined_before_the_options_of_an_address():
    assert join_path("/a b/", "c/d") == "/a b/c/d"
    assert join_path("s3://bucket/x?region=eu", "c") == "s3://bucket/x/c?region=eu"


def test_prepare_creates_every_folder_and_leaves_no_probe(tmp_path):
    store = Store(tmp_path / "a" / "b c")
    for _ in range(2):
        store.prepare("x")
    assert store.study_file("x").parent.is_dir()
    assert store.artifacts.is_dir()
    assert list(store.work_folder("x").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for below in ("", "store", "a/store"):
        folder = tmp_path / "file" / below
        with pytest.raises(BadInputError) as caught:
            Store(folder).prepare("x")
        (line,) = caught.value.problems
        reasons = ("Not a directory", "File exists")
        assert line in {f"store folder must be writable, got {folder}: {reason}" for reason in reasons}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BadInputError, match=r"store folder must be writable, got .*: Permission denied"):
        Store(tmp_path).prepare("x")


def test_a_password_in_the_tracking_uri_is_refused_and_not_repeated(tmp_path):
    with pytest.raises(BadInputError, match=r"must hold no password, .* got one for tracking\.example$") as caught:
        Store.resolve(tmp_path, tracking_uri="https://me:geheim@tracking.example:5000/path")
    assert "geheim" not in str(caught.value)
    assert Store.resolve(tmp_path, tracking_uri="https://tracking.example/@path").tracking_uri
