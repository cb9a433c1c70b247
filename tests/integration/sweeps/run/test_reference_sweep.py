"""A short sweep against its recording: the same weights bit for bit on the same kind of machine, close on any other.

Recorded again by: BIMT_RECORD=1 pytest tests/integration/sweeps/run/test_reference_sweep.py
"""

import hashlib
import json
import os
import platform
from pathlib import Path
from typing import Any

import pytest
import torch

from bimt_core import Population, Task, measure
from sweeps import launch, open_sweep, parse_spec

RECORDING = Path(__file__).parents[3] / "reference" / "short_sweeps.json"
SPECS = [
    {
        "name": "moons",
        "task": "two_moons",
        "search": {
            "cost_weight": {"low": 1e-4, "high": 1e-2, "log": True},
            "hidden_width": {"choices": [10, 20]},
            "steps": 400,
            "relocation": {"choices": ["greedy", "assignment"]},
        },
        "objectives": [
            {"metric": "val_score", "direction": "maximize"},
            {"metric": "connection_cost", "direction": "minimize"},
        ],
        "trials": 8,
        "replicates": 2,
        "confirm": {"replicates": 2},
        "evaluations": 2,
        "cohort_size": 4,
        "concurrent_cohorts": 1,
        "sampler": "random",
        "seed": 3,
        "resources": {"compile": "never"},
    },
    {
        "name": "variants",
        "task": "modular_addition",
        "search": {"steps": 60, "relocate_every": 30},
        "variants": {
            "vanilla": {"cost_weight": 0.0, "relocation": "none"},
            "BIMT": {"relocation": "greedy", "move_moments": False},
        },
        "objectives": [{"metric": "val_loss", "direction": "minimize"}],
        "replicates": 1,
        "evaluations": 1,
        "concurrent_cohorts": 1,
        "resources": {"compile": "never"},
    },
]


def machine() -> str:
    """The kind of machine that decides the rounding of products."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def describe(populations: dict[str, Population], task: Task) -> dict[str, dict[str, Any]]:
    """Digest of the weights, and means of metrics, of each population."""
    rows = {}
    for name, population in populations.items():
        digest = hashlib.sha256(population.flat.contiguous().numpy().tobytes()).hexdigest()
        metrics = measure(population, task, louvain_seeds=1, thorough=False)
        means = {metric: float(metrics[metric].mean()) for metric in ("test_loss", "modularity")}
        rows[name] = {"sha256": digest[:16], **means}
    return rows


def test_short_sweeps_train_the_recorded_weights(local_ray, tmp_path, new_store):
    found = {}
    for data in SPECS:
        store = new_store(tmp_path / data["name"], data["name"])
        summary = launch(parse_spec(data), store)
        sweep = open_sweep(data["name"], store)
        trials = [*map(int, sweep.baseline().index), *(trial.number for trial in sweep.completed_trials())]
        trained = {f"{data['name']}/{number}": sweep.population(number)[0] for number in sorted(set(trials))}
        for confirmed in summary.confirmed:
            number = confirmed.trial.number
            trained[f"{data['name']}/{number}, confirmed"] = sweep.population(number, "confirmation")[0]
        found |= describe(trained, sweep.spec.load_task())
    if os.environ.get("BIMT_RECORD"):
        RECORDING.write_text(json.dumps({"machine": machine(), "trials": found}, indent=1) + "\n")
    recorded = json.loads(RECORDING.read_text())
    if recorded["machine"] == machine():
        assert found == recorded["trials"]
    assert found.keys() == recorded["trials"].keys()
    for name, row in recorded["trials"].items():
        assert found[name]["test_loss"] == pytest.approx(row["test_loss"], rel=0.05), name
