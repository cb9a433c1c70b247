"""The scripts that install things, run with small programs in the place of sudo, apt, pip and systemd."""

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

REAL = ("bash", "cat", "chmod", "cmp", "dirname", "env", "grep", "id", "mkdir", "mv", "od", "rm", "sed", "tr")
NOTE = "#!{bash}\nprintf '%s\\n' \"{name} $*\" >> {calls}\n"
SUDO = 'case $1 in tee) exec cat > "{units}/${{2##*/}}" ;; esac\n'
PYTHON = 'mkdir -p "$3/bin"; cp {pip} "$3/bin/pip"\n'


@dataclass(frozen=True)
class Machine:
    """A machine with a home, on which only known programs are there."""

    home: Path
    programs: Path

    @property
    def calls(self) -> Path:
        return self.home.parent / "calls"

    @property
    def units(self) -> Path:
        return self.home.parent / "units"

    def add(self, name: str, does: str = "") -> Path:
        """Puts a program there that writes down how it is called."""
        text = NOTE.format(bash=shutil.which("bash"), name=name, calls=self.calls)
        path = self.programs / name
        path.write_text(text + does.format(units=self.units, pip=self.programs / "pip"))
        path.chmod(0o755)
        return path

    def run(self, script: Path, *arguments: str) -> str:
        """Runs a script and returns what it called."""
        environment = {"HOME": str(self.home), "PATH": str(self.programs), "LANG": "C.UTF-8"}
        command = ["bash", str(script), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        called = self.calls.read_text()
        self.calls.unlink()
        return called


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path / "home", tmp_path / "programs")
    for folder in (machine.home, machine.programs, machine.units):
        folder.mkdir()
    for name in (*REAL, "cp", "tee"):
        (machine.programs / name).symlink_to(str(shutil.which(name)))
    for name, does in {"dpkg": "", "curl": "", "pip": "", "sudo": SUDO, "python3": PYTHON}.items():
        machine.add(name, does)
    return machine


@pytest.mark.parametrize("gpu", [False, True])
def test_a_node_gets_the_tested_versions_and_torch_for_what_it_has(machine, project, gpu):
    if gpu:
        machine.add("nvidia-smi")
    called = machine.run(project / "deploy/node.sh")
    (install,) = [line for line in called.splitlines() if line.startswith("pip install")]
    assert f"--constraint {project}/constraints.txt" in install
    assert install.endswith(f"--editable {project}[cluster]")
    assert ("https://download.pytorch.org/whl/cpu" in install) is not gpu
    assert "sudo" not in called  # dpkg has all of it


def test_what_a_node_lacks_is_installed_first(machine, project):
    machine.add("dpkg", "exit 1\n")
    called = machine.run(project / "deploy/node.sh").splitlines()
    installed = [line for line in called if line.startswith("sudo apt-get") and " install " in line]
    assert [line.rpartition("-y ")[2] for line in installed] == ["python3-venv python3-dev gcc rsync"]
    assert called.index(installed[0]) < called.index(
        next(line for line in called if line.startswith("python3 -m venv"))
    )


def test_a_node_set_up_twice_has_one_line_in_its_profile_and_a_closed_token(machine, project):
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
def here(project, tmp_path):
    """A copy of the scripts whose databases are another test's matter."""
    copy = tmp_path / "project"
    shutil.copytree(project / "deploy", copy / "deploy")
    (copy / "deploy/databases.sh").write_text(f'printf "databases %s\\n" "$*" >> {tmp_path / "calls"}\n')
    return copy


def test_a_head_gets_services_that_systemd_takes(machine, here):
    called = machine.run(here / "deploy/head.sh", "s3://some-bucket/bimt").splitlines()
    assert f"databases {machine.home}/.bimt 5432 sudo -u postgres psql" in called
    assert "sudo systemctl enable --quiet bimt-mlflow.service bimt-backup.timer" in called
    assert called[-1].endswith("http://127.0.0.1:5000/health")
    units = {path.name: path.read_text() for path in machine.units.iterdir()}
    assert set(units) == {"bimt-mlflow.service", "bimt-backup.service", "bimt-backup.timer"}
    assert not [name for name, text in units.items() if "@" in text]
    assert f"ExecStart=/bin/bash {here}/deploy/mlflow.sh {machine.home}/.bimt\n" in units["bimt-mlflow.service"]
    backup = f"ExecStart=/bin/bash {here}/deploy/backup.sh s3://some-bucket/bimt {machine.home}/.bimt\n"
    assert backup in units["bimt-backup.service"]
    assert "BIMT_CHECKPOINTS=s3://some-bucket/bimt/checkpoints\n" in (machine.home / ".bimt/service.env").read_text()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze (Debian: apt install systemd)")
def test_systemd_has_nothing_to_say_of_them(machine, here):
    machine.run(here / "deploy/head.sh", "/shared/bimt")
    (machine.units / "postgresql.service").write_text("[Service]\nExecStart=/bin/true\n")  # Debian's, where it is not
    said = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(machine.units.iterdir()))],
        env={"PATH": os.environ["PATH"], "HOME": str(machine.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, "")
