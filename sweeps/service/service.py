"""One object to launch, watch, stop and read the sweeps of a cluster."""

import json
import time
from collections.abc import Generator
from functools import cached_property
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sweeps.errors import BadInputError, ClusterError
from sweeps.service.jobs import Job, Jobs
from sweeps.service.queue import SPEC, get_state, select_sweeps, summarize_job
from sweeps.service.submission import LaunchResult, extract_refusal, select_last_launch, submit
from sweeps.store import Store

if TYPE_CHECKING:
    from sweeps.results.sweep import Sweep
    from sweeps.spec.sweep import SweepSpec

KILL_PATIENCE_S = 120.0
COLUMNS = ["state", "position", "submitted", "ended", "task", "trials"]
COUNTS = ["complete", "fail", "running", "waiting", "confirmed"]


class SweepService:
    """The sweeps of a cluster.

    Launching, watching and stopping use the cluster's Jobs API. Results come from the study storage and from MLflow,
    without the cluster.

    Args:
        address: Address of the cluster's dashboard, such as http://127.0.0.1:8265; None for BIMT_ADDRESS. The token is
            read from RAY_AUTH_TOKEN, the file RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token, as by Ray.
        tracking_uri: URL of MLflow; None for MLFLOW_TRACKING_URI.
        storage: URL of the study storage; None for BIMT_STORAGE.
        insecure: Whether to accept a cluster without token authentication.

    Examples:
        >>> service = SweepService("http://127.0.0.1:8265")
        >>> service.launch(read_spec("moons.yaml"))  # doctest: +SKIP
        LaunchResult(name='moons', state='running', new=True, position=None)
        >>> service.best("moons", by="modularity")  # doctest: +SKIP
    """

    def __init__(
        self,
        address: str | None = None,
        tracking_uri: str | None = None,
        storage: str | None = None,
        *,
        insecure: bool = False,
    ) -> None:
        self._address = address or environ.get("BIMT_ADDRESS")
        self._insecure = insecure
        self._store = Store.resolve(storage=storage, tracking_uri=tracking_uri)

    @cached_property
    def _jobs(self) -> Jobs:
        if not self._address:
            raise BadInputError("address must be given, or BIMT_ADDRESS set, such as http://127.0.0.1:8265")
        return Jobs(self._address, insecure=self._insecure)

    def launch(self, spec: "SweepSpec", *, working_dir: str | Path | None = None) -> LaunchResult:
        """Submits a sweep and waits until its driver has started, or until the sweep is known to wait in the queue.

        A sweep of the same name that is running or waiting is left as it is; one that has ended continues.

        Args:
            spec: The sweep.
            working_dir: Folder of your own task; uploaded, except hidden files and those that .gitignore names.

        Raises:
            BadInputError: If the cluster refuses the sweep, or runs another one of this name.
            ClusterError: If the cluster does not answer.

        Examples:
            >>> service.launch(read_spec("moons.yaml"))  # doctest: +SKIP
            LaunchResult(name='moons', state='waiting', new=True, position=2)
        """
        return submit(self._jobs, spec, Path(working_dir) if working_dir is not None else None)

    def sweeps(self) -> pd.DataFrame:
        """Lists all sweeps of the cluster, and of the study storage if that is known, the latest last.

        Returns:
            A frame indexed by name: state ("waiting", "running", "complete", "incomplete" if its time was up or too
            many trials failed, "stopped", "failed" or "killed"), position in the queue, time of submission and of the
            end, task, number of trials asked for; and if the study storage is known, trials by state, and those that
            are confirmed.

        Examples:
            >>> service.sweeps()["state"].to_dict()  # doctest: +SKIP
            {'moons': 'running', 'parity': 'waiting'}
        """
        jobs = select_sweeps(self._jobs.list_all())
        rows = {job.name: summarize_job(job, jobs) for job in jobs}
        columns = COLUMNS
        if self._store.storage:
            from sweeps.results.sweep import list_sweeps

            columns = COLUMNS + COUNTS
            for name, counts in list_sweeps(self._store).to_dict("index").items():
                row = {"state": "complete" if counts["complete"] >= counts["trials"] else "stopped"}
                rows[str(name)] = row | {str(key): value for key, value in counts.items()} | rows.get(str(name), {})
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("name")
        integers = [column for column in ("position", *COUNTS) if column in frame]
        return frame.astype(dict.fromkeys(integers, "Int64"))

    def status(self, name: str) -> dict[str, Any]:
        """Returns one sweep's row of `sweeps`, with the reason if it failed.

        Args:
            name: The sweep.

        Raises:
            BadInputError: If there is no sweep of that name.

        Examples:
            >>> service.status("moons")["state"]  # doctest: +SKIP
            'running'
        """
        frame = self.sweeps()
        if name not in frame.index:
            raise BadInputError(f"no sweep {name!r} on the cluster; there are: {', '.join(frame.index) or 'none'}")
        values = frame.astype(object).where(frame.notna(), None).loc[name]
        row = {"name": name, **{column: values[column] for column in frame.columns}}
        if row["state"] == "failed":
            row["reason"] = "; ".join(extract_refusal(select_last_launch(self._jobs.read_log(name))))
        return row

    def logs(self, name: str) -> str:
        """Returns the output of a sweep's drivers, including earlier launches.

        Args:
            name: The sweep.

        Examples:
            >>> print(service.logs("moons"))  # doctest: +SKIP
        """
        return self._jobs.read_log(self._find_job(name).name)

    def follow(self, name: str) -> Generator[str]:
        """Yields the output of a sweep's drivers as it is printed, until the driver ends.

        Args:
            name: The sweep.

        Examples:
            >>> for text in service.follow("moons"):  # doctest: +SKIP
            ...     print(text, end="")
        """
        return self._jobs.follow_log(self._find_job(name).name)

    def stop(self, name: str, now: bool = False) -> str:
        """Stops a sweep; launching or resuming it continues.

        Args:
            name: The sweep.
            now: Whether to end it without new checkpoints; the work since the last ones is repeated.

        Returns:
            "stopping" while its cohorts write checkpoints, for at most half an hour; else its final state.

        Raises:
            BadInputError: If there is no sweep of that name.
            ClusterError: If it cannot be killed.

        Examples:
            >>> service.stop("moons")  # doctest: +SKIP
            'stopping'
        """
        job = self._find_job(name)
        if job.is_finished:
            return get_state(job)
        if not now and job.has_node:
            self._jobs.stop(name)
            return "stopping"
        self._jobs.kill(name)
        deadline = time.monotonic() + KILL_PATIENCE_S
        while not (job := self._find_job(name)).is_finished:
            if time.monotonic() > deadline:
                raise ClusterError(f"sweep {name!r} was killed and still runs after {KILL_PATIENCE_S:g} s")
            time.sleep(0.5)
        return get_state(job)

    def resume(self, name: str, *, working_dir: str | Path | None = None) -> LaunchResult:
        """Launches a sweep again with its own spec.

        Args:
            name: The sweep.
            working_dir: Folder of your own task, as for `launch`.

        Raises:
            BadInputError: If there is no sweep of that name.

        Examples:
            >>> service.resume("moons").state  # doctest: +SKIP
            'running'
        """
        return self.launch(self.spec(name), working_dir=working_dir)

    def confirm(
        self,
        name: str,
        replicates: int | None = None,
        data_seed: int | None = None,
        *,
        working_dir: str | Path | None = None,
    ) -> LaunchResult:
        """Trains the front of a sweep and the baseline again, on fresh seeds, without going on with the search.

        Args:
            name: The sweep, which does not run.
            replicates: Networks per configuration; None for those of the spec, else 16.
            data_seed: Seed of other data; None for the sweep's own.
            working_dir: Folder of your own task, as for `launch`.

        Raises:
            BadInputError: If there is no sweep of that name, it runs, has variants, no front yet, or too few seeds.
            ClusterError: If the cluster does not answer.

        Examples:
            >>> service.confirm("moons", replicates=64).state  # doctest: +SKIP
            'running'
        """
        from sweeps.results.confirmations import check_request, count_replicates
        from sweeps.run.agenda import ConfirmRequest

        spec = self.spec(name)
        request = ConfirmRequest(count_replicates(spec, replicates), data_seed)
        check_request(spec, request.replicates, data_seed)
        return submit(self._jobs, spec, Path(working_dir) if working_dir is not None else None, request)

    def spec(self, name: str) -> "SweepSpec":
        """Returns the spec that a sweep was launched with.

        Args:
            name: The sweep.
        """
        try:
            job = self._find_job(name)
        except BadInputError:
            if not self._store.storage:
                raise
            return self.open(name).spec  # launched on an earlier cluster
        from sweeps.spec.sweep import parse_spec

        return parse_spec(json.loads(job.metadata[SPEC]), source=name)

    @property
    def store(self) -> Store:
        """Locations of the results.

        Raises:
            BadInputError: If the study storage is not known.
        """
        if not self._store.storage:
            raise BadInputError(
                "results are in the cluster's study storage: set BIMT_STORAGE to its URL, such as"
                " postgresql://bimt@127.0.0.1:5432/bimt, and for weights and pictures MLFLOW_TRACKING_URI"
            )
        return self._store

    def open(self, name: str) -> "Sweep":
        """Opens the results of a sweep so far.

        Args:
            name: The sweep.

        Raises:
            BadInputError: If there is no sweep of that name, or the study storage is not known.

        Examples:
            >>> service.open("moons").network(19, replicate=0).score()  # doctest: +SKIP
            0.99
        """
        store = self.store
        from sweeps.results.sweep import open_sweep

        return open_sweep(name, store)

    def trials(self, name: str) -> pd.DataFrame:
        """Lists all trials of a sweep; see `Sweep.trials`.

        Args:
            name: The sweep.
        """
        return self.open(name).trials()

    def pareto(self, name: str) -> pd.DataFrame:
        """Lists the Pareto front of a sweep; see `Sweep.pareto`.

        Args:
            name: The sweep.
        """
        return self.open(name).pareto()

    def best(self, name: str, where: str | None = None, by: str | None = None, n: int = 1) -> pd.DataFrame:
        """Lists the best trials of a sweep; see `Sweep.best`.

        Args:
            name: The sweep.
            where: Bounds on metrics, such as "val_score >= 0.98".
            by: Metric to rank by; None for the first objective.
            n: Number of trials.

        Examples:
            >>> service.best("moons", where="val_score >= 0.98", by="modularity", n=3)  # doctest: +SKIP
        """
        return self.open(name).best(where, by, n)

    def _find_job(self, name: str) -> Job:
        jobs = {job.name: job for job in select_sweeps(self._jobs.list_all())}
        if name not in jobs:
            raise BadInputError(f"no sweep {name!r} on the cluster; there are: {', '.join(jobs) or 'none'}")
        return jobs[name]
