"""What checkpoints are kept in, checked before anything is trained."""

import socket
from contextlib import closing
from pathlib import Path

import pytest

from sweeps.errors import BadInputError, StoreError
from sweeps.worker import checkpoint_storage as checkpoints
from sweeps.worker.checkpoint_storage import check_checkpoint_storage

from .parts import S3


@pytest.fixture
def credentials(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def reason(where: str, kind: type[Exception] = StoreError) -> str:
    with pytest.raises(kind) as caught:
        check_checkpoint_storage(where)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.usefixtures("credentials")
def test_a_bucket_that_can_be_written_is_left_as_it_was(s3: S3) -> None:
    before = s3.objects()
    check_checkpoint_storage(f"s3://{s3.bucket}/a/prefix")
    check_checkpoint_storage(f"s3://{s3.bucket}")
    left = {key: content for key, content in s3.objects().items() if key not in before}
    assert set(left) <= {"a/", "a/prefix/"}, "folders of an object store are empty objects"
    assert set(left.values()) <= {b""}


@pytest.mark.usefixtures("credentials")
def test_a_bucket_that_is_not_there() -> None:
    assert reason("s3://nobucket/a").startswith("checkpoints cannot be kept at s3://nobucket/a: ")
    assert "Bucket 'nobucket' not found" in reason("s3://nobucket/a")


@pytest.mark.usefixtures("credentials")
def test_wrong_credentials(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a wrong secret")
    told = reason(f"s3://{s3.bucket}/a")
    assert "ACCESS_DENIED" in told
    assert "a wrong secret" not in told


@pytest.mark.usefixtures("credentials")
def test_no_credentials(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert "ACCESS_DENIED" in reason(f"s3://{s3.bucket}/a")


@pytest.mark.usefixtures("credentials")
def test_a_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It listens and says nothing, as the address that hands out a machine's credentials does elsewhere."""
    monkeypatch.setattr(checkpoints, "PATIENCE_S", 0.5)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        told = reason("s3://bimt/a")
    assert told.startswith("checkpoints at s3://bimt/a: no answer for 0.5 s; ")


def test_a_folder(tmp_path: Path) -> None:
    check_checkpoint_storage(str(tmp_path / "new folder"))
    assert list((tmp_path / "new folder").iterdir()) == []
    (tmp_path / "file").touch()
    assert "Not a directory" in reason(str(tmp_path / "file" / "below"))


@pytest.mark.parametrize("where", ["s4://bucket/a", "s3:///a", "relative/folder", "ftp://host/a"])
def test_an_address_that_is_none(where: str) -> None:
    told = reason(where, BadInputError)
    assert told.startswith(f"checkpoints must be a folder, s3://... or gs://..., got {where}: ")


@pytest.mark.parametrize("where", ["s3://AKIA:hush@bucket/a", "s3://bucket/a?secret_key=hush"])
def test_credentials_in_an_address_are_refused_and_not_repeated(where: str) -> None:
    told = reason(where, BadInputError)
    assert told.startswith("checkpoints must be an address without credentials, got some for s3://bucket/a; ")
    assert "hush" not in told
