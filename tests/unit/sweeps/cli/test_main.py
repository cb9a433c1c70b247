import sys

from support.command_line import list_files
from typer.main import get_command

import sweeps
from sweeps.cli.main import app

COMMANDS = (
    "tasks presets validate plan launch resume confirm stop ls status logs"
    " trials pareto best networks compare report export ui"
)


def test_the_version_is_printed(bimt):
    assert bimt("--version") == (0, f"bimt-sweeps {sweeps.__version__}\n", [])


def test_help_lists_every_command_with_a_short_line(bimt):
    code, out, errors = bimt("--help")
    assert (code, errors) == (0, [])
    listed = dict(line.split(maxsplit=1) for line in out.partition("Commands:\n")[2].splitlines())
    assert sorted(listed) == sorted(COMMANDS.split())
    for name, summary in listed.items():
        assert summary.endswith(".") and "..." not in summary, name
    for name, command in get_command(app).commands.items():
        undocumented = [p.name for p in command.params if not p.help and not getattr(p, "hidden", False)]
        assert undocumented == [], name


def test_windows_is_refused(bimt, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    code, out, errors = bimt("presets")
    assert (code, out) == (2, "")
    assert errors == ["bimt: bimt-sweeps needs a POSIX system such as Linux or macOS, got Windows; WSL works"]


def test_unknown_words_are_errors(bimt, tmp_path):
    for arguments in (
        ["nonsense"],
        ["tasks", "--colour"],
        ["validate"],
        ["best", "x", "--n", "0"],
        ["confirm", "x", "--replicates", "1"],
        ["confirm", "x", "--data-seed", "-1"],
        ["export", "x", "first", "y"],
    ):
        code, out, errors = bimt(*arguments)
        assert (code, out) == (2, "")
        assert errors[-1].startswith("Error: ")
    assert list_files(tmp_path) == []
