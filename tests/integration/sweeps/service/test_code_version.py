import os
import shutil
import subprocess
import sys
from pathlib import Path

import sweeps
from sweeps.service.code_version import PACKAGES, code_version, hash_code

PROJECT = Path(sweeps.__file__).parents[1]


def test_a_driver_refuses_a_client_with_other_code_of_the_same_release(tmp_path):
    """The refusal comes first; with equal code the missing sweep file would be the problem."""
    copy = [shutil.copytree(PROJECT / name, tmp_path / name) for name in PACKAGES]
    with (copy[0] / "train.py").open("a") as file:
        file.write("# changed\n")

    def launch(version: str) -> str:
        command = [sys.executable, "-m", "sweeps.cli", "launch", "none.yaml", "--client-version", version]
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        return done.stderr

    changed = f"{sweeps.__version__}+{hash_code(copy)}"
    assert launch(code_version()) == (
        "bimt: bimt-sweeps must run the same code on client and cluster:"
        f" the client has {code_version()}, the cluster {changed}\n"
    )
    assert "cannot read none.yaml" in launch(changed)
