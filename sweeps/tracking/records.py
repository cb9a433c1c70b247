"""What a sweep's MLflow runs say: one parent run for the sweep, one nested run a trial."""

import getpass
import math
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import yaml

from bimt_core import METRICS, load_task
from sweeps.spec.sweep import SweepSpec
from sweeps.study.study import Attempt, Figures, Trial
from sweeps.tracking import markdown
from sweeps.tracking.run_writer import NOTE_TAG
from sweeps.tracking.spool import Point, Record

PACKAGES = ("bimt-sweeps", "torch", "ray", "optuna", "mlflow", "networkx", "numpy")
REPORT = "report.html"
TOTALS = "launch/"  # metrics of the sweep's run that say what its last launch did
MEAN, STDERR = "mean/", "stderr/"  # MLflow groups charts by what stands before the slash
COMPLETED = "tags.`bimt.role` = 'trial' and attributes.status = 'FINISHED'"  # MLflow search filter of complete trials


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def summarize_replicates(figures: Mapping[str, Sequence[float]]) -> tuple[Figures, Figures]:
    """Mean over the replicates and its standard error.

    Args:
        figures: Metric name to one value a replicate.

    Returns:
        Means and standard errors s / sqrt(n) by metric; the latter NaN for a single replicate.
    """
    values = np.array(list(figures.values()))
    replicates = values.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging network's figures may overflow
        means = values.mean(axis=1)
        errors = values.std(axis=1, ddof=1) / replicates**0.5 if replicates > 1 else np.full(len(means), np.nan)
    return dict(zip(figures, means.tolist(), strict=True)), dict(zip(figures, errors.tolist(), strict=True))


def make_points(
    figures: Mapping[str, Sequence[float]], step: int, at_ms: int, *, last: bool = True
) -> tuple[Point, ...]:
    """The metric values of a report that are finite: every mean, and at the last report its standard error.

    No error along the way: MLflow draws no bands, and half of what a sweep writes there would be curves of them.
    """
    means, errors = summarize_replicates(figures)
    named = {MEAN + name: mean for name, mean in means.items()}
    named |= {STDERR + name: error for name, error in errors.items() if last}
    return tuple((name, value, step, at_ms) for name, value in named.items() if math.isfinite(value))


def sweep_key(sweep_id: str) -> str:
    """Key of the sweep's own run."""
    return sweep_id


def trial_key(sweep_id: str, number: int) -> str:
    """Key of a trial's run."""
    return f"{sweep_id}/{number}"


def describe_sweep(spec: SweepSpec) -> str:
    """The experiment's description, in Markdown: what is searched and how to find the best."""
    objectives = ", ".join(f"{o.direction} **{o.metric}**" for o in spec.objectives)
    rows = "\n".join(f"- `{name}`: {METRICS[name].description}" for name in METRICS)
    return (
        f"{spec.description or 'A sweep of Brain-Inspired Modular Training.'}"
        f" Task `{spec.task}`: {load_task(spec.task).description}. Objectives: {objectives}. Each trial is"
        f" {spec.replicates} networks: `{MEAN}...` is their mean, `{STDERR}...` its standard error at the end.\n\n"
        "**To find the best networks**: search runs with `tags.\"bimt.front\" = 'yes'`, open one and look at"
        " *Artifacts / diagrams*. The run named after the sweep lists the front. From Python:"
        f' `sweeps.open_sweep("{spec.name}").pareto()`.\n\n{rows}\n'
    )


def describe_sweep_start(spec: SweepSpec, sweep_id: str) -> Record:
    """The parent run, as a launch begins."""
    params = {
        "task": spec.task,
        "objectives": ", ".join(f"{o.direction} {o.metric}" for o in spec.objectives),
        "constraints": ", ".join(map(str, spec.constraints)) or "none",
        "replicates": spec.replicates,
        "cohort_size": spec.cohort_size,
        "sampler": spec.sampler,
        "seed": spec.seed,
    }
    return Record(
        sweep_key(sweep_id),
        f"{spec.name} (sweep)",
        start_ms=now_ms(),
        params=params,
        tags={"bimt.role": "sweep", "bimt.sweep": spec.name, NOTE_TAG: describe_sweep(spec), **collect_provenance()},
        status="RUNNING",
        files={"sweep.yaml": yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False).encode()},
    )


def describe_trial_start(spec: SweepSpec, sweep_id: str, attempt: Attempt) -> Record:
    """A trial's run, as it is handed to a cohort."""
    tags = {
        "bimt.role": "trial",
        "bimt.sweep": spec.name,
        "bimt.task": spec.task,
        "bimt.trial": str(attempt.number),
        "bimt.attempt": str(attempt.attempt),
        "bimt.seeds": ", ".join(map(str, spec.seeds)),
        **collect_provenance(),
    }
    params = dict(attempt.params)
    return _of_trial(sweep_id, attempt.number, start_ms=now_ms(), params=params, tags=tags)


