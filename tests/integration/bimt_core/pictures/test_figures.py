import subprocess
import sys


def test_drawing_all_figures_needs_no_pyplot():
    code = """
import sys
from bimt_core import Communities, initialise, load_task, plot_all, to_png
for name in ("two_moons", "permutation_s4"):
    task = load_task(name)
    population = initialise(task.network, [0], dtype=task.dtype)
    for figure in plot_all(population, task, communities=Communities(0.0, ())).values():
        to_png(figure)
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
