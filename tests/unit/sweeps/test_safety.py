"""The promises of docs/security.md about both packages: no unpickling, no evaluation, no shell, no open address."""

import ast
from pathlib import Path

PROJECT = Path(__file__).parents[3]
MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
CALLS = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"}
CALLS |= {"numpy.load", "np.load", "pandas.read_pickle", "pd.read_pickle", "torch.jit.load", "torch.package"}
CALLS |= {"mlflow.pyfunc.load_model", "mlflow.pytorch.load_model"}
DANGEROUS = """
import pickle
from cloudpickle import loads
import os, shelve
yaml.load(text)
yaml.load(text, Loader=yaml.SafeLoader)
torch.load(path)
torch.load(path, weights_only=False)
eval(text)
exec(text)
subprocess.run(command, shell=True)
subprocess.run(command, shell=variable)
os.system(command)
np.load(path)
server.bind('0.0.0.0')
"""
SAFE = """
torch.load(path, weights_only=True)
yaml.safe_load(text)
subprocess.run(command)
model.eval()
"""


def find_dangers(source: str) -> list[str]:
    """Lists what treats data as code or opens an address to everybody, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"{node.lineno}: import {name}" for name in names if name.split(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            name, arguments = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            if name in CALLS or (name == "torch.load" and arguments.get("weights_only") != "True"):
                found.append(f"{node.lineno}: {name}()")
            if arguments.get("shell", "False") != "False":
                found.append(f"{node.lineno}: {name}(shell=...)")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "0.0.0.0" in node.value:
            found.append(f"{node.lineno}: an address of everybody")
    return found


def test_both_packages_are_safe():
    files = [path for package in ("bimt_core", "sweeps") for path in (PROJECT / package).rglob("*.py")]
    assert {"train.py", "driver.py", "files.py"} <= {path.name for path in files}
    dangers = {str(path.relative_to(PROJECT)): find_dangers(path.read_text()) for path in files}
    assert {path: found for path, found in dangers.items() if found} == {}


def test_every_danger_would_be_found():
    for line in DANGEROUS.strip().splitlines():
        assert len(find_dangers(line)) == 1, line


def test_safe_code_is_accepted():
    for line in SAFE.strip().splitlines():
        assert find_dangers(line) == [], line