def describe_evaluation(sweep_id: str, number: int, figures: Mapping[str, list[float]], step: int) -> Record:
    """A trial's figures along the way."""
    return _of_trial(sweep_id, number, points=make_points(figures, step, now_ms(), last=False))


def describe_trial_end(
    spec: SweepSpec,
    sweep_id: str,
    number: int,
    figures: Mapping[str, list[float]],
    result: Mapping[str, Any],
    files: Mapping[str, bytes],
) -> Record:
    """A trial's end: its last figures, the replicates side by side, weights and pictures."""
    means, _ = summarize_replicates(figures)
    rows = [[seed, *(figures[name][r] for name in METRICS)] for r, seed in enumerate(spec.seeds)]
    summary = "; ".join(f"{o.metric} {means[o.metric]:.4g}" for o in spec.objectives)
    note = (
        f"{summary}; modularity {means['modularity']:.3f} in {means['communities']:.1f} communities.\n\n"
        "*Artifacts*: `diagrams/interactive.html` (the best replicate, to explore along its training), `diagrams/`"
        " (best and all replicates), `replicates.json` (figures of each), `weights.safetensors`, `history.safetensors`,"
        " `config.yaml`."
    )
    return _of_trial(
        sweep_id,
        number,
        points=make_points(figures, result["step"], now_ms()),
        tags={"bimt.host": result["host"], "bimt.device": result["device"], NOTE_TAG: note},
        table={"replicates.json": {"columns": ["seed", *METRICS], "data": rows}},
        status="FINISHED",
        end_ms=now_ms(),
        image="diagrams/best.png" if "diagrams/best.png" in files else None,
        files=files,
    )


def describe_trial_failure(sweep_id: str, number: int, reason: str, files: Mapping[str, bytes]) -> Record:
    """A trial's end without figures."""
    tags = {"bimt.reason": reason[:500], NOTE_TAG: f"Failed: {reason[:500]}"}
    return _of_trial(sweep_id, number, tags=tags, status="FAILED", end_ms=now_ms(), files=files)


def describe_interruption(sweep_id: str, number: int, reason: str) -> Record:
    """A trial that was cut off."""
    return _of_trial(sweep_id, number, tags={"bimt.reason": reason}, status="KILLED", end_ms=now_ms())


def describe_front_mark(sweep_id: str, record: Trial, *, on_front: bool) -> Record:
    """Says of a completed trial whether it is on the Pareto front."""
    tags = {"bimt.front": "yes" if on_front else "no", "bimt.feasible": "yes" if record.feasible else "no"}
    return _of_trial(sweep_id, record.number, tags=tags)


def describe_front_pictures(sweep_id: str, number: int, files: Mapping[str, bytes]) -> Record:
    """More pictures of a trial that is on the Pareto front."""
    return _of_trial(sweep_id, number, files=files)


def describe_sweep_end(
    spec: SweepSpec,
    sweep_id: str,
    front: list[Trial],
    account: Mapping[str, float],
    totals: Mapping[str, float] = MappingProxyType({}),
    *,
    complete: bool,
) -> Record:
    """The parent run's end: the front as a table, where the workers' time went, and what the launch did in all."""
    names = [*dict.fromkeys([*(o.metric for o in spec.objectives), "score", "connection_cost", "modularity"])]
    told = spec.hyperparameters
    rows = [[f"trial {r.number:03d}", *(r.mean[n] for n in names), *(r.params.get(p) for p in told)] for r in front]
    at = now_ms()
    figures = {f"worker_time/{name}": value for name, value in account.items()}
    figures |= {TOTALS + name: value for name, value in totals.items()}
    note = "**Pareto front**\n\n" + markdown.format_table(["trial", *names, *told], rows) + "\n" + describe_sweep(spec)
    return Record(
        sweep_key(sweep_id),
        f"{spec.name} (sweep)",
        tags={NOTE_TAG: note},
        points=tuple((name, value, 0, at) for name, value in figures.items() if math.isfinite(value)),
        table={"front.json": {"columns": ["trial", *names, *told], "data": rows}},
        status="FINISHED" if complete else "KILLED",
        end_ms=at,
    )


@cache
def collect_provenance() -> dict[str, str]:
    """Where the figures come from: package versions, host and the commit of the code, as tags."""
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    tags = {
        "bimt.versions": ", ".join([*versions, f"python {platform.python_version()}"]),
        "bimt.driver_host": platform.node(),
        "mlflow.source.name": "bimt launch",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
    }
    where = Path(__file__).parent
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=where, capture_output=True, text=True, check=False)
    if git.returncode == 0:
        tags["mlflow.source.git.commit"] = git.stdout.strip()
    return tags


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number only
        return str(os.getuid())


def describe_report(spec: SweepSpec, sweep_id: str, page: str) -> Record:
    """The sweep's picture book, an artifact of the parent run."""
    return Record(sweep_key(sweep_id), f"{spec.name} (sweep)", files={REPORT: page.encode()})


def _of_trial(sweep_id: str, number: int, **fields: Any) -> Record:
    return Record(trial_key(sweep_id, number), f"trial {number:03d}", parent=sweep_key(sweep_id), **fields)
