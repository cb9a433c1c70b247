"""Training of a cohort as one population, with an evaluation at each of the sweep's points."""

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import yaml

from bimt_core import (
    Population,
    Snapshot,
    Task,
    initialise,
    measure,
    measure_leaving_out,
    serialize_population,
    start,
    train,
)
from bimt_core.networks import to_dict
from sweeps.spec.cohort import Cohort, Member
from sweeps.spec.recipe import Recipe
from sweeps.study.intervals import jackknife_stderr
from sweeps.worker.artifacts import draw_trial
from sweeps.worker.history import HistoryEntry, choose_history_steps

WHILE_TRAINING: dict[str, Any] = {"louvain_seeds": 1, "transforms": ("layer_max",), "thorough": False}  # but not last


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """A cohort after some steps of training.

    Args:
        snapshot: State to continue the training from.
        history: The networks at earlier steps.
        metrics: For each member, one value per network by metric; all metrics at the last evaluation only.
        row_stderr: For each member, the standard error of its values on rows that the finite number of rows causes, by
            metric; at the last evaluation only.
        failures: Reason by number of each failed trial.
        files: Content by artifact path, by trial number; at the last evaluation only.
        seconds: Time since the previous evaluation by activity: "training", "measuring", "drawing".
        last: Whether the training has ended.
    """

    snapshot: Snapshot
    history: tuple[HistoryEntry, ...]
    metrics: tuple[dict[str, list[float]], ...]
    row_stderr: tuple[dict[str, float], ...]
    failures: dict[int, str]
    files: dict[int, dict[str, bytes]]
    seconds: dict[str, float]
    last: bool


def evaluation_steps(steps: int, evaluations: int) -> list[int]:
    """Returns the numbers of finished steps at which to evaluate: evenly spread, the last at the end of training.

    Args:
        steps: Optimiser steps.
        evaluations: Number of evaluations.

    Examples:
        >>> evaluation_steps(100, 4)
        [25, 50, 75, 100]
    """
    return sorted({max(1, round(steps * (i + 1) / evaluations)) for i in range(evaluations)})


def run_cohort(
    cohort: Cohort, snapshot: Snapshot | None = None, history: tuple[HistoryEntry, ...] = ()
) -> Iterator[Evaluation]:
    """Trains a cohort and yields an evaluation at each of the sweep's points.

    Args:
        cohort: The cohort.
        snapshot: State that an interrupted cohort continues from; None to start at step 0.
        history: History of the interrupted cohort.

    Raises:
        ValueError: If hyperparameters break a rule of the method.
    """
    spec, recipes = cohort.spec, cohort.recipes
    task, first = cohort.load_task().to(spec.device), recipes[0]
    assert all(other.shape == first.shape for other in recipes), "members share network and shared hyperparameters"
    points = evaluation_steps(first.shared.steps, spec.evaluations)
    recorded = choose_history_steps([0, *points], len(cohort.seeds), first.network.wiring.n_parameters)
    if snapshot is None:
        snapshot = start(initialise(first.network, cohort.seeds, dtype=task.dtype, device=spec.device))
        history = (HistoryEntry.of(snapshot),)
    members = cohort.members.values()
    per_network = [r.per_network for r, member in zip(recipes, members, strict=True) for _ in member.seeds]

    before = time.perf_counter()
    finished = [snapshot] if snapshot.step >= points[-1] else []
    for now in finished or train(snapshot, task, per_network, first.shared, points, compiled=cohort.compiled):
        trained = time.perf_counter()
        last = now.step == points[-1]
        if now.step in recorded and all(entry.step != now.step for entry in history):
            history = (*history, HistoryEntry.of(now))
        metrics = _split_by_member(measure(now.population, task, **({} if last else WHILE_TRAINING)), cohort)
        reasons = {number: find_failure(m, last=last) for number, m in zip(cohort.members, metrics, strict=True)}
        failures = {number: reason for number, reason in reasons.items() if reason is not None}
        row_stderr = _measure_row_errors(cohort, now.population, task) if last else ()
        measured = time.perf_counter()
        files = _make_artifacts(cohort, recipes, task, now.population, history, metrics, failures) if last else {}
        drawn = time.perf_counter()
        seconds = {"training": trained - before, "measuring": measured - trained, "drawing": drawn - measured}
        yield Evaluation(now, history, metrics, row_stderr, failures, files, seconds, last)
        before = time.perf_counter()


def find_failure(metrics: Mapping[str, list[float]], *, last: bool) -> str | None:
    """Returns why a trial failed: a replicate diverged, or has lost all its weights at the end; None if none did.

    Args:
        metrics: One value per replicate, by metric.
        last: Whether the training has ended.
    """
    for replicate, active in enumerate(metrics["active_weights"]):
        for name, values in metrics.items():
            if not math.isfinite(values[replicate]):
                return f"replicate {replicate} diverged: its {name} is {values[replicate]}"
        if last and active == 0:
            return f"replicate {replicate} lost all its weights"
    return None


def _split_by_member(metrics: Mapping[str, torch.Tensor], cohort: Cohort) -> tuple[dict[str, list[float]], ...]:
    return tuple({name: values[part].tolist() for name, values in metrics.items()} for part in cohort.slices)


def _measure_row_errors(cohort: Cohort, population: Population, task: Task) -> tuple[dict[str, float], ...]:
    """Standard errors of each member's values on rows; networks that failed may give NaN."""
    left_out = {name: values.numpy() for name, values in measure_leaving_out(population, task).items()}
    return tuple(
        {name: jackknife_stderr(values[:, part], *cohort.spec.aggregate_of(name)) for name, values in left_out.items()}
        for part in cohort.slices
    )


def _make_artifacts(
    cohort: Cohort,
    recipes: list[Recipe],
    task: Task,
    population: Population,
    history: tuple[HistoryEntry, ...],
    metrics: tuple[dict[str, list[float]], ...],
    failures: Mapping[int, str],
) -> dict[int, dict[str, bytes]]:
    """Weights and configuration of every member, and the history and pictures of those that did not fail."""
    task, population = task.to("cpu"), population.to("cpu")
    files: dict[int, dict[str, bytes]] = {}
    members = zip(cohort.members.items(), recipes, cohort.slices, metrics, strict=True)
    for (number, member), r, rows, values in members:
        networks = population.select(range(rows.start, rows.stop))
        files[number] = {
            "weights.safetensors": serialize_population(networks),
            "config.yaml": yaml.safe_dump(_configuration(cohort, member, r), sort_keys=False).encode(),
        }
        if number not in failures:
            entries = [HistoryEntry(entry.step, entry.population.part(rows)) for entry in history]
            files[number] |= draw_trial(networks, task, values, member.seeds, entries)
    return files


def _configuration(cohort: Cohort, member: Member, r: Recipe) -> dict[str, Any]:
    spec = cohort.spec
    return {
        "task": spec.task,
        "data_seed": spec.data_seed if cohort.data_seed is None else cohort.data_seed,
        "published": spec.published,
        "validation_rows": spec.validation_rows,
        "seeds": list(member.seeds),
        "dtype": spec.dtype,
        "network": to_dict(r.network),
        "per_network": dataclasses.asdict(r.per_network),
        "shared": dataclasses.asdict(r.shared) | {"cost_phases": [list(p) for p in r.shared.cost_phases]},
        "searched": dict(member.params),
    }
