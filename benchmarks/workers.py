"""Two workers against one on the same sweep, and the CPU time of the driver.

    python benchmarks/workers.py [--trials N] [--steps N] [--pairs N] [--json]

The sweep is independence as published (20,000 steps), with the baseline and 95 other trials of 4 networks in cohorts of
8 trials, one core per cohort. It is not compiled, so both runs do the same work at the same speed. A pair takes six
minutes. The time is that of `launch`'s summary, with Ray already running: from the start of the workers to the end of
the front's pictures. With --pairs the runs are repeated in turns, so that slow periods affect both; the ratio is then a
mean with its 95 % interval. The driver's share of a core is the CPU time of its process, report included, over the time
of the launch; MLflow's writer is another process. A short sweep in the same store first creates and loads what is
needed only once.
"""

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

import psutil
from _printing import make_parser, print_json
from _synthetic import start_ray
from scipy.stats import t

from sweeps import Store, SweepSpec, launch, parse_spec


@dataclass
class Run:
    """One launch."""

    workers: int
    wall_s: float
    driver_cores: float
    network_steps_per_s: float
    worker_time: dict[str, float]


def make_spec(name: str, trials: int, steps: int, workers: int) -> SweepSpec:
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
                {"metric": "val_score", "direction": "maximize"},
                {"metric": "connection_cost", "direction": "minimize"},
            ],
            "trials": trials,
            "cohort_size": min(8, trials),
            "concurrent_cohorts": workers,
            "resources": {"cpus": 1, "compile": "never"},
            "sampler": "random",
        }
    )


def measure_launch(spec: SweepSpec, store: Store) -> Run:
    assert spec.concurrent_cohorts is not None
    process, begin = psutil.Process(), time.perf_counter()
    before = process.cpu_times()
    summary = launch(spec, store)
    after = process.cpu_times()
    assert (summary.complete, summary.unwritten) == (spec.trials, 0), summary
    cpu_s = after.user + after.system - before.user - before.system
    return Run(
        spec.concurrent_cohorts,
        summary.wall_s,
        cpu_s / (time.perf_counter() - begin),
        summary.network_steps / summary.wall_s,
        summary.worker_time,
    )


def print_run(run: Run) -> None:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in run.worker_time.items())
    print(
        f"{run.workers} worker{'s' * (run.workers > 1)}: {run.wall_s:.1f} s, {run.network_steps_per_s:,.0f} steps/s,"
        f" driver {run.driver_cores:.0%} of a core; worker time: {shares}",
        flush=True,
    )


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--trials", type=int, default=95)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=1)
    options = parser.parse_args()
    pairs = []
    with tempfile.TemporaryDirectory() as folder, start_ray():
        store = Store.resolve(Path(folder))
        measure_launch(make_spec("warm", 2, 400, 2), store)
        for pair in range(options.pairs):
            order = (1, 2) if pair % 2 == 0 else (2, 1)
            specs = {n: make_spec(f"pair{pair}-{n}", options.trials, options.steps, n) for n in order}
            runs = {n: measure_launch(spec, store) for n, spec in specs.items()}
            pairs.append((runs[1], runs[2]))
            if not options.json:
                print_run(runs[1])
                print_run(runs[2])
    ratios = [one.wall_s / two.wall_s for one, two in pairs]
    half = t.ppf(0.975, len(ratios) - 1) * stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else None
    if options.json:
        values = {"ratio": mean(ratios), "half_of_95_interval": half}
        print_json(values | {"pairs": [[asdict(run) for run in pair] for pair in pairs]})
    else:
        print(f"ratio {mean(ratios):.2f}" + (f" ± {half:.2f} ({len(ratios)} pairs)" if half is not None else ""))


if __name__ == "__main__":
    main()
