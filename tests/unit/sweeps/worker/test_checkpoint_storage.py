import pytest

from sweeps.errors import BadInputError, StoreError
from sweeps.worker.checkpoint_storage import check_checkpoint_storage


def find_reason(address, kind=BadInputError):
    with pytest.raises(kind) as caught:
        check_checkpoint_storage(address)
    (line,) = str(caught.value).splitlines()
    return line


def test_a_folder(tmp_path):
    check_checkpoint_storage(str(tmp_path / "new folder"))
    assert list((tmp_path / "new folder").iterdir()) == []
    (tmp_path / "file").touch()
    assert "Not a directory" in find_reason(str(tmp_path / "file" / "below"), StoreError)


@pytest.mark.parametrize("address", ["s4://bucket/a", "s3:///a", "relative/folder", "ftp://host/a"])
def test_an_address_that_is_none(address):
    line = find_reason(address)
    assert line.startswith(f"checkpoints must be a folder, s3://... or gs://..., got {address}: ")


@pytest.mark.parametrize("address", ["s3://AKIA:hush@bucket/a", "s3://bucket/a?secret_key=hush"])
def test_credentials_in_an_address_are_refused_and_not_repeated(address):
    line = find_reason(address)
    assert line.startswith("checkpoints must be an address without credentials, got some for s3://bucket/a; ")
    assert "hush" not in line
