"""What came out: frames of trials, the Pareto front, the best configurations and the trained networks themselves."""

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd

from bimt_core import METRICS, Population, Task, load_population, load_task
from sweeps.errors import BadInputError, StoreError
from sweeps.results.networks import TrainedNetwork
from sweeps.spec.recipe import recipe
from sweeps.spec.sweep import Constraint, SweepSpec, parse_constraint
from sweeps.store import Store
from sweeps.study.storage import list_sweep_names
from sweeps.study.study import SweepStudy, Trial
from sweeps.tracking.reading import download_artifact, make_runs_link, read_artifacts
from sweeps.tracking.records import COMPLETED, MEAN, trial_key
from sweeps.worker.artifacts import SKETCH
from sweeps.worker.history import HistoryEntry, deserialize_history

ARTIFACTS_TO_EXPORT = ("config.yaml", "weights.safetensors", "replicates.json", "diagrams")


class Sweep:
    """A finished or running sweep, to read."""

    def __init__(self, study: SweepStudy, store: Store) -> None:
        self._study, self._store = study, store

    @property
    def spec(self) -> SweepSpec:
        """What was launched."""
        return self._study.spec

    def trials(self) -> pd.DataFrame:
        """Every trial, in order: state, hyperparameters, each metric's mean and standard error over the replicates.

        Returns:
            A frame indexed by trial number. A retry is a row of its own; `retry_of` names the trial it repeats.
        """
        return self._frame(self._study.trials())

    def pareto(self) -> pd.DataFrame:
        """The feasible trials that no other beats in all objectives, ordered by the first objective."""
        records = self._study.trials()
        front = self._frame([records[number] for number in self._study.front()])
        first = self.spec.objectives[0]
        return front.sort_values(first.metric, ascending=first.direction == "minimize") if len(front) else front

    def best(self, where: str | None = None, by: str | None = None, n: int = 1) -> pd.DataFrame:
        """The best completed trials.

        Args:
            where: Bounds on metrics, such as "score >= 0.98" or "score >= 0.98 and connection_cost <= 10"; None for the
                sweep's own constraints.
            by: The metric to be best in, in its own direction (`bimt_core.METRICS`); None for the first objective.
            n: How many.

        Returns:
            A frame like that of `trials`, the best first; empty if none keeps the bounds.

        Raises:
            BadInputError: If a bound or metric does not exist, or `n` is below 1.
        """
        if n < 1:
            raise BadInputError(f"n must be at least 1, got {n}")
        bounds = self.spec.constraints if where is None else _bounds(where)
        metric = by or self.spec.objectives[0].metric
        frame = self.trials()
        frame = frame[frame["state"] == "COMPLETE"]
        for bound in bounds:
            frame = frame[frame[bound.metric].map(bound.violation) <= 0]
        return frame.sort_values(metric, ascending=self._direction(metric) == "minimize", kind="stable").head(n)

    def network(self, trial: int, replicate: int = 0) -> TrainedNetwork:
        """A trained network.

        Args:
            trial: A completed trial's number.
            replicate: Which of its networks, from 0.

        Raises:
            BadInputError: If there is no such trial or replicate.
            StoreError: If its weights are not (yet) in MLflow.
        """
        self._completed(trial)
        replicates = len(self.spec.seeds)
        if not 0 <= replicate < replicates:
            raise BadInputError(f"replicate must be between 0 and {replicates - 1}, got {replicate}")
        population, task = self.population(trial)
        return TrainedNetwork(population.select([replicate]), task, self.spec.seeds[replicate])

    def population(self, trial: int) -> tuple[Population, Task]:
        """All networks of a trial, one a replicate, and the task they were trained on.

        Args:
            trial: A completed trial's number.

        Raises:
            BadInputError: If there is no such completed trial.
            StoreError: If its weights are not (yet) in MLflow.
        """
        record = self._completed(trial)
        task = load_task(self.spec.task, self.spec.data_seed)
        weights = self._artifact(trial, "weights.safetensors")
        population = load_population(weights, recipe(task, record.params).network)
        return population, task.in_dtype(population.flat.dtype)

    def history(self, trial: int) -> tuple[HistoryEntry, ...]:
        """The best replicate of a trial along its training, from its start.

        Args:
            trial: A completed trial's number.

        Returns:
            Moments, each with the number of finished steps and the network as a population of one.

        Raises:
            BadInputError: If there is no such completed trial.
            StoreError: If its history is not (yet) in MLflow.
        """
        record = self._completed(trial)
        path = self._artifact(trial, "history.safetensors")
        network = recipe(load_task(self.spec.task, self.spec.data_seed), record.params).network
        return deserialize_history(path.read_bytes(), network, source=str(path))

    def sketches(self) -> dict[int, str]:
        """A small diagram of every trial that has one in the store, as SVG.

        Raises:
            StoreError: If MLflow cannot be read.
        """
        found = read_artifacts(self._store.mlflow_uri, self.spec.name, SKETCH, COMPLETED)
        keys = {trial_key(self._study.sweep_id, r.number): r.number for r in self._study.trials()}
        return {keys[key]: svg.decode(errors="replace") for key, svg in found.items() if key in keys}

    def importances(self) -> dict[str, dict[str, float]]:
        """How much each searched hyperparameter decides on each objective; see `Ledger.importances`."""
        return self._study.importances()

    def hypervolumes(self) -> dict[int, float]:
        """How much of the objectives' space the front dominates after each trial; see `Ledger.hypervolumes`."""
        return self._study.hypervolumes()

    def export(self, trial: int, folder: Path) -> list[Path]:
        """Copies a trial's configuration, weights, figures and diagrams out of the store.

        Args:
            trial: A completed trial's number.
            folder: Where to; made if it is not there.

        Returns:
            What was written.

        Raises:
            BadInputError: If there is no such completed trial, or the folder cannot be written.
            StoreError: If its artifacts are not (yet) in MLflow.
        """
        self._completed(trial)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInputError(f"folder must be writable, got {folder}: {error.strerror}") from error
        return [self._artifact(trial, name, folder) for name in ARTIFACTS_TO_EXPORT]

    def counts(self) -> dict[str, int]:
        """Number of trials by state."""
        return {s.lower(): self._study.count(s) for s in ("COMPLETE", "FAIL", "RUNNING", "WAITING")}

    def _frame(self, records: list[Trial]) -> pd.DataFrame:
        rows = [self._row(record) for record in records]
        return pd.DataFrame(rows, columns=self._columns()).set_index("trial")

    def _columns(self) -> list[str]:
        figures = [column for name in METRICS for column in (name, f"{name}_stderr")]
        return [
            "trial",
            "state",
            "attempt",
            "retry_of",
            *self.spec.hyperparameters,
            *figures,
            "feasible",
            "reason",
            "started",
            "ended",
        ]

    def _row(self, r: Trial) -> list[Any]:
        figures = [value for name in METRICS for value in (r.mean.get(name, math.nan), r.stderr.get(name, math.nan))]
        params = [r.params.get(name) for name in self.spec.hyperparameters]
        return [r.number, r.state, r.attempt, r.retry_of, *params, *figures, r.feasible, r.reason, r.started, r.ended]

    def _direction(self, metric: str) -> str:
        if metric not in METRICS:
            raise BadInputError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
        own = {objective.metric: objective.direction for objective in self.spec.objectives}
        return own.get(metric, METRICS[metric].direction)

    def _completed(self, trial: int) -> Trial:
        records = {record.number: record for record in self._study.trials()}
        if trial not in records:
            raise BadInputError(f"trial must be between 0 and {len(records) - 1}, got {trial}")
        if records[trial].state != "COMPLETE":
            raise BadInputError(f"trial must be complete, got trial {trial}, which is {records[trial].state}")
        return records[trial]

    def _artifact(self, trial: int, path: str, folder: Path | None = None) -> Path:
        key = trial_key(self._study.sweep_id, trial)
        found = download_artifact(self._store.mlflow_uri, self.spec.name, key, path, folder)
        if found is None:
            raise StoreError(f"MLflow has no run of trial {trial} yet; launch the sweep again to write what waits")
        return found


