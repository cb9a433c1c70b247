"""Fixtures that run the command line in this process."""

import json
import sys

import pytest


@pytest.fixture
def bimt(monkeypatch, capsys, tmp_path):
    """Runs a command in an empty folder; returns its exit code, output and error lines."""
    from sweeps.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bimt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err.splitlines()

    return run


@pytest.fixture
def bimt_json(bimt):
    """Runs a command with --json; returns its data."""

    def refuse(constant):
        pytest.fail(f"{constant} is not JSON")

    def run(*arguments):
        code, out, errors = bimt(*arguments, "--json")
        assert (code, errors) == (0, [])
        return json.loads(out, parse_constant=refuse)

    return run


def list_files(folder):
    """Lists everything below a folder."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))
