"""Sweeps on a cluster, from anywhere: launched, watched, stopped and pulled through one object."""

import json
import time
from collections.abc import Generator
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sweeps.errors import BadInputError, ClusterError
from sweeps.service.jobs import Job, Jobs
from sweeps.service.queue import SPEC, get_state, select_sweeps, summarize_job
from sweeps.service.submission import LaunchResult, extract_refusal, printed_last, submit
from sweeps.store import Store

if TYPE_CHECKING:
    from sweeps.results.sweep import Sweep
    from sweeps.spec.sweep import SweepSpec

KILL_PATIENCE_S = 120.0
COLUMNS = ["state", "position", "submitted", "ended", "task", "trials"]
COUNTS = ["complete", "fail", "running", "waiting"]


class SweepService:
    """The sweeps of a cluster.

    Launching, watching and stopping go through the cluster's Jobs API; what came out is read from the study storage and
    from MLflow, without the cluster.

    Args:
        address: Of the cluster's dashboard, such as http://127.0.0.1:8265; None for BIMT_ADDRESS. Its token is Ray's:
            RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.
        tracking_uri: URL of MLflow; None for MLFLOW_TRACKING_URI.
        storage: URL of the study storage; None for BIMT_STORAGE.
        insecure: Whether a cluster that asks for no token will do.
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
        self._connection: Jobs | None = None

    @property
    def _jobs(self) -> Jobs:
        if not self._address:
            raise BadInputError("address must be given, or BIMT_ADDRESS set, such as http://127.0.0.1:8265")
        if self._connection is None:
            self._connection = Jobs(self._address, insecure=self._insecure)
        return self._connection

    def launch(self, spec: "SweepSpec", *, working_dir: str | Path | None = None) -> LaunchResult:
        """Submits a sweep and waits until its driver has begun, or until it is known to wait in the queue.

        A name that is running or waiting is left as it is; one that is over goes on where it ended.

        Args:
            spec: The sweep.
            working_dir: A folder with your own task; uploaded, but for hidden files and what .gitignore names.

        Raises:
            BadInputError: If the cluster refuses it, with the driver's own lines, or runs another one of this name.
            ClusterError: If the cluster does not answer.
        """
        return submit(self._jobs, spec, Path(working_dir) if working_dir is not None else None)

    def sweeps(self) -> pd.DataFrame:
        """All sweeps of the cluster and of the study storage, where it is known, the latest last.

        Returns:
            A frame indexed by name: state ("waiting", "running", "complete", "incomplete" where its time was up or too
            many trials failed, "stopped", "failed" or "killed"), position in the queue, when it was submitted and
            ended, task, number of trials asked for; and trials by state, where the study storage is known.
        """
        jobs = select_sweeps(self._jobs.all())
        rows = {job.name: summarize_job(job, jobs) for job in jobs}
        columns = COLUMNS
        if self._store.storage:
            from sweeps.results.sweep import list_sweeps

            columns = COLUMNS + COUNTS
            for name, counted in list_sweeps(self._store).to_dict("index").items():
                over = {"state": "complete" if counted["complete"] >= counted["trials"] else "stopped"}
                rows[str(name)] = over | {str(key): value for key, value in counted.items()} | rows.get(str(name), {})
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("name")
        whole = [column for column in ("position", *COUNTS) if column in frame]
        return frame.astype(dict.fromkeys(whole, "Int64"))

    def status(self, name: str) -> dict[str, Any]:
        """One sweep's row of `sweeps`, and why it failed, if it did.

        Raises:
            BadInputError: If there is none of that name.
        """
        frame = self.sweeps()
        if name not in frame.index:
            raise BadInputError(f"no sweep {name!r} on the cluster; there are: {', '.join(frame.index) or 'none'}")
        whole = frame.astype(object).where(frame.notna(), None).loc[name]
        told = {"name": name, **{column: whole[column] for column in frame.columns}}
        if told["state"] == "failed":
            told["reason"] = "; ".join(extract_refusal(printed_last(self._jobs.log(name))))
        return told

    def logs(self, name: str) -> str:
        """What a sweep's drivers printed, those of earlier launches too."""
        return self._jobs.log(self._sweep_job(name).name)

    def follow(self, name: str) -> Generator[str]:
        """The same, piece by piece until the driver ends."""
        return self._jobs.follow(self._sweep_job(name).name)

    def stop(self, name: str, now: bool = False) -> str:
        """Stops a sweep; launching or resuming it goes on where it was.

        Args:
            name: The sweep.
            now: Not waiting for its cohorts' checkpoints; what they did since the last ones is done again.

        Returns:
            "stopping" while its cohorts write checkpoints, for half an hour at most; else how it ended.

        Raises:
            BadInputError: If there is none of that name.
            ClusterError: If it cannot be killed.
        """
        job = self._sweep_job(name)
        if job.over:
            return get_state(job)
        if not now and job.placed:
            self._jobs.stop(name)
            return "stopping"
        self._jobs.kill(name)
        until = time.monotonic() + KILL_PATIENCE_S
        while not (job := self._sweep_job(name)).over:
            if time.monotonic() > until:
                raise ClusterError(f"sweep {name!r} was told to end at once and is still there")
            time.sleep(0.5)
        return get_state(job)

    def resume(self, name: str, *, working_dir: str | Path | None = None) -> LaunchResult:
        """Launches a sweep again with its own spec.

        Args:
            name: The sweep.
            working_dir: The folder with your own task, as for `launch`.

        Raises:
            BadInputError: If there is none of that name.
        """
        return self.launch(self.spec(name), working_dir=working_dir)

    def spec(self, name: str) -> "SweepSpec":
        """What was launched under a name."""
        try:
            job = self._sweep_job(name)
        except BadInputError:
            if not self._store.storage:
                raise
            return self.open(name).spec  # the cluster is another one than then
        from sweeps.spec.sweep import parse_spec

        return parse_spec(json.loads(job.metadata[SPEC]), source=name)

    @property
    def store(self) -> Store:
        """Where results are read from.

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
        """What came out of a sweep so far.

        Raises:
            BadInputError: If there is none of that name, or the study storage is not known.
        """
        where = self.store
        from sweeps.results.sweep import open_sweep

        return open_sweep(name, where)

    def trials(self, name: str) -> pd.DataFrame:
        """Every trial of a sweep; see `Sweep.trials`."""
        return self.open(name).trials()

    def pareto(self, name: str) -> pd.DataFrame:
        """The Pareto front of a sweep; see `Sweep.pareto`."""
        return self.open(name).pareto()

    def best(self, name: str, where: str | None = None, by: str | None = None, n: int = 1) -> pd.DataFrame:
        """The best trials of a sweep; see `Sweep.best`."""
        return self.open(name).best(where, by, n)

    def _sweep_job(self, name: str) -> Job:
        jobs = {job.name: job for job in select_sweeps(self._jobs.all())}
        if name not in jobs:
            raise BadInputError(f"no sweep {name!r} on the cluster; there are: {', '.join(jobs) or 'none'}")
        return jobs[name]
