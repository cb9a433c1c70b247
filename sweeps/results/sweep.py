"""Sweep: reads a sweep's trials, Pareto front, best configurations and trained networks."""

from pathlib import Path

import pandas as pd

from bimt_core import Population, Task, concatenate, load_population
from sweeps.errors import BadInputError, StoreError
from sweeps.results.confirmations import make_confirmation_frame, make_preferred_frame
from sweeps.results.export import export_trial
from sweeps.results.frames import make_frame, select_best
from sweeps.results.network_frames import make_network_frame, select_network_front
from sweeps.results.networks import Phase, TrainedNetwork, check_complete, find_network, list_parts
from sweeps.spec.sweep import SweepSpec
from sweeps.store import Store
from sweeps.study.confirmation import ConfirmedTrial, judge_confirmed
from sweeps.study.front import select_front
from sweeps.study.storage import list_sweep_names
from sweeps.study.study import SweepStudy
from sweeps.study.trial import Trial
from sweeps.tracking.reading import download_artifact, make_runs_link, read_artifacts
from sweeps.tracking.record import COMPLETED, MEAN, trial_key
from sweeps.worker.artifacts import SKETCH
from sweeps.worker.history import HistoryEntry, deserialize_history


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
        """Reads all trials, indexed by number, with their searched values: state, hyperparameters, every metric.

        A metric's value is the objective's aggregate over the trial's networks, or the mean, and has a standard error.
        The baseline has the role "baseline", all others have "search". A retry has its own row, whose `retry_of` names
        the trial it repeats. `confirmed` is the number of networks of a trial's confirmation.

        Examples:
            >>> trials = open_sweep("two_moons").trials()  # doctest: +SKIP
            >>> trials.plot.scatter("cost_weight", "val_score", yerr="val_score_stderr", logx=True)  # doctest: +SKIP
        """
        return make_frame(self._study.trials(), self.spec)

    def pareto(self) -> pd.DataFrame:
        """Reads the Pareto front of the search, with confirmed values where there are some.

        A trial that was confirmed has the values of its confirmation, on fresh seeds. Columns beyond those of `trials`:
        `searched_val_score`, ... for each objective, `front_probability`, and `still_on_front`, which is "yes", "no",
        "unsure" or "not confirmed". Trials that are no longer on the front stay in the frame.

        Returns:
            A frame like that of `trials`, ordered by the first objective.

        Examples:
            >>> front = open_sweep("two_moons").pareto()  # doctest: +SKIP
            >>> front[["test_score", "connection_cost", "still_on_front"]]  # doctest: +SKIP
        """
        trials, first = self._study.trials(), self.spec.objectives[0]
        front = [trial.number for trial in select_front(trials, self.spec.objectives)]
        frame = make_preferred_frame(trials, self.spec, front)
        return frame.sort_values(first.metric, ascending=first.direction == "minimize", kind="stable")

    def baseline(self) -> pd.DataFrame:
        """Reads the published setting as a frame like that of `pareto`, with one row; none if it is not trained yet.

        Examples:
            >>> open_sweep("two_moons").baseline()[["test_score", "connection_cost"]]  # doctest: +SKIP
        """
        trials = self._study.trials()
        attempts = [t for t in trials if t.role == "baseline"]
        last = [t.number for t in sorted(attempts, key=lambda t: (t.state == "COMPLETE", t.number))[-1:]]
        return make_preferred_frame(trials, self.spec, last)

    def best(self, where: str | None = None, by: str | None = None, n: int = 1) -> pd.DataFrame:
        """Selects the best completed trials of the search as a frame like that of `pareto`, the best first.

        Confirmed trials come before all others: values that the search has chosen by are too good. Nothing is chosen by
        test rows, which measure what was chosen.

        Args:
            where: Bounds on metrics, such as "val_score >= 0.98" or "val_score >= 0.98 and connection_cost <= 10"; None
                for the sweep's constraints.
            by: Metric that decides, in its own direction (`bimt_core.METRICS`); None for the first objective.
            n: Number of trials.

        Raises:
            BadInputError: If a bound or metric does not exist or is on test rows, or `n` is below 1.

        Examples:
            >>> open_sweep("two_moons").best("val_score >= 0.98", by="connection_cost", n=3)  # doctest: +SKIP
        """
        return select_best(make_preferred_frame(self._study.trials(), self.spec), self.spec, where, by, n)

    def confirmation(self, data_seed: int | None = None) -> pd.DataFrame:
        """Reads what a confirmation has found: a row per confirmed trial and objective, the baseline first.

        Columns: role, number of networks, the value that the search saw (`searched`, `searched_stderr`), the value on
        fresh networks and test rows (`confirmed_metric`, `confirmed`) with its 95 % interval (`low`, `high`), and
        `front_probability` and `still_on_front`. `ratio` is the confirmed value divided by the baseline's, with its
        interval and the p-value of Mann and Whitney's test.

        Args:
            data_seed: Seed of other data; None for the sweep's own.

        Examples:
            >>> open_sweep("two_moons").confirmation()[["searched", "confirmed", "low", "high"]]  # doctest: +SKIP
        """
        return make_confirmation_frame(self.confirmed_trials(data_seed), self.spec)

    def networks(self) -> pd.DataFrame:
        """Reads all networks, also those of confirmations: trial, seed, phase, feasibility, metrics, hyperparameters.

        `phase` is "search" or "confirmation", and `role` that of the trial. `data_seed` is missing where a network has
        the sweep's own data. A network is feasible if its own metrics keep the constraints.

        Examples:
            >>> open_sweep("two_moons").networks().groupby(["trial", "phase"])["test_score"].max()  # doctest: +SKIP
        """
        return make_network_frame(self._study.entries(), self.spec)

    def network_front(self) -> pd.DataFrame:
        """Selects the front of single networks from `networks`, ordered by the first objective.

        They are chosen by the objectives, on validation rows, among all feasible networks on the sweep's own data; test
        metrics measure the choice.

        Examples:
            >>> sweep = open_sweep("two_moons")  # doctest: +SKIP
            >>> best = sweep.network_front().iloc[0]  # doctest: +SKIP
            >>> sweep.network(best["trial"], seed=best["seed"]).diagram()  # doctest: +SKIP
        """
        return select_network_front(self.networks(), self.spec)

    def network(
        self, trial: int, replicate: int = 0, *, seed: int | None = None, data_seed: int | None = None
    ) -> TrainedNetwork:
        """Loads a trained network.

        Args:
            trial: Number of a completed trial.
            replicate: Index among the networks that the search has trained for the trial.
            seed: Seed of the network instead, which may also be one of the confirmation.
            data_seed: Seed of the data of a confirmation on other data; None for the sweep's own.

        Raises:
            BadInputError: If there is no such trial or network.
            StoreError: If its weights are not (yet) in MLflow.

        Examples:
            >>> open_sweep("two_moons").network(trial=12, replicate=1).diagram()  # doctest: +SKIP
            >>> open_sweep("two_moons").network(trial=12, seed=7).predict([[0.5, 0.25]])  # doctest: +SKIP
        """
        part, index = find_network(self._read_entries(trial), trial, replicate, seed, data_seed)
        population = self._load(part)
        task = self._load_task(population, data_seed)
        return TrainedNetwork(population.select([index]), task, part.seeds[index])

    def population(self, trial: int, phase: Phase = "search", data_seed: int | None = None) -> tuple[Population, Task]:
        """Loads a trial's networks, one per seed, and the task they were trained on, in their precision.

        Args:
            trial: Number of a completed trial.
            phase: Networks of the "search" or of the "confirmation".
            data_seed: Seed of the data of a confirmation on other data; None for the sweep's own.

        Raises:
            BadInputError: If there is no such completed trial, or it is not confirmed.
            StoreError: If its weights are not (yet) in MLflow.

        Examples:
            >>> population, task = open_sweep("two_moons").population(trial=12)  # doctest: +SKIP
            >>> bimt_core.measure(population, task)["test_score"]  # doctest: +SKIP
        """
        parts = list_parts(self._read_entries(trial), trial, phase, data_seed)
        if not parts:
            data = "" if data_seed is None else f" on data seed {data_seed}"
            raise BadInputError(f"trial {trial} has no networks of the phase {phase!r}{data}")
        population = concatenate([self._load(part) for part in parts])
        return population, self._load_task(population, data_seed)

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
        (own, *_) = list_parts(self._read_entries(trial), trial, "search")
        path = self.download(trial, "history.safetensors")
        return deserialize_history(path.read_bytes(), self.spec.recipe(own.params).network, source=str(path))

    def export(self, trial: int, folder: Path) -> list[Path]:
        """Copies a trial's configuration, weights, metrics and diagrams out of the store; returns their paths.

        `confirmation.json` has searched and confirmed values with their intervals, and the metrics of the networks of
        the confirmation; `confirmation.safetensors` has their weights.

        Args:
            trial: Number of a completed trial.
            folder: Destination, created if missing.

        Raises:
            BadInputError: If there is no such completed trial, or the folder cannot be written.
            StoreError: If its artifacts are not (yet) in MLflow.

        Examples:
            >>> open_sweep("two_moons").export(12, Path("trial-12"))  # doctest: +SKIP
        """
        self._read_entries(trial)
        return export_trial(self, trial, folder)

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

    def confirmed_trials(self, data_seed: int | None = None) -> list[ConfirmedTrial]:
        """Reads the confirmed trials, the baseline first; see `sweeps.study.confirmation.judge_confirmed`.

        Args:
            data_seed: Seed of other data; None for the sweep's own.
        """
        return judge_confirmed(self._study.trials(), self.spec, data_seed)

    def importances(self) -> dict[str, dict[str, float]]:
        """Computes the importance of each searched hyperparameter; see `sweeps.study.analysis.compute_importances`."""
        return self._study.importances()

    def hypervolumes(self) -> dict[int, float]:
        """Computes the growth of the Pareto front; see `sweeps.study.analysis.compute_hypervolumes`."""
        return self._study.hypervolumes()

    def counts(self) -> dict[str, int]:
        """Counts the trials of the search by state, and all confirmed trials."""
        by_state = {s.lower(): self._study.count(s) for s in ("COMPLETE", "FAIL", "RUNNING", "WAITING")}
        return by_state | {"confirmed": sum(trial.confirmed is not None for trial in self._study.known_trials())}

    def download(self, entry: int, path: str, folder: Path | None = None) -> Path:
        """Copies an artifact of a trial's run out of the store; returns the path of the copy.

        Args:
            entry: Number of a trial in the study.
            path: Path of the artifact, a file or a folder.
            folder: Destination; None for a temporary folder, or for no copy where the artifact is a local file.

        Raises:
            StoreError: If it is not (yet) in MLflow.
        """
        key = trial_key(self._study.sweep_id, entry)
        copy = download_artifact(self._store.mlflow_uri, self.spec.name, key, path, folder)
        if copy is None:
            raise StoreError(f"MLflow has no run of trial {entry} yet; launch the sweep again to write what waits")
        return copy

    def _read_entries(self, trial: int) -> list[Trial]:
        """Everything that the study holds, if that includes networks of the trial."""
        entries = self._study.entries()
        check_complete(entries, trial)
        return entries

    def _load(self, part: Trial) -> Population:
        weights = self.download(part.number, "weights.safetensors")
        return load_population(weights, self.spec.recipe(part.params).network)

    def _load_task(self, population: Population, data_seed: int | None) -> Task:
        return self.spec.load_task(data_seed).cast(population.flat.dtype)


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
    columns = ["name", "task", "trials", "complete", "fail", "running", "waiting", "confirmed"]
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
