"""A cohort: the trials that one Ray Tune trial trains as one population.

`run_cohort` does the work and knows nothing of Ray; `sweeps.run.trainable` lends it to Ray Tune.
"""

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
    load_task,
    measure,
    serialize_population,
    start,
    train,
)
from bimt_core.networks import to_dict
from sweeps.spec.recipe import Recipe, recipe
from sweeps.worker.artifacts import draw_trial
from sweeps.worker.checkpoint import SavedCheckpoint
from sweeps.worker.history import HistoryEntry, choose_history_steps

# The last report is thorough.
WHILE_TRAINING: dict[str, Any] = {"louvain_seeds": 1, "transforms": ("layer_max",), "thorough": False}


@dataclasses.dataclass(frozen=True)
class Member:
    """One trial of a cohort: its number in the study and its hyperparameters."""

    number: int
    params: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class CohortSpec:
    """All that a worker needs to train a cohort; plain data.

    Args:
        task: Name of the task.
        data_seed: Seed of its data; None for the published one.
        members: Trials with equal recipes but for the knobs.
        seeds: One a replicate; every member trains a network a seed.
        reports: Points along training at which to report.
        gpu: Whether to train on CUDA.
        dtype: Numbers to train with, "float32" or "float64"; None for the task's own.
        compiled: Whether training is compiled; see `train`.
        left: What an earlier launch left of these trials, in the members' order; None for the beginning.
    """

    task: str
    data_seed: int | None
    members: tuple[Member, ...]
    seeds: tuple[int, ...]
    evaluations: int
    gpu: bool = False
    dtype: str | None = None
    compiled: bool = False
    left: SavedCheckpoint | None = None

    @property
    def device(self) -> str:
        return "cuda" if self.gpu else "cpu"

    def load_task(self) -> Task:
        """The task, in the cohort's numbers and on its device."""
        task = load_task(self.task, self.data_seed).to(self.device)
        return task.in_dtype(getattr(torch, self.dtype)) if self.dtype else task

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "CohortSpec":
        members = tuple(Member(**member) for member in data["members"])
        left = data["left"] and SavedCheckpoint(**data["left"] | {"members": tuple(data["left"]["members"])})
        return CohortSpec(**{**data, "members": members, "seeds": tuple(data["seeds"]), "left": left})


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """A cohort after some steps.

    Args:
        snapshot: What training goes on from.
        history: The networks along the way.
        figures: For each member, each metric's values over the replicates; all metrics at the last report only.
        failures: Trial number to why it has failed.
        files: Trial number to artifact path to content; at the last report only.
        seconds: Time spent since the last report, by what it was spent on: "training", "measuring", "drawing".
        last: Whether training has ended.
    """

    snapshot: Snapshot
    history: tuple[HistoryEntry, ...]
    figures: tuple[dict[str, list[float]], ...]
    failures: dict[int, str]
    files: dict[int, dict[str, bytes]]
    seconds: dict[str, float]
    last: bool


def evaluation_steps(steps: int, evaluations: int) -> list[int]:
    """Evenly spread numbers of finished steps, the last one among them."""
    return sorted({max(1, round(steps * (i + 1) / evaluations)) for i in range(evaluations)})


