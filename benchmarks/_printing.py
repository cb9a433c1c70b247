"""Timing and output of the benchmarks."""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        case: Name of the case.
        unit: Unit of both values.
        reference: Value of the reference implementation.
        ours: Value of this project.
        ratio: How much better ours is; above 1 is better.
    """

    case: str
    unit: str
    reference: float
    ours: float
    ratio: float


def measure_seconds(contenders: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Measures the median time of each contender. They run in turns, so that slow periods affect all of them."""
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(repeats):
        for contender, measured in zip(contenders, times, strict=True):
            begin = time.perf_counter()
            contender()
            measured.append(time.perf_counter() - begin)
    return [median(measured) for measured in times]


def describe_machine() -> str:
    """Names processor, cores in use and versions, in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cpu = models[0] if models else platform.processor() or platform.machine()
    return f"{cpu}, {torch.get_num_threads()} core, Python {platform.python_version()}, torch {torch.__version__}"


def make_parser(description: str | None, *, json: bool = True) -> argparse.ArgumentParser:
    """Creates a parser, with the option --json unless the benchmark has none."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def print_json(values: dict[str, Any]) -> None:
    """Prints values, with the machine, as one JSON object."""
    print(json.dumps({"machine": describe_machine(), **values}, indent=2))


def run(description: str | None, rows: Callable[[], Iterable[Row]]) -> None:
    """Runs a benchmark on one core and prints its rows: as a table, or with --json as one object."""
    options = make_parser(description).parse_args()
    torch.set_num_threads(1)
    if options.json:
        print_json({"rows": [asdict(row) for row in rows()]})
        return
    print(describe_machine())
    print(f"{'case':40} {'reference':>12} {'ours':>12} {'ratio':>8}  unit")
    for row in rows():
        print(f"{row.case:40} {row.reference:12.5g} {row.ours:12.5g} {row.ratio:7.1f}x  {row.unit}", flush=True)
