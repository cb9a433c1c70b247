import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bimt_core

FOREIGN = ("ray", "optuna", "mlflow", "pandas", "sweeps")


def loaded_after(statement):
    """Which foreign packages a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*[name for name in {FOREIGN} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_method_loads_no_part_of_the_service():
    modules = sorted(path.stem for path in Path(bimt_core.__file__).parent.glob("*.py") if path.stem != "__init__")
    assert "train" in modules
    assert loaded_after("\n".join(f"import bimt_core.{module}" for module in modules)) == []


def test_a_foreign_package_would_be_noticed():
    assert loaded_after("import pandas") == ["pandas"]


def test_public_names_are_those_of_all():
    tree = ast.parse(Path(bimt_core.__file__).read_text())
    imported = [alias.asname or alias.name for n in tree.body if isinstance(n, ast.ImportFrom) for alias in n.names]
    assert sorted(imported) == sorted(bimt_core.__all__)
    assert len(set(bimt_core.__all__)) == len(bimt_core.__all__)


@pytest.mark.parametrize("name", bimt_core.__all__)
def test_every_public_name_is_documented(name):
    value = getattr(bimt_core, name)
    assert not callable(value) or value.__doc__
