"""Tables of real trials, from which `benchmarks/search.py` makes its problems.

    python benchmarks/search_table.py [--tables TABLE ...] [--processes N] [--parts FOLDER]

Trains the published set-ups of several tasks with the relocation of sweeps: 500 configurations (scrambled Sobol) of
four hyperparameters with 4 seeds each for independence, feature_sharing and two_moons, 96 for digits and
compositionality. Networks are measured after each quarter of the steps. The table "planted" is one configuration of
two_moons with 1,024 seeds, measured at the end on 25 validation and 25 test sets of 2,000 rows each. Writes
benchmarks/tables/TABLE.npz. Takes about 45 minutes on two cores; a run that was stopped goes on at its finished parts.
"""

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from _printing import make_parser
from _search_landscapes import SPACE
from sklearn.datasets import make_moons

from bimt_core import Population, Task, initialise, load_task, measure, start, train
from sweeps.spec.recipe import Recipe, recipe
from sweeps.study.sampling.unit_cube import UnitCube, draw_sobol

TABLES = Path(__file__).with_name("tables")
CONFIGURATIONS = {
    "two_moons": 500,
    "independence": 500,
    "feature_sharing": 500,
    "digits": 96,
    "compositionality": 96,
}
SEEDS = 4
FRACTIONS = (0.25, 0.5, 0.75, 1.0)
METRICS = (
    "val_loss",
    "val_score",
    "test_loss",
    "test_score",
    "connection_cost",
    "active_weights",
    "modularity",
)
PART = 32  # configurations that are trained as one population
PLANTED_SEEDS, PLANTED_PART, PLANTED_SETS, PLANTED_ROWS = 1024, 128, 25, 2000
MANTISSA_BITS = 13  # that are kept: steps of 1/8,192, far below the spread between seeds


@dataclass(frozen=True)
class Part:
    """Networks that are trained as one population.

    Args:
        table: Name of the table.
        first: Number of the first configuration, or of the first seed of "planted".
        last: Number after the last one.
    """

    table: str
    first: int
    last: int

    @property
    def file_name(self) -> str:
        """Name of the file that keeps the result."""
        return f"{self.table}-{self.first:04d}-{self.last:04d}.npz"


def draw_configurations(table: str) -> np.ndarray:
    """Draws the configurations of a table, shape (configurations, hyperparameters)."""
    cube = UnitCube(SPACE)
    points = draw_sobol(len(cube), max(CONFIGURATIONS.values()), seed=sorted(CONFIGURATIONS).index(table))
    chosen = [cube.configuration(point) for point in points[: CONFIGURATIONS[table]]]
    return np.array([list(params.values()) for params in chosen])


def list_parts(table: str) -> list[Part]:
    """Lists the parts of a table."""
    total, size = (PLANTED_SEEDS, PLANTED_PART) if table == "planted" else (CONFIGURATIONS[table], PART)
    return [Part(table, first, last) for first, last in pairwise([*range(0, total, size), total])]


def train_part(part: Part, folder: Path) -> None:
    """Trains and measures a part and writes its file, unless that exists."""
    path = folder / part.file_name
    if path.exists():
        return
    arrays = measure_planted(part) if part.table == "planted" else measure_configurations(part)
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("wb") as file:
        np.savez(file, **arrays)
    unfinished.rename(path)


def measure_configurations(part: Part) -> dict[str, np.ndarray]:
    """Trains every configuration with every seed: values of shape (configurations, seeds, fractions, metrics)."""
    task, chosen = load_task(part.table), draw_configurations(part.table)[part.first : part.last]
    recipes = [recipe(task, dict(zip(SPACE, map(float, row), strict=True))) for row in chosen]
    seeds = list(range(SEEDS)) * len(recipes)
    values = [
        np.stack([metrics[name].numpy().reshape(-1, SEEDS) for name in METRICS], axis=-1)
        for population in train_networks(task, [r for r in recipes for _ in range(SEEDS)], seeds, FRACTIONS)
        for metrics in [measure(population, task, louvain_seeds=2, transforms=("layer_max",), thorough=False)]
    ]
    return {"values": np.stack(values, axis=2)}


