"""Records of a sweep's events: in one parent run for the sweep, a nested run per trial, and under it its additions."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import yaml

from bimt_core import METRICS
from sweeps.spec.sweep import SweepSpec
from sweeps.study.confirmation import ConfirmedTrial
from sweeps.study.trial import Trial
from sweeps.tracking.confirmed_table import Confirmed, make_confirmed_table
from sweeps.tracking.naming import name_run, name_value
from sweeps.tracking.notes import describe_result, describe_sweep, describe_trial, make_front_table
from sweeps.tracking.provenance import collect_provenance
from sweeps.tracking.record import (
    CONFIRMED,
    NOTE_TAG,
    TOTALS,
    Point,
    Record,
    make_points,
    now_ms,
    select_finite,
    trial_key,
)

REPORT = "report.html"
MAX_REASON = 500  # characters of a tag


class SweepRecords:
    """Describes the events of one sweep as records.

    Args:
        spec: The sweep.
        sweep_id: Its id.
    """

    def __init__(self, spec: SweepSpec, sweep_id: str) -> None:
        self._spec, self._sweep_id = spec, sweep_id

    def describe_sweep_start(self) -> Record:
        """Describes the start of a launch, in the sweep's run."""
        spec = self._spec
        tags = {"bimt.role": "sweep", "bimt.sweep": spec.name, NOTE_TAG: describe_sweep(spec), **collect_provenance()}
        tags["bimt.confirm"] = "no" if spec.confirm is None else f"{spec.confirm.replicates} networks"  # may change
        params = {
            "task": spec.task,
            "objectives": ", ".join(f"{o.direction} {name_value(o.metric, spec)}" for o in spec.objectives),
            "constraints": ", ".join(map(str, spec.constraints)) or "none",
            "replicates": spec.replicates,
            "published": spec.published,
            "cohort_size": spec.cohort_size,
            "sampler": spec.sampler,
            "seed": spec.seed,
        }
        files = {"sweep.yaml": yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False).encode()}
        return self._of_sweep(start_ms=now_ms(), params=params, tags=tags, status="RUNNING", files=files)

    def describe_trial_start(self, trial: Trial, of: Trial | None = None) -> Record:
        """Describes a trial that joins a cohort.

        Args:
            trial: The trial.
            of: Trial that its networks are added to, if any; its run is nested under that one's.
        """
        tags = {
            "bimt.role": trial.role,
            "bimt.sweep": self._spec.name,
            "bimt.task": self._spec.task,
            "bimt.rows": "published" if self._spec.published else "validation and test rows",
            "bimt.trial": str(trial.number),
            "bimt.of": "itself" if trial.of is None else str(trial.of),
            "bimt.attempt": str(trial.attempt),
            "bimt.seeds": ", ".join(map(str, trial.seeds)),
            **collect_provenance(),
        }
        if trial.data_seed is not None:
            tags["bimt.data_seed"] = str(trial.data_seed)
        return Record(
            trial_key(self._sweep_id, trial.number),
            name_run(trial, of),
            parent=self._sweep_id if of is None else trial_key(self._sweep_id, of.number),
            start_ms=now_ms(),
            params=dict(trial.params),
            tags=tags,
        )

    def describe_evaluation(self, number: int, values: Mapping[str, list[float]], step: int) -> Record:
        """Describes an evaluation during training.

        Args:
            number: Number of the trial.
            values: Metric to one value per replicate.
            step: Number of finished optimiser steps.
        """
        return self._of_trial(number, points=make_points(values, step, now_ms(), last=False))

    def describe_trial_end(self, trial: Trial, result: Mapping[str, Any], files: Mapping[str, bytes]) -> Record:
        """Describes a completed trial: its last evaluation, all networks as a table, weights and pictures.

        Args:
            trial: The trial, with its own networks only.
            result: Result of its cohort, with "step", "host" and "device".
            files: Artifact path to content.
        """
        at_ms = now_ms()
        rows = [[seed, *(trial.networks[name][i] for name in METRICS)] for i, seed in enumerate(trial.seeds)]
        tags = {"bimt.host": result["host"], "bimt.device": result["device"]}
        return self._of_trial(
            trial.number,
            points=self._make_end_points(trial, result["step"], at_ms),
            tags=tags | {NOTE_TAG: describe_trial(trial, self._spec)},
            table={"replicates.json": {"columns": ["seed", *METRICS], "data": rows}},
            status="FINISHED",
            end_ms=at_ms,
            image="diagrams/best.png" if "diagrams/best.png" in files else None,
            files=files,
        )

    def describe_added_networks(self, trial: Trial) -> Record:
        """Describes a trial to which networks have been added: its values over all of them, or as confirmed.

        Args:
            trial: The trial, with all its networks.
        """
        at_ms, step = now_ms(), self._spec.recipe(trial.params).shared.steps
        points = self._make_end_points(trial, step, at_ms)
        tags = {"bimt.networks": str(len(trial.seeds)), NOTE_TAG: describe_trial(trial, self._spec)}
        if (confirmed := trial.confirmed) is not None:
            named = {CONFIRMED + name: value for name, value in confirmed.values.items()}
            points += select_finite(named | {CONFIRMED + "networks": float(len(confirmed.seeds))}, step, at_ms)
            tags["bimt.confirmed"] = f"{len(confirmed.seeds)} networks"
        return self._of_trial(trial.number, points=points, tags=tags)

    def describe_verdict(self, confirmed: ConfirmedTrial, baseline: ConfirmedTrial | None) -> Record:
        """Describes a confirmation, and whether a trial of the search still is on the front.

        Args:
            confirmed: The trial and its values.
            baseline: The baseline, if it is confirmed.
        """
        shown = [confirmed] if baseline is None or baseline is confirmed else [baseline, confirmed]
        values = {"front_probability": confirmed.probability}
        for objective in confirmed.objectives:
            values[f"{objective.confirmed_metric}_low"] = objective.low
            values[f"{objective.confirmed_metric}_high"] = objective.high
        return self._of_trial(
            confirmed.trial.number,
            tags={
                "bimt.still_on_front": confirmed.verdict,
                NOTE_TAG: describe_trial(confirmed.trial, self._spec, shown),
            },
            points=select_finite({CONFIRMED + name: value for name, value in values.items()}, 0, now_ms()),
        )

    def describe_trial_failure(self, number: int, reason: str, files: Mapping[str, bytes]) -> Record:
        """Describes a failed trial.

        Args:
            number: Number of the trial.
            reason: Why it failed.
            files: Artifact path to content.
        """
        tags = {"bimt.reason": reason[:MAX_REASON], NOTE_TAG: f"Failed: {reason[:MAX_REASON]}"}
        return self._of_trial(number, tags=tags, status="FAILED", end_ms=now_ms(), files=files)

    def describe_interruption(self, number: int, reason: str) -> Record:
        """Describes a trial that was cut off.

        Args:
            number: Number of the trial.
            reason: Why it ended.
        """
        return self._of_trial(number, tags={"bimt.reason": reason}, status="KILLED", end_ms=now_ms())

    def describe_front_mark(self, trial: Trial, *, on_front: bool) -> Record:
        """Marks a completed trial as on the Pareto front or not.

        Args:
            trial: The trial.
            on_front: Whether it is on the front.
        """
        tags = {"bimt.front": "yes" if on_front else "no", "bimt.feasible": "yes" if trial.feasible else "no"}
        return self._of_trial(trial.number, tags=tags)

    def describe_front_pictures(self, number: int, files: Mapping[str, bytes]) -> Record:
        """Adds pictures to a trial on the Pareto front.

        Args:
            number: Number of the trial.
            files: Artifact path to content.
        """
        return self._of_trial(number, files=files)

    def describe_sweep_end(
        self,
        front: Sequence[Trial],
        worker_time: Mapping[str, float],
        totals: Mapping[str, float] = MappingProxyType({}),
        *,
        complete: bool,
        baseline: Trial | None = None,
        confirmed: Confirmed = MappingProxyType({}),
    ) -> Record:
        """Describes the end of a launch, in the sweep's run: front and confirmation as tables, workers' time, totals.

        Args:
            front: Trials on the Pareto front.
            worker_time: Kind of work to its share of the workers' time.
            totals: Totals of the launch by name.
            complete: Whether the sweep has all its trials.
            baseline: The published setting, if it is complete.
            confirmed: Confirmed trials by data seed; None is the sweep's own data.
        """
        at_ms = now_ms()
        values = {f"worker_time/{name}": share for name, share in worker_time.items()}
        values |= {TOTALS + name: value for name, value in totals.items()}
        tables = {"front.json": make_front_table(front, baseline, self._spec)}
        if confirmed:
            tables["confirmed.json"] = make_confirmed_table(confirmed, self._spec)
        return self._of_sweep(
            tags={NOTE_TAG: describe_result(front, baseline, confirmed, self._spec)},
            points=select_finite(values, 0, at_ms),
            table=tables,
            status="FINISHED" if complete else "KILLED",
            end_ms=at_ms,
        )

    def describe_report(self, page: str) -> Record:
        """Adds the report to the sweep's run.

        Args:
            page: HTML of the report.
        """
        return self._of_sweep(files={REPORT: page.encode()})

    def _of_sweep(self, **fields: Any) -> Record:
        return Record(self._sweep_id, f"{self._spec.name} (sweep)", **fields)

    def _of_trial(self, number: int, name: str = "", **fields: Any) -> Record:
        """Record of a trial's run, whose name counts in its first record only."""
        return Record(trial_key(self._sweep_id, number), name or f"trial {number:03d}", parent=self._sweep_id, **fields)

    def _make_end_points(self, trial: Trial, step: int, at_ms: int) -> tuple[Point, ...]:
        """Points of a complete trial: means, their standard errors, and the objectives' other aggregates."""
        others = {
            f"{objective.aggregate}/{objective.metric}": trial.values[objective.metric]
            for objective in self._spec.objectives
            if objective.aggregate != "mean"
        }
        return make_points(trial.networks, step, at_ms) + select_finite(others, step, at_ms)
