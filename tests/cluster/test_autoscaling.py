"""A sweep on a cluster with Ray's autoscaler, without workers before and after it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray

from sweeps import Store, launch
from sweeps.cluster.connection import connect_ray
from sweeps.run.tune import CohortTrainable
from sweeps.spec.sweep import SweepSpec

from .ray_clusters import start_autoscaled_cluster

WORKERS = 3
PATIENCE_S = 60.0


def count_workers() -> int:
    """Returns the number of nodes except the head."""
    return sum(node["Alive"] for node in ray.nodes()) - 1


def wait_for_workers(number: int) -> int:
    """Waits for a number of workers, for a limited time, and returns the number at the end."""
    deadline = time.monotonic() + PATIENCE_S
    while (n := count_workers()) != number and time.monotonic() < deadline:
        time.sleep(0.1)
    return n


def test_workers_are_started_for_a_sweep_and_ended_when_idle(
    small_spec: Callable[..., SweepSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three workers start for three cohorts, one ends while one cohort still trains, and the others at the end.

    Ray Tune keeps one of the two idle workers for trials that must be repeated.
    """
    counts: list[int] = []
    all_started, one_ended = tmp_path / "all started", tmp_path / "one ended"

    class Held(CohortTrainable):
        def step(self) -> dict[str, Any]:
            held_by = one_ended if 0 in self._cohort.members else all_started
            while not held_by.exists():
                time.sleep(0.1)
            return super().step()

    def watch_workers() -> None:
        for file, number in ((all_started, WORKERS), (one_ended, WORKERS - 1)):
            counts.append(wait_for_workers(number))
            file.touch()  # also after a failure, or the sweep would wait forever

    monkeypatch.setenv("HOME", str(tmp_path))
    variants = {f"cost_weight {weight:g}": {"cost_weight": weight} for weight in (1e-4, 1e-3, 1e-2)}
    assert len(variants) == WORKERS
    spec = small_spec(name="scaled", search={"steps": 40}, variants=variants, trials=None, cohort_size=1, evaluations=1)
    store = Store.resolve(tmp_path / "store", checkpoints=str(tmp_path / "checkpoints"))
    with start_autoscaled_cluster(tmp_path, WORKERS, idle_s=2.0) as cluster:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        with connect_ray():
            assert count_workers() == 0
            watcher = threading.Thread(target=watch_workers, daemon=True)
            watcher.start()
            summary = launch(spec, store, trainable=Held)
            watcher.join()
            assert (summary.complete, summary.failed, summary.workers) == (WORKERS, 0, WORKERS)
            assert counts == [WORKERS, WORKERS - 1]
            assert wait_for_workers(0) == 0
