import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sweeps

SLOW = ("torch", "ray", "optuna", "mlflow", "pandas", "pydantic", "matplotlib")


def test_public_names_are_those_of_all():
    assert sorted(sweeps._HOME) == sorted(sweeps.__all__)
    assert len(set(sweeps.__all__)) == len(sweeps.__all__)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(sweeps.__file__).read_text())
    (seen,) = (node for node in tree.body if isinstance(node, ast.If))
    homes = {a.name: n.module for n in seen.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert homes == sweeps._HOME


@pytest.mark.parametrize("name", sweeps.__all__)
def test_every_public_name_is_where_it_is_said_to_be(name):
    value = getattr(sweeps, name)
    assert not callable(value) or (value.__doc__ and value.__module__ == sweeps._HOME[name])


def test_there_is_no_other_name():
    with pytest.raises(AttributeError, match="module 'sweeps' has no attribute 'nonsense'"):
        _ = sweeps.nonsense


def loaded_after(statement):
    """Which slow packages a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*[name for name in {SLOW} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_package_and_its_command_line_load_nothing_slow():
    assert loaded_after("import sweeps, sweeps.cli.main, sweeps.errors, sweeps.store") == []


def test_a_sweep_is_checked_without_the_service():
    loaded = loaded_after("import sweeps; sweeps.read_spec")
    assert "pydantic" in loaded
    assert not {"ray", "optuna", "mlflow", "pandas"} & set(loaded)
