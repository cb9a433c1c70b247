import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sweeps

SLOW = ("torch", "ray", "optuna", "mlflow", "pandas", "pydantic", "matplotlib")


def test_all_lists_the_public_names_once_and_each_is_where_it_is_declared():
    assert sorted(sweeps._HOME) == sorted(set(sweeps.__all__)) == sorted(sweeps.__all__)
    for name in sweeps.__all__:
        value = getattr(sweeps, name)
        assert not callable(value) or (value.__doc__ and value.__module__ == sweeps._HOME[name]), name


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(sweeps.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    homes = {a.name: n.module for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert homes == sweeps._HOME


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'sweeps' has no attribute 'nonsense'"):
        _ = sweeps.nonsense


def test_the_version_is_that_of_the_distribution():
    project = tomllib.loads((Path(sweeps.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert sweeps.__version__ == project["version"]


def find_loaded(statement):
    """Returns the slow packages that a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*[name for name in {SLOW} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_package_and_its_command_line_load_nothing_slow():
    assert find_loaded("import sweeps, sweeps.cli.main, sweeps.errors, sweeps.store") == []


def test_a_sweep_file_is_checked_without_the_service():
    loaded = find_loaded("import sweeps; sweeps.read_spec")
    assert "pydantic" in loaded
    assert not {"ray", "optuna", "mlflow", "pandas"} & set(loaded)
