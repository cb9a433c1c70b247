"""The cost of a trial in the study: suggesting it and writing it, by storage, sampler and number of earlier trials.

    python benchmarks/study.py [--storages ...] [--samplers ...] [--existing N ...] [--trials N] [--cohort-size N]
        [--trial-s SECONDS] [--json]

The study first gets complete trials with random hyperparameters. Then trials are suggested, started and completed as by
a driver, a cohort at a time, with a constraint and every metric of four networks. Prints milliseconds per trial, apart
for the suggestion and for what is written, and how much of them is CPU time of this process; the rest of the writing is
waiting for a disk or a database. The sampler "auto" chooses by the seconds of a trial, --trial-s.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import optuna
from _printing import make_parser, print_json
from _synthetic import ROW_STDERR, STORAGES, make_metrics, make_spec, open_databases

from sweeps import Store
from sweeps.run.suggestions import Suggester
from sweeps.study.pooling import summarize_trial
from sweeps.study.samplers import SAMPLERS, make_distributions, suggest
from sweeps.study.study import NETWORKS, SweepStudy
from sweeps.study.study import ROW_STDERR as ROW_STDERR_ATTRIBUTE
from sweeps.study.trial import Trial


@dataclass
class Spent:
    """Time that one activity took.

    Args:
        wall_s: Seconds.
        cpu_s: Seconds of CPU time of this process.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Adds the time until the context is left."""
        begin, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall_s += time.perf_counter() - begin
        self.cpu_s += time.process_time() - cpu


@dataclass
class Result:
    """Seconds per trial in one case.

    Args:
        storage: Kind of storage.
        sampler: Sampler of the spec.
        used: Number of suggestions by the sampler that made them.
        existing: Complete trials at the start.
        suggesting_s: Seconds to suggest a trial.
        suggesting_cpu_s: Those of them that are CPU time.
        writing_s: Seconds to start and complete a trial in the storage.
        writing_cpu_s: Those of them that are CPU time.
    """

    storage: str
    sampler: str
    used: dict[str, int]
    existing: int
    suggesting_s: float
    suggesting_cpu_s: float
    writing_s: float
    writing_cpu_s: float


def fill(study: SweepStudy, trials: int) -> None:
    """Adds complete trials to a new study."""
    spec, distributions = study.spec, make_distributions(study.spec)
    directions = [objective.direction for objective in spec.objectives]
    found = suggest(distributions, directions, [], trials, sampler="random", seed=0, trials=trials)
    for number, params in enumerate(found.params):
        networks = make_metrics(number, params)
        values = summarize_trial(Trial(number, "COMPLETE", params), networks, ROW_STDERR, spec).values
        trial = optuna.create_trial(
            params=params,
            distributions=distributions,
            values=[values[o.metric] for o in spec.objectives],
            user_attrs={"role": "search", "seeds": spec.seeds, NETWORKS: networks, ROW_STDERR_ATTRIBUTE: ROW_STDERR},
            constraints={str(c): c.violation(values[c.metric]) for c in spec.constraints},
        )
        study._study.add_trial(trial)


def run_cohort(study: SweepStudy, suggester: Suggester, trial_s: float, suggesting: Spent, writing: Spent) -> int:
    """Suggests, starts and completes the trials of one cohort; returns their number."""
    assert study.spec.cohort_size != "auto"
    with suggesting.measure():
        found = suggester.take(study.known_trials(), study.spec.cohort_size, trial_s)
    with writing.measure():
        trials = [study.start_search(params, found.sampler) for params in found.params]
    networks = [make_metrics(trial.number, trial.params) for trial in trials]
    with writing.measure():
        for trial, values in zip(trials, networks, strict=True):
            study.complete(trial.number, values, ROW_STDERR)
    return len(trials)


def measure_case(storage: str, sampler: str, existing: int, trials: int, cohort_size: int, trial_s: float) -> Result:
    with tempfile.TemporaryDirectory() as name, open_databases(storage, Path(name)) as create:
        store = Store.resolve(Path(name) / "store", storage=create("study"))
        spec = make_spec(existing + trials + cohort_size, cohort_size=cohort_size, sampler=sampler)
        store.prepare(spec.name)
        fill(SweepStudy.launch(store, spec), existing)
        study, suggester = SweepStudy.launch(store, spec), Suggester(spec)
        run_cohort(study, suggester, trial_s, Spent(), Spent())  # reads the existing trials, once
        suggesting, writing, done = Spent(), Spent(), 0
        suggester.counts.clear()
        while done < trials:
            done += run_cohort(study, suggester, trial_s, suggesting, writing)
        suggester.close()
    times = (suggesting.wall_s, suggesting.cpu_s, writing.wall_s, writing.cpu_s)
    return Result(storage, sampler, dict(suggester.counts), existing, *(seconds / done for seconds in times))


def print_result(result: Result) -> None:
    used = ", ".join(f"{n} by {name}" for name, n in result.used.items())
    ms = {name: 1e3 * value for name, value in asdict(result).items() if name.endswith("_s")}
    print(
        f"{result.storage}, {result.sampler} ({used}), {result.existing} trials: per trial {ms['suggesting_s']:.1f} ms"
        f" suggesting ({ms['suggesting_cpu_s']:.1f} CPU), {ms['writing_s']:.1f} ms writing"
        f" ({ms['writing_cpu_s']:.1f} CPU)",
        flush=True,
    )


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--storages", nargs="+", default=STORAGES, choices=STORAGES)
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS, choices=SAMPLERS)
    parser.add_argument("--existing", nargs="+", type=int, default=[100, 1000], help="trials that the study has")
    parser.add_argument("--trials", type=int, default=48, help="trials that are measured, in whole cohorts")
    parser.add_argument("--cohort-size", type=int, default=8)
    parser.add_argument("--trial-s", type=float, default=10.0, help="seconds that a trial takes one worker")
    options = parser.parse_args()
    results = []
    for storage, sampler, existing in product(options.storages, options.samplers, options.existing):
        results.append(measure_case(storage, sampler, existing, options.trials, options.cohort_size, options.trial_s))
        if not options.json:
            print_result(results[-1])
    if options.json:
        print_json({"rows": [asdict(result) for result in results]})


if __name__ == "__main__":
    main()
