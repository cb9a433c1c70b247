"""Records: additions to a sweep's MLflow runs, one parent run for the sweep and one nested run per trial."""

import getpass
import math
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from bimt_core import METRICS
from sweeps.study.aggregates import aggregate, aggregate_stderr
from sweeps.tracking import markdown

if TYPE_CHECKING:  # the writer's process needs neither pydantic nor optuna
    from sweeps.spec.sweep import SweepSpec
    from sweeps.study.confirmation import ConfirmedObjective, ConfirmedTrial
    from sweeps.study.trial import Trial

PACKAGES = ("bimt-sweeps", "torch", "ray", "optuna", "mlflow", "networkx", "numpy")
REPORT = "report.html"
TOTALS = "launch/"  # prefix of the metrics of a sweep's run that sum up its last launch
MEAN, STDERR = "mean/", "stderr/"  # MLflow groups charts by what precedes the slash
KEY_TAG, PARENT_TAG, NOTE_TAG = "bimt.key", "mlflow.parentRunId", "mlflow.note.content"
COMPLETED = "tags.`bimt.of` = 'itself' and attributes.status = 'FINISHED'"  # MLflow search filter of complete trials
CONFIRMED = "confirmed/"  # prefix of metrics on fresh seeds and test rows
MAX_REASON = 500  # characters of a tag
PURPOSES = {  # beginning of the note on a complete trial, by its role
    "search": "",
    "baseline": "**The published setting**, to see what the sweep gains. ",
    "replicates": "Further networks of a trial near the front. ",
    "confirmation": "Networks on seeds that the search has not used, to confirm a trial. ",
}

Point = tuple[str, float, int, int]  # metric, value, step, milliseconds since 1970


@dataclass(frozen=True)
class Record:
    """An addition to one run; the run is created when its first record is written.

    Args:
        key: Identifies the run in the experiment: the sweep's id, or `trial_key`.
        name: Name in the UI.
        parent: Key of the run it is nested under; that run's record comes first.
        start_ms: Start, in milliseconds since 1970.
        params: Hyperparameters.
        tags: Tags; `mlflow.note.content` is the description.
        points: Metric values.
        table: Artifact name to a table {"columns": [...], "data": [[...], ...]}, which the UI displays.
        status: "FINISHED", "FAILED" or "KILLED" ends the run, "RUNNING" reopens it; None leaves it.
        end_ms: End, in milliseconds since 1970.
        image: Name among `files` of the PNG that the UI shows among the charts.
        files: Artifact path to content.
    """

    key: str
    name: str
    parent: str | None = None
    start_ms: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    table: Mapping[str, Any] = field(default_factory=dict)
    status: str | None = None
    end_ms: int | None = None
    image: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def make_points(
    values: Mapping[str, Sequence[float]], step: int, at_ms: int, *, last: bool = True
) -> tuple[Point, ...]:
    """Returns the finite points of an evaluation: every metric's mean, and at the end its standard error.

    Standard errors of earlier evaluations are left out: MLflow draws no error bands, and they would be half of all
    points.

    Args:
        values: Metric to one value per replicate.
        step: Number of finished optimiser steps.
        at_ms: Time, in milliseconds since 1970.
        last: Whether training has ended.
    """
    named = {MEAN + name: float(aggregate(column, "mean", "minimize")) for name, column in values.items()}
    if last:
        errors = {name: float(aggregate_stderr(column, "mean", "minimize")) for name, column in values.items()}
        named |= {STDERR + name: error for name, error in errors.items()}
    return _select_finite(named, step, at_ms)


def trial_key(sweep_id: str, number: int) -> str:
    """Returns the key of a trial's run.

    Args:
        sweep_id: Id of the sweep.
        number: Number of the trial.
    """
    return f"{sweep_id}/{number}"


def describe_sweep(spec: "SweepSpec") -> str:
    """Describes a sweep in Markdown: its search, and how to find the best networks.

    Args:
        spec: The sweep.
    """
    objectives = ", ".join(f"{o.direction} **{o.metric}**" for o in spec.objectives)
    rows = "\n".join(f"- `{name}`: {metric.description}" for name, metric in METRICS.items())
    data = "" if spec.data_seed is None else f" (data seed {spec.data_seed})"
    return (
        f"{spec.description or 'A sweep of Brain-Inspired Modular Training.'}"
        f" Task `{spec.task}`{data}: {spec.load_task().description}. Objectives: {objectives}. Each trial is"
        f" {spec.replicates} networks: `{MEAN}...` is their mean, `{STDERR}...` its standard error at the end.\n\n"
        "**To find the best networks**: search runs with `tags.\"bimt.front\" = 'yes'`, open one and look at"
        " *Artifacts / diagrams*. The run named after the sweep lists the front. From Python:"
        f' `sweeps.open_sweep("{spec.name}").pareto()`.\n\n{rows}\n'
    )


