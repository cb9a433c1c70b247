"""The picture book: a sweep as one HTML page that needs nothing from outside."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pandas as pd
import yaml

from bimt_core import METRICS, load_task
from bimt_core.pictures.page import render_page
from sweeps.cli.progress import format_mean
from sweeps.errors import StoreError
from sweeps.pages import charts
from sweeps.pages.parallel_coordinates import plot_parallel_coordinates
from sweeps.pages.scale import is_missing
from sweeps.results.sweep import Sweep
from sweeps.spec.search_space import typed
from sweeps.spec.sweep import SweepSpec

ALWAYS = ("score", "connection_cost", "modularity", "communities", "active_weights")  # told of every trial
MOST_DIAGRAMS = 3_500_000  # characters of all diagrams together; those of the front come first
MOST_REASONS = 12
LAMBDA = "cost_weight"
KEPT = {"objectives", "data_seed", "replicates", "seed", "dtype", "evaluations"}  # of the sweep, in the file of a trial

Diagrams = Mapping[int, str]


def render_report(sweep: Sweep, diagrams: Diagrams | None = None) -> str:
    """A sweep's front, diagrams, charts and best configurations as a page.

    Args:
        sweep: The sweep; it may be running, or have no finished trial.
        diagrams: Trial number to a small diagram, as SVG; None reads them from the store. Where the store cannot be
            read, or lacks some, the page says so.

    Returns:
        HTML of some megabytes, most of which is plotly.js.
    """
    problem = None
    if diagrams is None:
        try:
            diagrams = sweep.sketches()
        except StoreError as error:
            diagrams, problem = {}, str(error)
    trials, spec = sweep.trials(), sweep.spec
    done = trials[trials["state"] == "COMPLETE"]
    front = sweep.pareto().index.tolist()
    shown = [*front, *(n for n in done.index if n not in front)]
    data = _header(sweep, trials, problem) | {
        "front": front,
        "trials": {number: _trial(done.loc[number], number, spec) for number in shown},
        "diagrams": _fitting(diagrams, shown),
        "charts": _charts(sweep, done, front) if len(done) else [],
    }
    template = files("sweeps.pages").joinpath("report.html").read_text(encoding="utf-8")
    return render_page(template, data, {"PLOTLY": charts.plotly_script()})


def _header(sweep: Sweep, trials: pd.DataFrame, problem: str | None) -> dict[str, Any]:
    spec, task = sweep.spec, load_task(sweep.spec.task, sweep.spec.data_seed)
    failed = trials[(trials["state"] == "FAIL") & trials["reason"].notna()]
    return {
        "name": spec.name,
        "description": spec.description,
        "task": {"name": spec.task, "description": task.description, "score": task.score_name},
        "wanted": spec.trials,
        "replicates": spec.replicates,
        "counts": sweep.counts(),
        "objectives": [
            {"metric": o.metric, "direction": o.direction, "meaning": METRICS[o.metric].description}
            for o in spec.objectives
        ],
        "constraints": list(map(str, spec.constraints)),
        "reasons": [list(pair) for pair in failed["reason"].tail(MOST_REASONS).to_dict().items()],
        "problem": problem,
    }


def _trial(row: pd.Series, number: int, spec: SweepSpec) -> dict[str, Any]:
    names = dict.fromkeys([*(o.metric for o in spec.objectives), *ALWAYS])
    params = {n: _value(n, row[n]) for n in spec.hyperparameters if not is_missing(row[n])}
    return {
        "figures": [[name, format_mean(row[name], row[f"{name}_stderr"])] for name in names],
        "params": [[name, _written(params[name])] for name in spec.searched if name in params],
        "feasible": bool(row["feasible"]),
        "yaml": _sweep_file(row, number, spec, params),
    }


def _sweep_file(row: pd.Series, number: int, spec: SweepSpec, params: dict[str, Any]) -> str:
    """A sweep file that trains the trial's networks again."""
    figures = ", ".join(f"{o.metric} {format_mean(row[o.metric], row[f'{o.metric}_stderr'])}" for o in spec.objectives)
    data = {
        "name": f"{spec.name[:80]}-trial-{number}",
        "description": f"Trial {number} of {spec.name} again",
        "task": spec.task,
        "search": {name: value for name, value in params.items() if name != "variant"},
        "trials": 1,
        **spec.model_dump(mode="json", exclude_defaults=True, include=KEPT),
    }
    plain = json.loads(json.dumps(data))  # yaml writes no tuples
    return f"# {figures}\n" + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def _fitting(diagrams: Diagrams, numbers: list[int]) -> dict[int, str]:
    """As many diagrams as the page has room for."""
    kept: dict[int, str] = {}
    room = MOST_DIAGRAMS
    for number in numbers:
        if number in diagrams and len(diagrams[number]) <= room:
            kept[number] = diagrams[number]
            room -= len(diagrams[number])
    return kept


def _charts(sweep: Sweep, done: pd.DataFrame, front: list[int]) -> list[dict[str, Any]]:
    """Figures and their places in the page, as far as there is something to draw."""
    spec, found = sweep.spec, sweep.importances()
    figures = {
        "pareto": charts.plot_front(done, front, spec.objectives),
        "parallel": plot_parallel_coordinates(
            done, front, {n: spec.search.get(n) for n in spec.searched}, spec.objectives
        ),
        "importance": charts.plot_importance(found) if found else None,
        "lambda": charts.plot_against(done, front, LAMBDA, ("score", "modularity"))
        if LAMBDA in spec.searched
        else None,
        "history": charts.plot_history(done, sweep.hypervolumes(), spec.objectives),
    }
    return [{"place": place, "figure": figure} for place, figure in figures.items() if figure is not None]


def _written(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _value(name: str, value: Any) -> Any:
    """A hyperparameter in its own type: frames hold numpy's numbers, and floats where some are missing."""
    plain = value.item() if hasattr(value, "item") else value
    return plain if name == "variant" else typed(name, plain)