def measure_planted(part: Part) -> dict[str, np.ndarray]:
    """Trains one configuration with many seeds and measures it on many sets of rows."""
    task, seeds = load_task("two_moons"), list(range(part.first, part.last))
    (population,) = train_networks(task, [recipe(task, {})] * len(seeds), seeds, (1.0,))
    metrics = measure(population, task, louvain_seeds=2, transforms=("layer_max",), thorough=False)
    arrays = {name: metrics[name].numpy() for name in ("connection_cost", "active_weights", "modularity")}
    for kind, begin in (("val", 10_000), ("test", 20_000)):
        losses, right = [], []
        for data_seed in range(begin, begin + PLANTED_SETS):
            x, y = make_moons(PLANTED_ROWS, noise=0.1, random_state=data_seed)
            outputs, targets = population.predict(torch.from_numpy(x).float()), torch.from_numpy(y).long()
            losses.append(task.loss(outputs, targets).numpy())
            right.append((outputs.argmax(2) == targets).sum(1).numpy())
        arrays[f"{kind}_loss"], arrays[f"{kind}_right"] = np.stack(losses, 1), np.stack(right, 1)
    return arrays


def train_networks(
    task: Task, recipes: list[Recipe], seeds: list[int], fractions: tuple[float, ...]
) -> Iterator[Population]:
    """Trains one network per recipe and yields the population after each fraction of the steps."""
    network, shared = recipes[0].shape
    points = [round(shared.steps * fraction) for fraction in fractions]
    begin = start(initialise(network, seeds, dtype=task.dtype))
    for snapshot in train(begin, task, [r.per_network for r in recipes], shared, points, compiled=True):
        yield snapshot.population


def write_table(table: str, folder: Path) -> None:
    """Joins the parts of a table."""
    parts = [np.load(folder / part.file_name) for part in list_parts(table)]
    arrays = {name: shorten(np.concatenate([part[name] for part in parts])) for name in parts[0].files}
    if table == "planted":
        np.savez_compressed(TABLES / "planted.npz", rows=PLANTED_ROWS, **arrays)
    else:
        labels = {"hyperparameters": tuple(SPACE), "fractions": FRACTIONS, "metrics": METRICS}
        configurations = draw_configurations(table).astype(np.float32)
        np.savez_compressed(TABLES / f"{table}.npz", configurations=configurations, **arrays, **labels)


def shorten(values: np.ndarray) -> np.ndarray:
    """Rounds to what a small file can keep: float32 with a short mantissa, or whole numbers up to 65,535."""
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.uint16)
    dropped = 23 - MANTISSA_BITS
    bits = values.astype(np.float32).view(np.uint32)
    rounded = (bits + np.uint32(1 << (dropped - 1))) & np.uint32(~((1 << dropped) - 1) & 0xFFFFFFFF)
    return np.where(np.isfinite(values), rounded.view(np.float32), np.float32(np.nan))


def initialize_worker() -> None:
    os.nice(15)
    torch.set_num_threads(1)


def parse_options() -> argparse.Namespace:
    parser = make_parser(__doc__, json=False)
    names = ("planted", *CONFIGURATIONS)
    parser.add_argument("--tables", nargs="+", default=names, choices=names)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--parts", type=Path, default=TABLES / "parts", help="folder of finished parts")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    options.parts.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.processes, get_context("spawn"), initialize_worker) as pool:
        for table in options.tables:
            begin, parts = time.perf_counter(), list_parts(table)
            for done, _ in enumerate(pool.map(train_part, parts, [options.parts] * len(parts)), start=1):
                print(f"{table}: {done} of {len(parts)} parts, {time.perf_counter() - begin:.0f} s", flush=True)
            write_table(table, options.parts)


if __name__ == "__main__":
    main()
