import ast
import subprocess
import sys
from pathlib import Path

import bimt_core

FOREIGN = ("ray", "optuna", "mlflow", "pandas", "sweeps", "sympy")  # sympy is imported on first use


def test_no_module_imports_the_service():
    modules = sorted(path.stem for path in Path(bimt_core.__file__).parent.glob("*.py") if path.stem != "__init__")
    assert "train" in modules
    show = f"print([name for name in {FOREIGN} if name in sys.modules])"
    program = "\n".join(["import sys", *(f"import bimt_core.{module}" for module in modules), show])
    program += f"\nimport pandas\n{show}"  # the check must be able to fail
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:2] == ["[]", "['pandas']"]


def test_all_lists_the_public_names():
    tree = ast.parse(Path(bimt_core.__file__).read_text())
    imported = [alias.asname or alias.name for n in tree.body if isinstance(n, ast.ImportFrom) for alias in n.names]
    assert sorted(imported) == sorted(bimt_core.__all__)
    assert len(set(bimt_core.__all__)) == len(bimt_core.__all__)


def test_every_public_name_is_documented():
    values = {name: getattr(bimt_core, name) for name in bimt_core.__all__}
    assert [name for name, value in values.items() if callable(value) and not value.__doc__] == []
