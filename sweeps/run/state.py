"""How a launch ended, as the driver tells it and the command line prints it."""

from dataclasses import dataclass

from sweeps.study.study import Trial


@dataclass(frozen=True)
class Summary:
    """How a launch ended.

    Args:
        name: The sweep.
        complete: Trials with figures, earlier launches included.
        wanted: Trials asked for.
        failed: Trials that failed in this launch.
        network_steps: Optimiser steps x networks trained in this launch.
        wall_s: Seconds from the start of Ray to the end of the front's pictures; 0 if nothing was left to do.
        workers: Cohorts at once.
        worker_time: Share of workers x wall_s spent on "training", "measuring", "drawing" and the rest, "starting and
            waiting"; empty if nothing was left to do.
        front: The Pareto front.
        report_s: Seconds that making the picture book took, which is written to MLflow as `report.html`.
        report_mb: Its size in megabytes; 0 if it could not be made.
        report_problem: Why it could not be made, if so.
        unwritten: Records that MLflow does not have; the next launch writes them.
        tracking_problem: Why.
        checkpoints_problem: Why some checkpoints could not be kept, or why those that nobody needs any more are still
            there.
        gave_up: Whether the launch ended because too many trials failed.
        stopped: Whether somebody stopped it.
    """

    name: str
    complete: int
    wanted: int
    failed: int
    network_steps: int
    wall_s: float
    workers: int
    worker_time: dict[str, float]
    front: tuple[Trial, ...]
    report_s: float
    report_mb: float
    report_problem: str | None
    unwritten: int
    tracking_problem: str | None
    checkpoints_problem: str | None
    gave_up: bool
    stopped: bool
