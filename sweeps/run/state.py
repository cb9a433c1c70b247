"""State of a launch: its status while it runs, the workers' time, and the summary at its end."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from sweeps.study.confirmation import ConfirmedTrial
from sweeps.study.trial import Trial


@dataclass(frozen=True)
class Status:
    """A running sweep at one time.

    Args:
        complete: Complete trials, earlier launches included.
        wanted: Complete trials to reach.
        failed: Failed trials of this launch.
        running: Trials in cohorts that train now.
        searching: Whether the search goes on; after it the front is confirmed.
        confirmed: Trials that have been confirmed, the baseline included.
        network_steps: Optimiser steps x networks of this launch.
        network_steps_left: Estimate of those that remain.
        elapsed_s: Seconds since the launch.
        front: The Pareto front so far.
        tracking_problem: Why MLflow cannot be written now.
    """

    complete: int
    wanted: int
    failed: int
    running: int
    searching: bool
    confirmed: int
    network_steps: int
    network_steps_left: int
    elapsed_s: float
    front: Sequence[Trial]
    tracking_problem: str | None


ACTIVITIES = ("training", "measuring", "drawing", "suggesting")

Watcher = Callable[[Callable[[], Status]], AbstractContextManager[None]]
"""Shows progress, by calling for the status, while the context that it returns is open."""


@dataclass
class WorkerClock:
    """Time of the workers by activity, in seconds.

    Args:
        seconds: Seconds by activity, one of `ACTIVITIES`.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ACTIVITIES, 0.0))

    def add(self, spent: Sequence[tuple[str, float]]) -> None:
        """Adds time.

        Args:
            spent: Activity and seconds.
        """
        for activity, seconds in spent:
            self.seconds[activity] += seconds

    def shares(self, total_s: float) -> dict[str, float]:
        """Returns the share of each activity in the workers' time, and the rest as "starting and waiting".

        Args:
            total_s: Wall time x workers; if it is 0 there are no shares.

        Examples:
            >>> clock = WorkerClock()
            >>> clock.add([("training", 4.0), ("drawing", 2.0)])
            >>> clock.shares(8.0)
            {'training': 0.5, 'measuring': 0.0, 'drawing': 0.25, 'suggesting': 0.0, 'starting and waiting': 0.25}
        """
        if not total_s:
            return {}
        shares = {activity: seconds / total_s for activity, seconds in self.seconds.items()}
        return shares | {"starting and waiting": 1.0 - sum(shares.values())}


@dataclass(frozen=True)
class Summary:
    """The end of a launch.

    Args:
        name: The sweep.
        complete: Complete trials, earlier launches included.
        wanted: Complete trials to reach.
        failed: Failed trials of this launch.
        network_steps: Optimiser steps x networks of this launch.
        wall_s: Seconds from the start of Ray to the end of the front's pictures; 0 if nothing was left to train.
        workers: Cohorts at the same time.
        worker_time: Share of workers x wall_s spent on "training", "measuring", "drawing", on waiting for suggestions
            ("suggesting"), and the rest, "starting and waiting"; empty if nothing was left to train.
        front: The Pareto front.
        confirmed: The front's and the baseline's values on fresh seeds and test rows; see `judge_confirmed`.
        finished: Whether nothing is left to do.
        report_s: Seconds to make the report, which MLflow has as `report.html`.
        report_mb: Size of the report in megabytes; 0 if it could not be made.
        report_problem: Why the report could not be made.
        unwritten: Records that MLflow does not have yet; the next launch writes them.
        tracking_problem: Why MLflow does not have them.
        checkpoints_problem: Why checkpoints could not be kept, or could not be deleted after the last trial.
        gave_up: Whether the launch ended before its last trial because too many trials failed.
        stopped: Whether the user stopped it.
    """

    name: str
    complete: int
    wanted: int
    failed: int
    network_steps: int
    wall_s: float
    workers: int
    worker_time: dict[str, float]
    front: Sequence[Trial]
    confirmed: Sequence[ConfirmedTrial]
    finished: bool
    report_s: float
    report_mb: float
    report_problem: str | None
    unwritten: int
    tracking_problem: str | None
    checkpoints_problem: str | None
    gave_up: bool
    stopped: bool
