import shutil
import tomllib
from pathlib import Path

import pytest

import sweeps
from sweeps.service import code_version as module
from sweeps.service.code_version import PACKAGES, code_version, hash_code, list_code

PROJECT = Path(sweeps.__file__).parents[1]


@pytest.fixture
def copy(tmp_path):
    """A copy of both packages, without compiled files."""
    for name in PACKAGES:
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return [tmp_path / name for name in PACKAGES]


def test_a_version_names_the_release_and_the_code():
    release, _, code = code_version().partition("+")
    assert release == sweeps.__version__
    assert len(code) == 8
    assert code == hash_code(PROJECT / name for name in PACKAGES)


def test_paths_line_endings_and_compiled_files_do_not_matter(copy):
    original = hash_code(PROJECT / name for name in PACKAGES)
    assert hash_code(copy) == original
    for folder in copy:
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "train.cpython-312.pyc").write_bytes(b"compiled")
        (folder / ".hidden.py").write_text("of an editor")
        for path in list_code(folder):
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert hash_code(copy) == original


def test_every_change_of_code_matters(copy):
    core, service = copy
    hashes = [hash_code(copy)]
    with (core / "train.py").open("a") as file:
        file.write("\n")
    hashes.append(hash_code(copy))
    (service / "spec" / "presets" / "two_moons.yaml").rename(service / "spec" / "presets" / "three_moons.yaml")
    hashes.append(hash_code(copy))
    (service / "pages" / "report.html").unlink()
    hashes.append(hash_code(copy))
    assert len(set(hashes)) == 4


def test_all_hashed_files_are_installed():
    """Files that a distribution leaves out would make the client differ from the cluster."""
    data = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    patterns = [PROJECT.joinpath(*package.split(".")) / pattern for package, globs in data.items() for pattern in globs]
    for path in (path for name in PACKAGES for path in list_code(PROJECT / name)):
        installed = path.suffix == ".py" or any(path.match(str(pattern)) for pattern in patterns)
        assert installed, path


def test_a_version_is_computed_once(monkeypatch):
    code_version.cache_clear()
    code_version()
    monkeypatch.setattr(module, "hash_code", lambda _: pytest.fail("computed again"))
    code_version()
