import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("program", [[Path(sys.executable).with_name("bimt")], [sys.executable, "-m", "sweeps.cli"]])
def test_the_program_is_installed(program):
    done = subprocess.run([*program, "validate", "none"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bimt: 'none' is neither a file nor a preset; presets are ")
    assert done.stderr.count("\n") == 1
