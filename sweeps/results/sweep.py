"""Sweep: reads a sweep's trials, Pareto front, best configurations and trained networks."""

from pathlib import Path

import pandas as pd

from bimt_core import Population, Task, load_population
from sweeps.errors import BadInputError, StoreError
from sweeps.results.frames import make_frame, select_best
from sweeps.results.networks import TrainedNetwork
from sweeps.spec.sweep import SweepSpec
from sweeps.store import Store
from sweeps.study.storage import list_sweep_names
from sweeps.study.study import SweepStudy
from sweeps.study.trial import Trial
from sweeps.tracking.reading import download_artifact, make_runs_link, read_artifacts
from sweeps.tracking.records import COMPLETED, MEAN, trial_key
from sweeps.worker.artifacts import SKETCH
from sweeps.worker.history import HistoryEntry, deserialize_history

ARTIFACTS_TO_EXPORT = ("config.yaml", "weights.safetensors", "replicates.json", "diagrams")


class Sweep:
    """A finished or running sweep, to read.

    Args:
        study: Study of the sweep.
        store: Store of the sweep.
    """

    def __init__(self, study: SweepStudy, store: Store) -> None:
        self._study, self._store = study, store

    @property
    def spec(self) -> SweepSpec:
        """Spec that was launched."""
        return self._study.spec

    def trials(self) -> pd.DataFrame:
        """Reads all trials, indexed by number: state, hyperparameters, mean and standard error of each metric.

        A retry has its own row, whose `retry_of` names the trial it repeats.

        Examples:
            >>> trials = open_sweep("two_moons").trials()  # doctest: +SKIP
            >>> trials.plot.scatter("cost_weight", "score", yerr="score_stderr", logx=True)  # doctest: +SKIP
        """
        return make_frame(self._study.trials(), self.spec)

    def pareto(self) -> pd.DataFrame:
        """Reads the Pareto front as a frame like that of `trials`, ordered by the first objective.

        Examples:
            >>> open_sweep("two_moons").pareto()[["score", "connection_cost"]]  # doctest: +SKIP
        """
        front, first = make_frame(self._study.front(), self.spec), self.spec.objectives[0]
        return front.sort_values(first.metric, ascending=first.direction == "minimize") if len(front) else front

    def best(self, where: str | None = None, by: str | None = None, n: int = 1) -> pd.DataFrame:
        """Selects the best completed trials as a frame like that of `trials`, the best first.

        Args:
            where: Bounds on metrics, such as "score >= 0.98" or "score >= 0.98 and connection_cost <= 10"; None for
                the sweep's constraints.
            by: Metric that decides, in its own direction (`bimt_core.METRICS`); None for the first objective.
            n: Number of trials.

        Raises:
            BadInputError: If a bound or metric does not exist, or `n` is below 1.

        Examples:
            >>> open_sweep("two_moons").best("score >= 0.98", by="connection_cost", n=3)  # doctest: +SKIP
        """
        return select_best(self.trials(), self.spec, where, by, n)

    def network(self, trial: int, replicate: int = 0) -> TrainedNetwork:
        """Loads a trained network.

        Args:
            trial: Number of a completed trial.
            replicate: Index among the trial's networks.

        Raises:
            BadInputError: If there is no such trial or replicate.
            StoreError: If its weights are not (yet) in MLflow.

        Examples:
            >>> open_sweep("two_moons").network(trial=12, replicate=1).diagram()  # doctest: +SKIP
        """
        self._find_completed(trial)
        replicates = len(self.spec.seeds)
        if not 0 <= replicate < replicates:
            raise BadInputError(f"replicate must be between 0 and {replicates - 1}, got {replicate}")
        population, task = self.population(trial)
        return TrainedNetwork(population.select([replicate]), task, self.spec.seeds[replicate])

    def population(self, trial: int) -> tuple[Population, Task]:
        """Loads a trial's networks, one per replicate, and the task they were trained on, in their precision.

        Args:
            trial: Number of a completed trial.

        Raises:
            BadInputError: If there is no such completed trial.
            StoreError: If its weights are not (yet) in MLflow.

        Examples:
            >>> population, task = open_sweep("two_moons").population(trial=12)  # doctest: +SKIP
            >>> bimt_core.measure(population, task)["score"]  # doctest: +SKIP
        """
        params = self._find_completed(trial).params
        weights = self._download(trial, "weights.safetensors")
        population = load_population(weights, self.spec.recipe(params).network)
        return population, self.spec.load_task().cast(population.flat.dtype)

    def history(self, trial: int) -> tuple[HistoryEntry, ...]:
        """Loads the best replicate of a trial at several steps of its training, each as a population of one.

        Args:
            trial: Number of a completed trial.

        Raises:
            BadInputError: If there is no such completed trial.
            StoreError: If its history is not (yet) in MLflow.

        Examples:
            >>> [entry.step for entry in open_sweep("two_moons").history(trial=12)]  # doctest: +SKIP
        """
        params = self._find_completed(trial).params
        path = self._download(trial, "history.safetensors")
        return deserialize_history(path.read_bytes(), self.spec.recipe(params).network, source=str(path))

    def export(self, trial: int, folder: Path) -> list[Path]:
        """Copies a trial's configuration, weights, metrics and diagrams out of the store; returns their paths.

        Args:
            trial: Number of a completed trial.
            folder: Destination, created if missing.

        Raises:
            BadInputError: If there is no such completed trial, or the folder cannot be written.
            StoreError: If its artifacts are not (yet) in MLflow.

        Examples:
            >>> open_sweep("two_moons").export(12, Path("trial-12"))  # doctest: +SKIP
        """
        self._find_completed(trial)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInputError(f"folder must be writable, got {folder}: {error.strerror}") from error
        return [self._download(trial, name, folder) for name in ARTIFACTS_TO_EXPORT]

    def sketches(self) -> dict[int, str]:
        """Reads a small diagram, as SVG, of every trial that has one in the store, by trial number.

        Raises:
            StoreError: If MLflow cannot be read.
        """
        sketches = read_artifacts(self._store.mlflow_uri, self.spec.name, SKETCH, COMPLETED)
        numbers = {trial_key(self._study.sweep_id, trial.number): trial.number for trial in self._study.trials()}
        return {numbers[key]: svg.decode(errors="replace") for key, svg in sketches.items() if key in numbers}

    def completed_trials(self) -> list[Trial]:
        """Reads the completed trials, in order of number."""
        return [trial for trial in self._study.trials() if trial.state == "COMPLETE"]

    def importances(self) -> dict[str, dict[str, float]]:
        """Computes the importance of each searched hyperparameter; see `sweeps.study.analysis.compute_importances`."""
        return self._study.importances()

    def hypervolumes(self) -> dict[int, float]:
        """Computes the growth of the Pareto front; see `sweeps.study.analysis.compute_hypervolumes`."""
        return self._study.hypervolumes()

    def counts(self) -> dict[str, int]:
        """Counts the trials by state."""
        return {s.lower(): self._study.count(s) for s in ("COMPLETE", "FAIL", "RUNNING", "WAITING")}

    def _find_completed(self, number: int) -> Trial:
        trials = {trial.number: trial for trial in self._study.trials()}
        if number not in trials:
            raise BadInputError(f"trial must be between 0 and {len(trials) - 1}, got {number}")
        if trials[number].state != "COMPLETE":
            raise BadInputError(f"trial must be complete, got trial {number}, which is {trials[number].state}")
        return trials[number]

    def _download(self, trial: int, path: str, folder: Path | None = None) -> Path:
        key = trial_key(self._study.sweep_id, trial)
        copy = download_artifact(self._store.mlflow_uri, self.spec.name, key, path, folder)
        if copy is None:
            raise StoreError(f"MLflow has no run of trial {trial} yet; launch the sweep again to write what waits")
        return copy


