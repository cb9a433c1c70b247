"""A short sweep against its recording: the same weights bit for bit on the same kind of machine, close on any other.

Recorded again by: BIMT_RECORD=1 pytest tests/integration/sweeps/run/test_reference_sweep.py
"""

import hashlib
import json
import os
import platform
from pathlib import Path

import pytest
import torch

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
            {"metric": "score", "direction": "maximize"},
            {"metric": "connection_cost", "direction": "minimize"},
        ],
        "trials": 8,
        "replicates": 2,
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
        "objectives": [{"metric": "test_loss", "direction": "minimize"}],
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


def test_short_sweeps_train_the_recorded_weights(local_ray, tmp_path, new_store):
    found = {}
    for data in SPECS:
        store = new_store(tmp_path / data["name"], data["name"])
        launch(parse_spec(data), store)
        sweep = open_sweep(data["name"], store)
        trials = sweep.trials()
        for number in trials.index[trials["state"] == "COMPLETE"]:
            population, _ = sweep.population(int(number))
            digest = hashlib.sha256(population.flat.contiguous().numpy().tobytes()).hexdigest()
            row = {"sha256": digest[:16], "test_loss": float(trials.loc[number, "test_loss"])}
            found[f"{data['name']}/{number}"] = row | {"modularity": float(trials.loc[number, "modularity"])}
    if os.environ.get("BIMT_RECORD"):
        RECORDING.write_text(json.dumps({"machine": machine(), "trials": found}, indent=1) + "\n")
    recorded = json.loads(RECORDING.read_text())
    if recorded["machine"] == machine():
        assert found == recorded["trials"]
    assert found.keys() == recorded["trials"].keys()
    for name, row in recorded["trials"].items():
        assert found[name]["test_loss"] == pytest.approx(row["test_loss"], rel=0.05), name
