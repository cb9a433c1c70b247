"""Trial: one configuration of a sweep, from asking for it to its results."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Values = dict[str, float]  # by metric


@dataclass(frozen=True)
class Trial:
    """One trial. A retry is a trial of its own that names the one it repeats.

    Args:
        number: Number in the study.
        state: "COMPLETE", "FAIL", "RUNNING" or "WAITING".
        params: All hyperparameters that the spec sets, fixed ones included.
        attempt: 1, 2, ...
        retry_of: Number of the trial that this one repeats.
        mean: Mean of each metric over the replicates; empty unless complete.
        stderr: Standard error of each mean; NaN for a single replicate.
        feasible: Whether all constraints hold; None unless complete.
        reason: Why it failed.
        started: When it was asked for, local time.
        ended: When its result was told, local time.
    """

    number: int
    state: str
    params: dict[str, Any]
    attempt: int = 1
    retry_of: int | None = None
    mean: Values = field(default_factory=dict)
    stderr: Values = field(default_factory=dict)
    feasible: bool | None = None
    reason: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
