"""docs/surgery.md and its example."""

import os
import re
import subprocess
import sys
from pathlib import Path

import bimt_core
from bimt_core import MLP, initialise, load_task

DOCS = Path(__file__).parents[4] / "docs"
PAGE, EXAMPLE = DOCS / "surgery.md", DOCS / "examples" / "surgery.py"


def test_the_example_finds_a_small_network_and_its_formula(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", EXAMPLE]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}  # threads are slow on a busy machine
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    parameters, accuracy = re.search(r"With (\d+) parameters it has accuracy (\d\.\d+):", done.stdout).groups()
    assert int(parameters) < 40
    assert float(accuracy) > 0.95
    assert re.search(r"^silu\(z\) = z/\(1 \+ exp\(-z\)\)\nh1_\d = silu\(", done.stdout, re.M)
    assert re.search(r"^upper moon = \S+\*h2_\d", done.stdout, re.M)
    assert len(re.findall(r"^  place \d of (?:input|hidden\d) *: 0\.\d+$", done.stdout, re.M)) > 2
    assert re.search(rf"^Reverted: {accuracy}$", done.stdout, re.M)
    assert not re.search(rf"^With another bias: {accuracy}$", done.stdout, re.M)
    assert not any(tmp_path.iterdir())


def test_the_code_of_the_page_runs() -> None:
    of = load_task("two_moons")
    known = vars(bimt_core) | {"moons": of, "population": initialise(MLP((2, 8, 8, 2)), range(2))}
    for code in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        exec(code, known)
    assert [len(known["surgery"].earlier), known["surgery"].earlier[0]] == [2, known["small"]]