def open_sweep(name: str, store: Store | None = None) -> Sweep:
    """Opens a sweep that was launched before.

    Args:
        name: Name of the sweep.
        store: Its store; None for `Store.resolve()`.

    Raises:
        BadInputError: If there is no such sweep.

    Examples:
        >>> sweep = open_sweep("two_moons")  # doctest: +SKIP
        >>> sweep.network(sweep.pareto().index[0]).score()  # doctest: +SKIP
    """
    store = store or Store.resolve()
    return Sweep(SweepStudy.open(store, name), store)


def list_sweeps(store: Store | None = None) -> pd.DataFrame:
    """Lists the sweeps of a store by name, with their tasks and numbers of trials by state.

    Args:
        store: The store; None for `Store.resolve()`.

    Examples:
        >>> list_sweeps()[["task", "trials", "complete"]]  # doctest: +SKIP
    """
    store = store or Store.resolve()
    sweeps = [open_sweep(name, store) for name in list_sweep_names(store)]
    rows = [{"name": s.spec.name, "task": s.spec.task, "trials": s.spec.trials, **s.counts()} for s in sweeps]
    columns = ["name", "task", "trials", "complete", "fail", "running", "waiting"]
    return pd.DataFrame(rows, columns=columns).set_index("name")


def make_front_link(server: str, name: str, store: Store) -> str | None:
    """Returns the address at which an MLflow server shows a sweep's Pareto front; None if it has no such sweep.

    Args:
        server: Address of an MLflow server over the store.
        name: Name of the sweep.
        store: The store.
    """
    first = open_sweep(name, store).spec.objectives[0]
    is_on_front, ascending = "tags.\"bimt.front\" = 'yes'", first.direction == "minimize"
    order = MEAN + first.metric
    return make_runs_link(server, store.mlflow_uri, name, run_filter=is_on_front, order_by=order, ascending=ascending)
