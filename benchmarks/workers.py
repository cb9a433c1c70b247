"""Two workers against one: the same sweep, one after the other in the same processes' tree, and what the driver uses.

The sweep is independence as published, 20,000 steps, with 96 trials of 4 networks in cohorts of 8 trials, a core each,
not compiled, so that both runs do the same work at the same speed. The time is that of `launch`'s summary, from an
already running Ray to the end of the last cohort and of the front's pictures; the start of the workers' processes
counts in both. With --pairs the two are repeated, in turns, so that a slow spell of the machine meets both; the ratio
is then a mean with its 95 % interval. The driver's part of a core is its own process's CPU time, the report included,
over the whole time of the launch; MLflow's writer is a process of its own. A short sweep in the same store before makes
what is made and loaded once. A pair takes 6 minutes.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

import psutil
from _report import machine
from scipy.stats import t

from sweeps import Store, SweepSpec, launch, parse_spec
from sweeps.cluster.ray_private import TUNE_SETTINGS


@dataclass
class Run:
    """One launch."""

    workers: int
    wall_s: float
    driver_cores: float
    network_steps_per_s: float
    worker_time: dict[str, float]


def spec_of(name: str, trials: int, steps: int, workers: int) -> SweepSpec:
    return parse_spec(
        {
            "name": name,
            "task": "independence",
            "search": {
                "cost_weight": {"low": 3e-4, "high": 1e-2, "log": True},
                "weight_factor": {"low": 0.0, "high": 4.0},
                "steps": steps,
            },
            "objectives": [
                {"metric": "score", "direction": "maximize"},
                {"metric": "connection_cost", "direction": "minimize"},
            ],
            "trials": trials,
            "cohort_size": min(8, trials),
            "concurrent_cohorts": workers,
            "resources": {"cpus": 1, "compile": "never"},
            "sampler": "random",
        }
    )


def run(spec: SweepSpec, store: Store) -> Run:
    assert spec.concurrent_cohorts is not None
    process, begin = psutil.Process(), time.perf_counter()
    before = process.cpu_times()
    summary = launch(spec, store)
    after = process.cpu_times()
    assert (summary.complete, summary.unwritten) == (spec.trials, 0), summary
    used = after.user + after.system - before.user - before.system
    return Run(
        spec.concurrent_cohorts,
        summary.wall_s,
        used / (time.perf_counter() - begin),
        summary.network_steps / summary.wall_s,
        summary.worker_time,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=1)
    given = parser.parse_args()
    import ray

    os.environ.update(TUNE_SETTINGS)
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
    with tempfile.TemporaryDirectory() as folder:
        store = Store.resolve(Path(folder))
        run(spec_of("warm", 2, 400, 2), store)
        pairs = []
        for pair in range(given.pairs):
            order = (1, 2) if pair % 2 == 0 else (2, 1)
            runs = {n: run(spec_of(f"pair{pair}-{n}", given.trials, given.steps, n), store) for n in order}
            pairs.append((runs[1], runs[2]))
            if not given.json:
                told(*pairs[-1])
    ray.shutdown()
    ratios = [one.wall_s / two.wall_s for one, two in pairs]
    half = t.ppf(0.975, len(ratios) - 1) * stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else None
    if given.json:
        found = {"machine": machine(), "ratio": mean(ratios), "half_of_95_interval": half}
        print(json.dumps(found | {"pairs": [[asdict(r) for r in pair] for pair in pairs]}, indent=2))
    else:
        print(f"ratio {mean(ratios):.2f}" + (f" ± {half:.2f} ({len(ratios)} pairs)" if half is not None else ""))


def told(*runs: Run) -> None:
    for r in runs:
        parts = ", ".join(f"{name} {share:.0%}" for name, share in r.worker_time.items())
        print(
            f"{r.workers} worker{'s' * (r.workers > 1)}: {r.wall_s:.1f} s, {r.network_steps_per_s:,.0f} steps/s,"
            f" driver {r.driver_cores:.0%} of a core; worker time: {parts}",
            flush=True,
        )


if __name__ == "__main__":
    main()
