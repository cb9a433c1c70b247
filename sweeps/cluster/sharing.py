"""Shares of a cluster that several sweeps use at once.

Every running sweep holds a claim: an actor without resources whose name says how much of the cluster the sweep can use.
Ray removes the actor when the sweep's driver ends, however it ends. The existing claims are therefore exactly the
running sweeps, and no separate list can get out of date.
"""

import json
import math
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

NAMESPACE = "bimt-sweeps"
MAX_AGE_S = 2.0  # how long a computed share is used before the claims are read again


@dataclass
class Share:
    """Number of cohorts that a sweep may train at once; call it for the current value.

    Args:
        claim: Name of the sweep's own claim.
        slots: Cohorts of this sweep that the whole cluster can train.
        max_cohorts: Cohorts that the sweep can use.
    """

    claim: str
    slots: int
    max_cohorts: int
    _read_at: float = field(default=-math.inf, init=False)
    _cohorts: int = field(default=0, init=False)

    def __call__(self) -> int:
        """Returns at least 1, and `max_cohorts` while no other sweep runs."""
        if time.monotonic() - self._read_at > MAX_AGE_S:
            others = [json.loads(claim)["wants"] for claim in _list_claims() if claim != self.claim]
            part = divide_evenly([self.max_cohorts / self.slots, *others])[0]
            self._cohorts = max(1, min(self.max_cohorts, int(part * self.slots + 1e-9)))
            self._read_at = time.monotonic()
        return self._cohorts


@contextmanager
def claim_share(sweep: str, slots: int, max_cohorts: int) -> Iterator[Share]:
    """Claims a share of the connected cluster for as long as the context is open.

    Args:
        sweep: Name of the sweep.
        slots: Cohorts of this sweep that the whole cluster can train at once.
        max_cohorts: Cohorts that the sweep can use, at most `slots`.
    """
    import ray

    claim = json.dumps({"sweep": sweep, "wants": max_cohorts / slots, "id": uuid.uuid4().hex})
    actor = ray.remote(_Claim).options(name=claim, namespace=NAMESPACE, num_cpus=0).remote()
    try:
        yield Share(claim, slots, max_cohorts)
    finally:
        ray.kill(actor)  # type: ignore[arg-type]  # Ray's types take it for a class


def divide_evenly(wanted: Sequence[float]) -> list[float]:
    """Divides one whole evenly into parts that are not larger than wanted; what some leave goes to the others.

    Args:
        wanted: Wanted parts, from 0 to 1, in the order of the result.
    """
    parts, left = [0.0] * len(wanted), 1.0
    for rank, i in enumerate(sorted(range(len(wanted)), key=lambda i: wanted[i])):
        parts[i] = min(wanted[i], left / (len(wanted) - rank))
        left -= parts[i]
    return parts


class _Claim:
    """Does nothing; its name is the claim."""


def _list_claims() -> list[str]:
    import ray

    actors = ray.util.list_named_actors(all_namespaces=True)
    return [actor["name"] for actor in actors if actor["namespace"] == NAMESPACE]
