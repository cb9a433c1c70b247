"""A sweep's share of a cluster that several sweeps use at once.

Every sweep puts up a sign: an actor without resources whose name says how much of the cluster the sweep can use. Ray
takes the sign down when the sweep's driver ends, however it ends. So the signs that are up are the sweeps that run, and
no list of them can be wrong.
"""

import json
import math
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import ray

NAMESPACE = "bimt-sweeps"
FRESH_S = 2.0  # how long what was read of the signs is taken for true


@dataclass
class Share:
    """How many cohorts a sweep may have out at once.

    Args:
        sign: What its sign says.
        room: Cohorts that the whole cluster takes.
        most: Cohorts that the sweep can use.
    """

    sign: str
    room: int
    most: int
    _read_at: float = field(default=-math.inf, init=False)
    _now: int = field(default=0, init=False)

    def __call__(self) -> int:
        """At least 1; all the sweep can use while the cluster is its own."""
        if time.monotonic() - self._read_at > FRESH_S:
            others = [json.loads(sign)["wants"] for sign in _signs() if sign != self.sign]
            part = divide_evenly([self.most / self.room, *others])[0]
            self._now, self._read_at = max(1, min(self.most, int(part * self.room + 1e-9))), time.monotonic()
        return self._now


@contextmanager
def claim_share(sweep: str, room: int, most: int) -> Iterator[Share]:
    """A share of the connected cluster, for as long as the context is open.

    Args:
        sweep: Name of the sweep.
        room: Cohorts of this sweep that the whole cluster takes.
        most: Cohorts that the sweep can use, at most `room`.
    """
    says = json.dumps({"sweep": sweep, "wants": most / room, "id": uuid.uuid4().hex})
    sign = ray.remote(_Sign).options(name=says, namespace=NAMESPACE, num_cpus=0).remote()
    try:
        yield Share(says, room, most)
    finally:
        ray.kill(sign)  # type: ignore[arg-type]  # for Ray it may be a class


def divide_evenly(wanted: Sequence[float]) -> list[float]:
    """Parts of one whole: as even as can be, none larger than wanted, and what some leave goes to the others.

    Args:
        wanted: Parts from 0 to 1.

    Returns:
        Parts in the same order; their sum is at most 1.
    """
    parts, left = [0.0] * len(wanted), 1.0
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    for rank, i in enumerate(order):
        parts[i] = min(wanted[i], left / (len(wanted) - rank))
        left -= parts[i]
    return parts


class _Sign:
    """Does nothing; its name says it all."""


def _signs() -> list[str]:
    """What the signs of all sweeps that run on the cluster say."""
    return [
        actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True) if actor["namespace"] == NAMESPACE
    ]
