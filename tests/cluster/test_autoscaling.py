"""A sweep on a cluster of Ray's autoscaler, which has no workers before it and none after it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray

from sweeps import Store, launch
from sweeps.cluster.connection import connect_ray
from sweeps.run.trainable import CohortTrainable
from sweeps.spec.sweep import SweepSpec

from .ray_clusters import autoscaled_cluster

WORKERS = 3
WAITED_S = 60.0


def workers() -> int:
    """How many nodes there are beside the head."""
    return sum(node["Alive"] for node in ray.nodes()) - 1


def until_workers(number: int) -> int:
    """Waits for so many, not for ever, and returns how many there are."""
    deadline = time.monotonic() + WAITED_S
    while (there := workers()) != number and time.monotonic() < deadline:
        time.sleep(0.1)
    return there


def test_workers_come_with_a_sweep_and_go_when_they_are_idle(
    small_spec: Callable[..., SweepSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three come for three cohorts, one goes while one cohort trains on, the others at the end while the driver stays.

    Of the two that are idle Ray Tune keeps one, in case that a trial must be repeated.
    """
    seen: list[int] = []
    all_there, one_gone = tmp_path / "all there", tmp_path / "one gone"

    class Held(CohortTrainable):
        def step(self) -> dict[str, Any]:
            held_by = one_gone if self._spec.members[0].number == 0 else all_there
            while not held_by.exists():
                time.sleep(0.1)
            return super().step()

    def look() -> None:
        for file, number in ((all_there, WORKERS), (one_gone, WORKERS - 1)):
            seen.append(until_workers(number))
            file.touch()  # also when it never came, or the sweep would wait for ever

    monkeypatch.setenv("HOME", str(tmp_path))
    spec = small_spec(name="scaled", trials=WORKERS, cohort_size=1, evaluations=1)
    store = Store.resolve(tmp_path / "store", checkpoints=str(tmp_path / "checkpoints"))
    with autoscaled_cluster(tmp_path, WORKERS, idle_s=3.0) as cluster:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        with connect_ray():
            assert workers() == 0
            looking = threading.Thread(target=look, daemon=True)
            looking.start()
            summary = launch(spec, store, trainable=Held)
            looking.join()
            assert (summary.complete, summary.failed, summary.workers) == (WORKERS, 0, WORKERS)
            assert seen == [WORKERS, WORKERS - 1]
            assert until_workers(0) == 0