def open_sweep(name: str, store: Store | None = None) -> Sweep:
    """A sweep that was launched before.

    Args:
        name: Its name.
        store: Where it is kept; None for `Store.resolve()`.

    Raises:
        BadInputError: If there is none of that name.
    """
    store = store or Store.resolve()
    return Sweep(SweepStudy.open(store, name), store)


def make_front_link(server: str, name: str, store: Store) -> str | None:
    """Where an MLflow server shows the charts of a sweep's Pareto front, best first; None if it has no such sweep.

    Args:
        server: Address of an MLflow server over the store.
        name: The sweep.
        store: The store.
    """
    first = open_sweep(name, store).spec.objectives[0]
    return make_runs_link(
        server,
        store.mlflow_uri,
        name,
        where="tags.\"bimt.front\" = 'yes'",
        order_by=MEAN + first.metric,
        ascending=first.direction == "minimize",
    )


def list_sweeps(store: Store | None = None) -> pd.DataFrame:
    """All sweeps of a store: task and number of trials by state, indexed by name."""
    store = store or Store.resolve()
    rows = []
    for name in list_sweep_names(store):
        sweep = open_sweep(name, store)
        rows.append({"name": name, "task": sweep.spec.task, "trials": sweep.spec.trials, **sweep.counts()})
    columns = ["name", "task", "trials", "complete", "fail", "running", "waiting"]
    return pd.DataFrame(rows, columns=columns).set_index("name")


def _bounds(where: str) -> list[Constraint]:
    try:
        return [Constraint.model_validate(parse_constraint(part)) for part in re.split(r",|\band\b", where)]
    except ValueError as error:
        message = error.errors()[0]["msg"] if hasattr(error, "errors") else str(error)
        raise BadInputError(f"where: {message.removeprefix('Value error, ')}") from None
