"""The distributions: their contents, and a sweep that runs from an installed wheel in an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("bimt_core", "sweeps", "tests", "pyproject.toml", "README.md", "LICENSE")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SWEEP = """
name: tiny
task: two_moons
search:
  cost_weight: {low: 1.0e-3, high: 1.0e-2, log: true}
  steps: 30
objectives: [{metric: val_score, direction: maximize}]
trials: 1
replicates: 1
evaluations: 1
"""


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The wheel and the source distribution that it was built from, without a download."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--no-isolation", source)
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(dist):
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bimt(wheel, tmp_path_factory):
    """Runs `bimt` in an empty folder, from an environment with the wheel and the other packages of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    site_packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    # A plain path: the .pth files in that folder, such as that of an editable install, are not read.
    (site_packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    empty = folder / "empty"
    empty.mkdir()
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    home = run(python, "-c", "import sweeps; print(sweeps.__file__)", cwd=empty, env=environment).strip()
    assert Path(home).is_relative_to(folder)
    return lambda *arguments: run(python.with_name("bimt"), *arguments, cwd=empty, env=environment)


def test_a_wheel_has_all_modules_and_data_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in ("bimt_core", "sweeps")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found == expected
    assert {PurePosixPath(name).suffix for name in found} == {".py", ".typed", ".html", ".yaml"}


def test_a_wheel_has_its_license_and_long_description(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = f"bimt_sweeps-{VERSION}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        assert f"{info}/licenses/LICENSE" in archive.namelist()
    assert f"\nVersion: {VERSION}\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata
    assert (ROOT / "README.md").read_text().strip() in metadata


def test_a_source_distribution_has_what_is_needed_to_build(dist):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "bimt_core/py.typed",
        "sweeps/spec/presets/two_moons.yaml",
    } <= names


def test_an_installed_wheel_runs_a_sweep_from_an_empty_folder(bimt, tmp_path):
    assert VERSION in bimt("--version")
    assert "two_moons" in bimt("presets")  # checks all of them
    (tmp_path / "tiny.yaml").write_text(SWEEP)
    summary = json.loads(bimt("launch", tmp_path / "tiny.yaml", "--store", tmp_path / "store", "--json"))
    assert (summary["complete"], summary["unwritten"]) == (1, 0)
    assert summary["report_problem"] is None  # it needs the templates
