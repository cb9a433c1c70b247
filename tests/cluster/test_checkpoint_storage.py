"""Checkpoints on S3, checked before anything is trained."""

import socket
from contextlib import closing
from pathlib import Path

import pytest

from sweeps.errors import StoreError
from sweeps.worker import checkpoint_storage as checkpoints
from sweeps.worker.checkpoint_storage import check_checkpoint_storage

from .servers import S3


@pytest.fixture
def credentials(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def find_reason(address: str) -> str:
    with pytest.raises(StoreError) as caught:
        check_checkpoint_storage(address)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.usefixtures("credentials")
def test_a_writable_bucket_is_left_as_it_was(s3: S3) -> None:
    before = s3.objects()
    check_checkpoint_storage(f"s3://{s3.bucket}/a/prefix")
    check_checkpoint_storage(f"s3://{s3.bucket}")
    left = {key: content for key, content in s3.objects().items() if key not in before}
    assert set(left) <= {"a/", "a/prefix/"}, "folders of an object store are empty objects"
    assert set(left.values()) <= {b""}


@pytest.mark.usefixtures("credentials")
def test_a_missing_bucket() -> None:
    assert find_reason("s3://nobucket/a").startswith("checkpoints cannot be kept at s3://nobucket/a: ")
    assert "Bucket 'nobucket' not found" in find_reason("s3://nobucket/a")


@pytest.mark.usefixtures("credentials")
def test_wrong_credentials(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a wrong secret")
    line = find_reason(f"s3://{s3.bucket}/a")
    assert "ACCESS_DENIED" in line
    assert "a wrong secret" not in line


@pytest.mark.usefixtures("credentials")
def test_no_credentials(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert "ACCESS_DENIED" in find_reason(f"s3://{s3.bucket}/a")


@pytest.mark.usefixtures("credentials")
def test_a_store_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server accepts connections and stays silent, as a cloud's metadata address does on other machines."""
    monkeypatch.setattr(checkpoints, "TIMEOUT_S", 0.5)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        line = find_reason("s3://bimt/a")
    assert line.startswith("checkpoints at s3://bimt/a: no answer for 0.5 s; ")
