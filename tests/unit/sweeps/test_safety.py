"""What docs/security.md says of both packages: nothing unpickles, evaluates, opens a shell or listens to everybody."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
FILES = sorted(path for package in ("bimt_core", "sweeps") for path in (PROJECT / package).rglob("*.py"))
MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
CALLS = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"}
CALLS |= {"numpy.load", "np.load", "pandas.read_pickle", "pd.read_pickle", "torch.jit.load", "torch.package"}
CALLS |= {"mlflow.pyfunc.load_model", "mlflow.pytorch.load_model"}


def dangers(source: str) -> list[str]:
    """What of it takes data for code, or opens a door, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"{node.lineno}: import {name}" for name in names if name.split(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            name, given = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            weights = name in ("torch.load", "load") and "weights_only" in given
            if name in CALLS or (name == "torch.load" and not (weights and given["weights_only"] == "True")):
                found.append(f"{node.lineno}: {name}()")
            if given.get("shell", "False") != "False":
                found.append(f"{node.lineno}: {name}(shell=...)")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "0.0.0.0" in node.value:
            found.append(f"{node.lineno}: an address of everybody")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_data_are_taken_for_code(path):
    assert dangers(path.read_text()) == []


def test_there_are_files_to_look_at():
    assert {"train.py", "results.py", "files.py"} <= {path.name for path in FILES}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "import os, shelve",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "eval(text)",
        "exec(text)",
        "subprocess.run(command, shell=True)",
        "subprocess.run(command, shell=given)",
        "os.system(command)",
        "np.load(path)",
        "server.bind('0.0.0.0')",
    ],
)
def test_it_would_be_seen(source):
    assert len(dangers(source)) == 1


@pytest.mark.parametrize(
    "source",
    ["torch.load(path, weights_only=True)", "yaml.safe_load(text)", "subprocess.run(command)", "model.eval()"],
)
def test_what_is_safe_is_let_through(source):
    assert dangers(source) == []