def run_cohort(
    spec: CohortSpec, snapshot: Snapshot | None = None, history: tuple[HistoryEntry, ...] = ()
) -> Iterator[Evaluation]:
    """Trains a cohort.

    Args:
        spec: The cohort.
        snapshot: Where an interrupted cohort goes on; None for the beginning.
        history: What the interrupted cohort kept.

    Yields:
        A report at each of its points.

    Raises:
        ValueError: If a member's hyperparameters break a rule of the method.
    """
    task = spec.load_task()
    recipes = [recipe(task, member.params) for member in spec.members]
    first = recipes[0]
    assert all(other.shape == first.shape for other in recipes), "a cohort's members share network and schedule"
    points = evaluation_steps(first.shared.steps, spec.evaluations)
    keep = choose_history_steps([0, *points], len(recipes) * len(spec.seeds), first.network.wiring.n_parameters)
    if snapshot is None:
        seeds = list(spec.seeds) * len(recipes)
        snapshot = start(initialise(first.network, seeds, dtype=task.dtype, device=spec.device))
        history = (HistoryEntry.of(snapshot),)
    per_network = [r.per_network for r in recipes for _ in spec.seeds]

    before = time.perf_counter()
    trained_already = [snapshot] if snapshot.step >= points[-1] else []
    for now in trained_already or train(snapshot, task, per_network, first.shared, points, compiled=spec.compiled):
        trained = time.perf_counter()
        last = now.step == points[-1]
        if now.step in keep and all(moment.step != now.step for moment in history):
            history = (*history, HistoryEntry.of(now))
        values = measure(now.population, task, **({} if last else WHILE_TRAINING))
        figures = _by_member(values, len(spec.seeds))
        failures = _failures(spec, figures, last=last)
        measured = time.perf_counter()
        files = _artifacts(spec, recipes, task, now.population, history, figures, failures) if last else {}
        drawn = time.perf_counter()
        seconds = {"training": trained - before, "measuring": measured - trained, "drawing": drawn - measured}
        yield Evaluation(now, history, figures, failures, files, seconds, last)
        before = time.perf_counter()


def find_failure(figures: Mapping[str, list[float]], *, last: bool) -> str | None:
    """Why a member has no figures worth keeping: a replicate that is not finite, or that has no weight at the end."""
    for replicate, active in enumerate(figures["active_weights"]):
        for name, values in figures.items():
            if not math.isfinite(values[replicate]):
                return f"replicate {replicate} diverged: its {name} is {values[replicate]}"
        if last and active == 0:
            return f"replicate {replicate} lost all its weights"
    return None


def _failures(spec: CohortSpec, figures: tuple[dict[str, list[float]], ...], *, last: bool) -> dict[int, str]:
    told = {m.number: find_failure(f, last=last) for m, f in zip(spec.members, figures, strict=True)}
    return {number: why for number, why in told.items() if why is not None}


def _by_member(values: Mapping[str, torch.Tensor], replicates: int) -> tuple[dict[str, list[float]], ...]:
    rows = {name: v.view(-1, replicates).tolist() for name, v in values.items()}
    members = len(next(iter(rows.values())))
    return tuple({name: row[member] for name, row in rows.items()} for member in range(members))


def _artifacts(
    spec: CohortSpec,
    recipes: list[Recipe],
    task: Task,
    population: Population,
    history: tuple[HistoryEntry, ...],
    figures: tuple[dict[str, list[float]], ...],
    failures: Mapping[int, str],
) -> dict[int, dict[str, bytes]]:
    """Weights, configuration, history and pictures of every member; a failed one has the first two only."""
    cpu_task, population = task.to("cpu"), population.to("cpu")
    files: dict[int, dict[str, bytes]] = {}
    for index, (member, r) in enumerate(zip(spec.members, recipes, strict=True)):
        first = index * len(spec.seeds)
        networks = population.select(range(first, first + len(spec.seeds)))
        files[member.number] = {
            "weights.safetensors": serialize_population(networks),
            "config.yaml": yaml.safe_dump(_configuration(spec, member, r), sort_keys=False).encode(),
        }
        if member.number not in failures:
            along = [HistoryEntry(m.step, m.population.part(slice(first, first + len(spec.seeds)))) for m in history]
            files[member.number] |= draw_trial(networks, cpu_task, figures[index], spec.seeds, along)
    return files


def _configuration(spec: CohortSpec, member: Member, r: Recipe) -> dict[str, Any]:
    return {
        "task": spec.task,
        "data_seed": spec.data_seed,
        "seeds": list(spec.seeds),
        "dtype": spec.dtype,
        "network": to_dict(r.network),
        "per_network": dataclasses.asdict(r.per_network),
        "shared": dataclasses.asdict(r.shared) | {"cost_phases": [list(p) for p in r.shared.cost_phases]},
        "searched": dict(member.params),
    }
