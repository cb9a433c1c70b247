"""A user's own task and network: docs/examples, run from a separate folder."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
BIMT = Path(sys.executable).with_name("bimt")


def bimt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIMT, *arguments], cwd=folder, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(EXAMPLES / "skip.py", tmp_path)
    data = yaml.safe_load((EXAMPLES / "skip.yaml").read_text())
    (tmp_path / "skip.yaml").write_text(yaml.safe_dump(data | {"trials": 2, "cohort_size": "auto", "evaluations": 2}))
    return tmp_path


def test_a_sweep_of_the_users_own_task_and_module(folder: Path) -> None:
    launched = bimt(folder, "launch", "skip.yaml", "--json")
    assert launched.returncode == 0, launched.stderr
    assert json.loads(launched.stdout)["complete"] == 2
    program = """
from sweeps import open_sweep
sweep = open_sweep("product")
best = sweep.best().index[0]
network = sweep.network(best, replicate=1)
print(network.score(), sweep.trials()["test_score"][best], network.predict([[0.5, -0.5]]))
"""
    read = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert read.returncode == 0, read.stderr
    score, mean = (float(word) for word in read.stdout.split()[:2])
    assert score > 0.5
    assert abs(score - mean) < 0.5
    assert bimt(folder, "export", "product", "0", "out").returncode == 0
    assert yaml.safe_load((folder / "out" / "config.yaml").read_text())["network"]["kind"] == "module"


def test_a_task_that_cannot_be_loaded_is_one_clear_line(folder: Path) -> None:
    data = yaml.safe_load((folder / "skip.yaml").read_text())
    for task, line in [
        ("nowhere:product", "'nowhere:product': cannot import 'nowhere': No module named 'nowhere'"),
        ("skip:sum", "'skip:sum': module 'skip' has no 'sum'"),
        ("skip:network", "'skip:network' must return a Task, got ModuleNetwork"),
        ("skip:nn", "'skip:nn': 'nn' is not a function"),
    ]:
        (folder / "skip.yaml").write_text(yaml.safe_dump(data | {"task": task}))
        refused = bimt(folder, "launch", "skip.yaml")
        assert refused.returncode == 2
        assert refused.stderr == f"bimt: skip.yaml: task: {line}\n"
    assert not (folder / "bimt-store").exists()


def test_a_module_has_one_size(folder: Path) -> None:
    data = yaml.safe_load((folder / "skip.yaml").read_text())
    data["search"]["hidden_width"] = 20
    (folder / "skip.yaml").write_text(yaml.safe_dump(data))
    refused = bimt(folder, "validate", "skip.yaml")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "hidden_width of a ModuleNetwork cannot be changed, got 20" in refused.stderr
