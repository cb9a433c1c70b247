"""Provenance: where the results of a launch come from."""

import getpass
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("bimt-sweeps", "torch", "ray", "optuna", "mlflow", "networkx", "numpy")


@cache
def collect_provenance() -> dict[str, str]:
    """Returns the origin of a launch's results as tags: package versions, host, user and commit of the code."""
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    tags = {
        "bimt.versions": ", ".join([*versions, f"python {platform.python_version()}"]),
        "bimt.driver_host": platform.node(),
        "mlflow.source.name": "bimt launch",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
    }
    commit = _commit_of(Path(__file__))
    return tags if commit is None else tags | {"mlflow.source.git.commit": commit}


def _commit_of(file: Path) -> str | None:
    """Commit of the git repository that tracks a file; None if none does, as for an installed package."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=file.parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)
        return git("rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):  # there is no git, or no such repository
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number only
        return str(os.getuid())
