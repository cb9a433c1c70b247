"""What a trial costs the ledger: asked and told, by storage, sampler and number of trials that there are already.

Trials of random hyperparameters are put into the study first; then so many are asked and told as by a driver, with a
constraint and every metric's mean and standard error. Seconds a trial, and how much of it is this process's CPU time:
the rest is waiting for a disk or a database.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import optuna
from _made_up import STORAGES, databases, figures_of, spec_of
from _report import machine

from sweeps import Store
from sweeps.study.samplers import make_distributions
from sweeps.study.study import FIGURES, SweepStudy
from sweeps.tracking import records

SAMPLERS = ("tpe", "random", "nsga2")


@dataclass
class Found:
    """Seconds a trial in one case."""

    storage: str
    sampler: str
    there: int
    s_per_trial: float
    cpu_s_per_trial: float


def filled(study: SweepStudy, trials: int) -> None:
    """Puts complete trials into a study that nobody has asked yet."""
    random, searched = np.random.default_rng(0), make_distributions(study.spec)
    for number in range(trials):
        params = {name: float(random.uniform(d.low, d.high)) for name, d in searched.items()}
        mean, stderr = records.summarize_replicates(figures_of(number, params))
        trial = optuna.create_trial(
            params=params,
            distributions=searched,
            values=[mean[o.metric] for o in study.spec.objectives],
            user_attrs={FIGURES: {"mean": mean, "stderr": stderr}},
            constraints={str(c): c.violation(mean[c.metric]) for c in study.spec.constraints},
        )
        study._study.add_trial(trial)


def told(study: SweepStudy) -> None:
    attempt = study.ask()
    assert attempt is not None
    study.complete(attempt.number, *records.summarize_replicates(figures_of(attempt.number, attempt.params)))


def measured(storage: str, sampler: str, there: int, trials: int) -> Found:
    with tempfile.TemporaryDirectory() as name, databases(storage, Path(name)) as new:
        store = Store.resolve(Path(name) / "store", storage=new("study"))
        spec = spec_of(there + trials + 1, 8, 1, sampler)
        store.prepare(spec.name)
        filled(SweepStudy.launch(store, spec), there)
        study = SweepStudy.launch(store, spec)
        told(study)  # reads what is there, once
        begin, cpu = time.perf_counter(), time.process_time()
        for _ in range(trials):
            told(study)
        taken, used = time.perf_counter() - begin, time.process_time() - cpu
    return Found(storage, sampler, there, taken / trials, used / trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--storages", nargs="+", default=STORAGES, choices=STORAGES)
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS, choices=SAMPLERS)
    parser.add_argument("--there", nargs="+", type=int, default=[100, 1000])
    parser.add_argument("--trials", type=int, default=50)
    given = parser.parse_args()
    rows = []
    for storage in given.storages:
        for sampler in given.samplers:
            for there in given.there:
                r = measured(storage, sampler, there, given.trials)
                rows.append(r)
                if not given.json:
                    print(
                        f"{storage}, {sampler}, {there} trials: {1e3 * r.s_per_trial:.1f} ms a trial,"
                        f" {1e3 * r.cpu_s_per_trial:.1f} of them CPU",
                        flush=True,
                    )
    if given.json:
        print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2))


if __name__ == "__main__":
    main()
