"""The cost of a trial in the study: asking for it and completing it, by storage, sampler and number of earlier trials.

    python benchmarks/study.py [--storages ...] [--samplers ...] [--existing N ...] [--trials N] [--json]

The study first gets complete trials with random hyperparameters. Then trials are asked for and completed as by a
driver, with a constraint and every metric's mean and standard error. Prints milliseconds per trial, and how much of it
is CPU time of this process; the rest is waiting for a disk or a database.
"""

import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import optuna
from _printing import make_parser, print_json
from _synthetic import STORAGES, make_metrics, make_spec, open_databases

from sweeps import Store
from sweeps.study.samplers import make_distributions
from sweeps.study.statistics import summarize_replicates
from sweeps.study.study import METRICS, SweepStudy

SAMPLERS = ("tpe", "random", "nsga2")


@dataclass
class Result:
    """Seconds per trial in one case."""

    storage: str
    sampler: str
    existing: int
    s_per_trial: float
    cpu_s_per_trial: float


def fill(study: SweepStudy, trials: int) -> None:
    """Adds complete trials to a new study."""
    random, distributions = np.random.default_rng(0), make_distributions(study.spec)
    for number in range(trials):
        params = {name: float(random.uniform(d.low, d.high)) for name, d in distributions.items()}
        mean, stderr = summarize_replicates(make_metrics(number, params))
        trial = optuna.create_trial(
            params=params,
            distributions=distributions,
            values=[mean[o.metric] for o in study.spec.objectives],
            user_attrs={METRICS: {"mean": mean, "stderr": stderr}},
            constraints={str(c): c.violation(mean[c.metric]) for c in study.spec.constraints},
        )
        study._study.add_trial(trial)


def ask_and_complete(study: SweepStudy) -> None:
    trial = study.ask()
    assert trial is not None
    study.complete(trial.number, *summarize_replicates(make_metrics(trial.number, trial.params)))


def measure_case(storage: str, sampler: str, existing: int, trials: int) -> Result:
    with tempfile.TemporaryDirectory() as name, open_databases(storage, Path(name)) as create:
        store = Store.resolve(Path(name) / "store", storage=create("study"))
        spec = make_spec(existing + trials + 1, sampler=sampler)
        store.prepare(spec.name)
        fill(SweepStudy.launch(store, spec), existing)
        study = SweepStudy.launch(store, spec)
        ask_and_complete(study)  # reads the existing trials, once
        begin, cpu = time.perf_counter(), time.process_time()
        for _ in range(trials):
            ask_and_complete(study)
        seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu
    return Result(storage, sampler, existing, seconds / trials, cpu_seconds / trials)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--storages", nargs="+", default=STORAGES, choices=STORAGES)
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS, choices=SAMPLERS)
    parser.add_argument("--existing", nargs="+", type=int, default=[100, 1000], help="trials that the study has")
    parser.add_argument("--trials", type=int, default=50, help="trials that are measured")
    options = parser.parse_args()
    results = []
    for storage, sampler, existing in product(options.storages, options.samplers, options.existing):
        result = measure_case(storage, sampler, existing, options.trials)
        results.append(result)
        if not options.json:
            print(
                f"{storage}, {sampler}, {existing} trials: {1e3 * result.s_per_trial:.1f} ms per trial,"
                f" {1e3 * result.cpu_s_per_trial:.1f} of them CPU",
                flush=True,
            )
    if options.json:
        print_json({"rows": [asdict(result) for result in results]})


if __name__ == "__main__":
    main()