class SweepRecords:
    """Describes the events of one sweep as records.

    Args:
        spec: The sweep.
        sweep_id: Its id.
    """

    def __init__(self, spec: "SweepSpec", sweep_id: str) -> None:
        self._spec, self._sweep_id = spec, sweep_id

    def describe_sweep_start(self) -> Record:
        """Describes the start of a launch, in the sweep's run."""
        spec = self._spec
        tags = {"bimt.role": "sweep", "bimt.sweep": spec.name, NOTE_TAG: describe_sweep(spec), **collect_provenance()}
        params = {
            "task": spec.task,
            "objectives": ", ".join(f"{o.direction} {o.metric}" for o in spec.objectives),
            "constraints": ", ".join(map(str, spec.constraints)) or "none",
            "replicates": spec.replicates,
            "confirm": "none" if spec.confirm is None else spec.confirm.replicates,
            "published": spec.published,
            "cohort_size": spec.cohort_size,
            "sampler": spec.sampler,
            "seed": spec.seed,
        }
        files = {"sweep.yaml": yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False).encode()}
        return self._of_sweep(start_ms=_now_ms(), params=params, tags=tags, status="RUNNING", files=files)

    def describe_trial_start(self, trial: "Trial") -> Record:
        """Describes a trial that joins a cohort.

        Args:
            trial: The trial.
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
        return self._of_trial(trial.number, name_run(trial), start_ms=_now_ms(), params=dict(trial.params), tags=tags)

    def describe_evaluation(self, number: int, values: Mapping[str, list[float]], step: int) -> Record:
        """Describes an evaluation during training.

        Args:
            number: Number of the trial.
            values: Metric to one value per replicate.
            step: Number of finished optimiser steps.
        """
        return self._of_trial(number, points=make_points(values, step, _now_ms(), last=False))

    def describe_trial_end(self, trial: "Trial", result: Mapping[str, Any], files: Mapping[str, bytes]) -> Record:
        """Describes a completed trial: its last evaluation, all networks as a table, weights and pictures.

        Args:
            trial: The trial, with its own networks only.
            result: Result of its cohort, with "step", "host" and "device".
            files: Artifact path to content.
        """
        networks, values = trial.networks, trial.values
        rows = [[seed, *(networks[name][i] for name in METRICS)] for i, seed in enumerate(trial.seeds)]
        summary = "; ".join(f"{o.metric} {values[o.metric]:.4g}" for o in self._spec.objectives)
        points = make_points(networks, result["step"], at_ms := _now_ms())
        for objective in self._spec.objectives:
            if objective.aggregate != "mean":
                name = f"{objective.aggregate}/{objective.metric}"
                points += ((name, values[objective.metric], result["step"], at_ms),)
        note = (
            f"{PURPOSES[trial.role]}{summary}; modularity {values['modularity']:.3f} in"
            f" {values['communities']:.1f} communities.\n\n"
            "*Artifacts*: `diagrams/interactive.html` (the best replicate, to explore along its training), `diagrams/`"
            " (best and all replicates), `replicates.json` (metrics of each), `weights.safetensors`,"
            " `history.safetensors`, `config.yaml`."
        )
        return self._of_trial(
            trial.number,
            points=points,
            tags={"bimt.host": result["host"], "bimt.device": result["device"], NOTE_TAG: note},
            table={"replicates.json": {"columns": ["seed", *METRICS], "data": rows}},
            status="FINISHED",
            end_ms=at_ms,
            image="diagrams/best.png" if "diagrams/best.png" in files else None,
            files=files,
        )

    def describe_added_networks(self, trial: "Trial") -> Record:
        """Describes a trial to which networks have been added: its values over all of them, or as confirmed.

        Args:
            trial: The trial, with all its networks.
        """
        at_ms, step = _now_ms(), self._spec.recipe(trial.params).shared.steps
        points = make_points(trial.networks, step, at_ms)
        tags = {"bimt.networks": str(len(trial.seeds))}
        if (confirmed := trial.confirmed) is not None:
            named = {CONFIRMED + name: value for name, value in confirmed.values.items()}
            points += _select_finite(named | {CONFIRMED + "networks": float(len(confirmed.seeds))}, step, at_ms)
            tags["bimt.confirmed"] = f"{len(confirmed.seeds)} networks"
        return self._of_trial(trial.number, points=points, tags=tags)

    def describe_verdict(self, confirmed: "ConfirmedTrial") -> Record:
        """Describes whether a confirmed trial still is on the front.

        Args:
            confirmed: The trial and its values.
        """
        lines = [f"- {format_objective(objective)}" for objective in confirmed.objectives]
        networks = len(confirmed.confirmation.seeds)
        verdict = "" if math.isnan(confirmed.probability) else f"; still on the front: {confirmed.verdict}"
        note = f"**Confirmed with {networks} networks on fresh seeds**{verdict}\n\n" + "\n".join(lines) + "\n"
        tags = {"bimt.still_on_front": confirmed.verdict, NOTE_TAG: note}
        at_ms = _now_ms()
        points = _select_finite({CONFIRMED + "front_probability": confirmed.probability}, 0, at_ms)
        for objective in confirmed.objectives:
            bounds = {"low": objective.low, "high": objective.high}
            named = {f"{CONFIRMED}{objective.confirmed_metric}_{end}": bound for end, bound in bounds.items()}
            points += _select_finite(named, 0, at_ms)
        return self._of_trial(confirmed.trial.number, tags=tags, points=points)

    def describe_trial_failure(self, number: int, reason: str, files: Mapping[str, bytes]) -> Record:
        """Describes a failed trial.

        Args:
            number: Number of the trial.
            reason: Why it failed.
            files: Artifact path to content.
        """
        tags = {"bimt.reason": reason[:MAX_REASON], NOTE_TAG: f"Failed: {reason[:MAX_REASON]}"}
        return self._of_trial(number, tags=tags, status="FAILED", end_ms=_now_ms(), files=files)

    def describe_interruption(self, number: int, reason: str) -> Record:
        """Describes a trial that was cut off.

        Args:
            number: Number of the trial.
            reason: Why it ended.
        """
        return self._of_trial(number, tags={"bimt.reason": reason}, status="KILLED", end_ms=_now_ms())

    def describe_front_mark(self, trial: "Trial", *, on_front: bool) -> Record:
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
        front: Sequence["Trial"],
        worker_time: Mapping[str, float],
        totals: Mapping[str, float] = MappingProxyType({}),
        *,
        complete: bool,
    ) -> Record:
        """Describes the end of a launch, in the sweep's run: the front as a table, the workers' time, and totals.

        Args:
            front: Trials on the Pareto front.
            worker_time: Kind of work to its share of the workers' time.
            totals: Totals of the launch by name.
            complete: Whether the sweep has all its trials.
        """
        objectives, params = [o.metric for o in self._spec.objectives], self._spec.hyperparameters
        names = list(dict.fromkeys([*objectives, "val_score", "connection_cost", "modularity"]))
        columns = ["trial", *names, *params]
        rows = [
            [f"trial {t.number:03d}", *(t.values[name] for name in names), *(t.params.get(name) for name in params)]
            for t in front
        ]
        at_ms = _now_ms()
        values = {f"worker_time/{name}": share for name, share in worker_time.items()}
        values |= {TOTALS + name: value for name, value in totals.items()}
        note = "**Pareto front**\n\n" + markdown.format_table(columns, rows) + "\n" + describe_sweep(self._spec)
        return self._of_sweep(
            tags={NOTE_TAG: note},
            points=_select_finite(values, 0, at_ms),
            table={"front.json": {"columns": columns, "data": rows}},
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


def name_run(trial: "Trial") -> str:
    """Returns the name of a trial's run in MLflow.

    Args:
        trial: The trial.
    """
    if trial.role == "search":
        return f"trial {trial.number:03d}"
    if trial.of is None:
        return "baseline (published setting)"
    data = "" if trial.data_seed is None else f", data seed {trial.data_seed}"
    return f"trial {trial.of:03d}, {trial.role}{data}"


def format_objective(objective: "ConfirmedObjective") -> str:
    """Formats an objective as searched and as confirmed, with its 95 % interval.

    Args:
        objective: Its values.
    """
    return (
        f"{objective.metric} {objective.searched:.4g} searched, {objective.confirmed_metric} {objective.confirmed:.4g}"
        f" confirmed, 95 % interval {objective.low:.4g} to {objective.high:.4g}"
    )


@cache
def collect_provenance() -> dict[str, str]:
    """Returns the origin of a launch's results as tags: package versions, host, user and commit of the code."""
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    tags = {
        "bimt.versions": ", ".join([*versions, f"python {platform.python_version()}"]),
        "bimt.driver_host": platform.node(),
        "mlflow.source.name": "bimt launch",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
    }
    commit = _commit_of(Path(__file__))
    return tags if commit is None else tags | {"mlflow.source.git.commit": commit}


def _commit_of(file: Path) -> str | None:
    """Commit of the git repository that tracks a file; None if none does, as for an installed package."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=file.parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)
        return git("rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):  # there is no git, or no such repository
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number only
        return str(os.getuid())


def _select_finite(values: Mapping[str, float], step: int, at_ms: int) -> tuple[Point, ...]:
    return tuple((name, value, step, at_ms) for name, value in values.items() if math.isfinite(value))


def _now_ms() -> int:
    return int(time.time() * 1000)
