import shutil
import subprocess
from pathlib import Path

import pytest

from sweeps.tracking import provenance


@pytest.fixture
def collect_provenance(monkeypatch):
    """Collects provenance as if provenance.py were another file, without the cache."""

    def collect(file=Path(provenance.__file__)):
        monkeypatch.setattr(provenance, "__file__", str(file))
        return provenance.collect_provenance.__wrapped__()

    return collect


def test_versions_are_known(collect_provenance):
    assert all(name in collect_provenance()["bimt.versions"] for name in (*provenance.PACKAGES, "python 3."))


def test_the_commit_is_that_of_the_repository_that_tracks_the_package(collect_provenance, tmp_path):
    def git(*arguments):
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    copy = tmp_path / ".venv" / "sweeps" / "provenance.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(provenance.__file__, copy)
    assert "mlflow.source.git.commit" not in collect_provenance(copy)
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "a repository around an installed package")
    assert "mlflow.source.git.commit" not in collect_provenance(copy)
    git("add", str(copy))
    git("commit", "-q", "-m", "the package")
    assert collect_provenance(copy)["mlflow.source.git.commit"] == git("rev-parse", "HEAD")


def test_without_git_there_is_no_commit(collect_provenance, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "mlflow.source.git.commit" not in collect_provenance()
