"""Timing in turns, and one way to print a comparison."""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch


@dataclass(frozen=True)
class Row:
    """One comparison; a ratio above 1 means ours is better."""

    case: str
    unit: str
    plain: float
    ours: float
    ratio: float


def seconds(contenders: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median time of each contender; they run in turns, so that a slow spell of the machine meets all of them."""
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(repeats):
        for contender, taken in zip(contenders, times, strict=True):
            begin = time.perf_counter()
            contender()
            taken.append(time.perf_counter() - begin)
    return [median(taken) for taken in times]


def machine() -> str:
    """Processor, cores used and versions, in a line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cpu = models[0] if models else platform.processor() or platform.machine()
    return f"{cpu}, {torch.get_num_threads()} core, Python {platform.python_version()}, torch {torch.__version__}"


def report(description: str | None, rows: Callable[[], Iterable[Row]]) -> None:
    """Runs a benchmark on one core and prints its rows: as a table, or with --json as one object."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    torch.set_num_threads(1)
    if as_json:
        print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows()]}, indent=2))
        return
    print(machine())
    print(f"{'case':40} {'plain':>12} {'ours':>12} {'ratio':>8}  unit")
    for row in rows():
        print(f"{row.case:40} {row.plain:12.5g} {row.ours:12.5g} {row.ratio:7.1f}x  {row.unit}", flush=True)
