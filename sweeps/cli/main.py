"""The program `bimt`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweeps import __version__
from sweeps.cli.launching import launching
from sweeps.cli.results import results
from sweeps.cli.specs import specs
from sweeps.cli.ui import interface
from sweeps.errors import BadInputError, SweepError

app = typer.Typer(
    help="Sweeps of Brain-Inspired Modular Training.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
for commands in (specs, launching, results, interface):
    app.add_typer(commands)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"bimt-sweeps {__version__}")
        raise typer.Exit


@app.callback()
def _accept_version(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the console script; errors that a person must act on are printed as one line each."""
    try:
        if sys.platform == "win32":
            raise BadInputError("bimt-sweeps needs a POSIX system such as Linux or macOS, got Windows; WSL works")
        sys.path.append(str(Path.cwd()))  # the user's own tasks, module:function
        app()
    except SweepError as error:
        for line in str(error).splitlines():
            print(f"bimt: {line}", file=sys.stderr)
        sys.exit(2 if isinstance(error, BadInputError) else 1)
