"""The scripts that install software, run with small programs instead of sudo, apt, pip and systemd."""

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

REAL = ("bash", "cat", "chmod", "cmp", "dirname", "env", "grep", "id", "mkdir", "mv", "od", "rm", "sed", "tr")
LOG = "#!{bash}\nprintf '%s\\n' \"{name} $*\" >> {calls}\n"
SUDO = 'case $1 in tee) exec cat > "{units}/${{2##*/}}" ;; esac\n'
PYTHON = 'mkdir -p "$3/bin"; cp {pip} "$3/bin/pip"\n'


@dataclass(frozen=True)
class Machine:
    """A machine with a home and a few known programs."""

    home: Path
    programs: Path

    @property
    def calls(self) -> Path:
        return self.home.parent / "calls"

    @property
    def units(self) -> Path:
        return self.home.parent / "units"

    def add_program(self, name: str, script: str = "") -> Path:
        """Adds a program that logs its arguments."""
        text = LOG.format(bash=shutil.which("bash"), name=name, calls=self.calls)
        path = self.programs / name
        path.write_text(text + script.format(units=self.units, pip=self.programs / "pip"))
        path.chmod(0o755)
        return path

    def run(self, script: Path, *arguments: str) -> str:
        """Runs a script and returns the log of its calls."""
        environment = {"HOME": str(self.home), "PATH": str(self.programs), "LANG": "C.UTF-8"}
        command = ["bash", str(script), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        calls = self.calls.read_text()
        self.calls.unlink()
        return calls


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path / "home", tmp_path / "programs")
    for folder in (machine.home, machine.programs, machine.units):
        folder.mkdir()
    for name in (*REAL, "cp", "tee"):
        (machine.programs / name).symlink_to(str(shutil.which(name)))
    for name, script in {"dpkg": "", "curl": "", "pip": "", "sudo": SUDO, "python3": PYTHON}.items():
        machine.add_program(name, script)
    return machine


@pytest.mark.parametrize("gpu", [False, True])
def test_a_node_gets_the_tested_versions_and_torch_for_its_hardware(machine, project, gpu):
    if gpu:
        machine.add_program("nvidia-smi")
    calls = machine.run(project / "deploy/node.sh")
    (install,) = [line for line in calls.splitlines() if line.startswith("pip install")]
    assert f"--constraint {project}/constraints.txt" in install
    assert install.endswith(f"--editable {project}[cluster]")
    assert ("https://download.pytorch.org/whl/cpu" in install) is not gpu
    assert "sudo" not in calls  # dpkg has every package


def test_missing_packages_are_installed_first(machine, project):
    machine.add_program("dpkg", "exit 1\n")
    calls = machine.run(project / "deploy/node.sh").splitlines()
    installed = [line for line in calls if line.startswith("sudo apt-get") and " install " in line]
    assert [line.rpartition("-y ")[2] for line in installed] == ["python3-venv python3-dev gcc rsync"]
    assert calls.index(installed[0]) < calls.index(next(line for line in calls if line.startswith("python3 -m venv")))


def test_a_second_setup_adds_nothing_to_the_profile_and_protects_the_token(machine, project):
    token = machine.home / ".ray" / "auth_token"
    token.parent.mkdir(mode=0o755)
    token.write_text("0" * 64)
    token.chmod(0o644)
    for _ in range(2):
        machine.run(project / "deploy/node.sh")
    profile = (machine.home / ".bashrc").read_text().splitlines()
    assert profile == [f'export PATH="{machine.home}/bimt-venv/bin:$PATH"']
    assert [stat.S_IMODE(path.stat().st_mode) for path in (token.parent, token)] == [0o700, 0o600]


@pytest.fixture
def copy(project, tmp_path):
    """A copy of the scripts without the setup of databases, which test_head.py tests."""
    folder = tmp_path / "project"
    shutil.copytree(project / "deploy", folder / "deploy")
    (folder / "deploy/databases.sh").write_text(f'printf "databases %s\\n" "$*" >> {tmp_path / "calls"}\n')
    return folder


def test_a_head_gets_systemd_services(machine, copy):
    calls = machine.run(copy / "deploy/head.sh", "s3://some-bucket/bimt").splitlines()
    assert f"databases {machine.home}/.bimt 5432 sudo -u postgres psql" in calls
    assert "sudo systemctl enable --quiet bimt-mlflow.service bimt-backup.timer" in calls
    assert calls[-1].endswith("http://127.0.0.1:5000/health")
    units = {path.name: path.read_text() for path in machine.units.iterdir()}
    assert set(units) == {"bimt-mlflow.service", "bimt-backup.service", "bimt-backup.timer"}
    assert not [name for name, text in units.items() if "@" in text]
    assert f"ExecStart=/bin/bash {copy}/deploy/mlflow.sh {machine.home}/.bimt\n" in units["bimt-mlflow.service"]
    backup = f"ExecStart=/bin/bash {copy}/deploy/backup.sh s3://some-bucket/bimt {machine.home}/.bimt\n"
    assert backup in units["bimt-backup.service"]
    assert "BIMT_CHECKPOINTS=s3://some-bucket/bimt/checkpoints\n" in (machine.home / ".bimt/service.env").read_text()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze (Debian: apt install systemd)")
def test_systemd_accepts_the_services(machine, copy):
    machine.run(copy / "deploy/head.sh", "/shared/bimt")
    (machine.units / "postgresql.service").write_text("[Service]\nExecStart=/bin/true\n")  # Debian's service
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(machine.units.iterdir()))],
        env={"PATH": os.environ["PATH"], "HOME": str(machine.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
