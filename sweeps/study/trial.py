"""Trial: networks of one configuration of a sweep, from asking for them to their results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Values = dict[str, float]  # by metric
Networks = Mapping[str, Sequence[float]]  # one value per network, by metric
Role = Literal["search", "baseline", "replicates", "confirmation"]
"""What a trial's networks are for.

"search" is a configuration of the search or a variant, and "baseline" the published setting. The other two add networks
to one of these, the trial that they are `of`: "replicates" on further seeds, which count like its own, and
"confirmation" on seeds that the search does not use, which are kept apart.
"""


@dataclass(frozen=True)
class Confirmation:
    """Networks of a trial that were trained again, on seeds that the search has not used.

    Args:
        seeds: Seed of each network.
        networks: One value per network, by metric.
        row_stderr: Standard error of each value below that the finite number of rows causes.
        values: Value of each metric: the objective's aggregate, or the mean.
        stderr: Standard error of each value over the networks.
        failures: Reason of each part that failed.
    """

    seeds: tuple[int, ...]
    networks: Networks
    row_stderr: Values
    values: Values
    stderr: Values
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One entry of the study. A retry is a trial of its own that names the one it repeats.

    Args:
        number: Number in the study.
        state: "COMPLETE", "FAIL", "RUNNING" or "WAITING".
        params: All hyperparameters that the spec sets, fixed ones included.
        role: Purpose of its networks; see `Role`.
        of: Number of the trial that its networks are added to; None for a search and the baseline.
        seeds: Seed of each network, those of added replicates included.
        data_seed: Seed of the data of a confirmation on other data; None for the sweep's own.
        attempt: 1, 2, ...
        retry_of: Number of the trial that this one repeats.
        networks: One value per network, by metric; empty unless complete.
        row_stderr: Standard error of values on rows that the finite number of rows causes.
        values: Value of each metric: the objective's aggregate, or the mean; empty unless complete.
        stderr: Standard error of each value over the networks; NaN for a single network.
        feasible: Whether all constraints hold; None unless complete.
        reason: Why it failed.
        started: When it was asked for, local time.
        ended: When its result was told, local time.
        confirmations: Confirmation by seed of the data; None is the sweep's own data.
    """

    number: int
    state: str
    params: dict[str, Any]
    role: Role = "search"
    of: int | None = None
    seeds: tuple[int, ...] = ()
    data_seed: int | None = None
    attempt: int = 1
    retry_of: int | None = None
    networks: Networks = field(default_factory=dict)
    row_stderr: Values = field(default_factory=dict)
    values: Values = field(default_factory=dict)
    stderr: Values = field(default_factory=dict)
    feasible: bool | None = None
    reason: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    confirmations: Mapping[int | None, Confirmation] = field(default_factory=dict)

    @property
    def confirmed(self) -> Confirmation | None:
        """Confirmation on the sweep's own data that has networks, if any."""
        confirmation = self.confirmations.get(None)
        return confirmation if confirmation is not None and confirmation.seeds else None
