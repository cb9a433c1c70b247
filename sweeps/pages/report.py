"""The report: a sweep as one HTML page that works without network access."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import pandas as pd

from bimt_core import METRICS
from bimt_core.pictures.page import render_page
from sweeps.errors import StoreError
from sweeps.pages import charts
from sweeps.pages.parallel_coordinates import plot_parallel_coordinates
from sweeps.results.configurations import format_sweep_file
from sweeps.results.statistics import format_mean
from sweeps.results.sweep import Sweep
from sweeps.spec.sweep import SweepSpec
from sweeps.study.trial import Trial

ON_EVERY_CARD = ("val_score", "connection_cost", "modularity", "communities", "active_weights")
MAX_DIAGRAMS = 3_500_000  # characters of all diagrams together
MAX_FAILURES = 12
LAMBDA, AGAINST_LAMBDA = "cost_weight", ("val_score", "modularity")

Diagrams = Mapping[int, str]


def render_report(sweep: Sweep, diagrams: Diagrams | None = None) -> str:
    """Renders a sweep's front, diagrams, charts and best configurations as an HTML page of some megabytes.

    Args:
        sweep: The sweep; it may be running, or have no completed trial.
        diagrams: Trial number to a small diagram, as SVG; None reads them from the store. The page says so if the
            store cannot be read or lacks some.

    Examples:
        >>> Path("report.html").write_text(render_report(sweeps.open_sweep("two_moons")))  # doctest: +SKIP
    """
    problem = None
    if diagrams is None:
        try:
            diagrams = sweep.sketches()
        except StoreError as error:
            diagrams, problem = {}, str(error)
    frame = sweep.trials()
    numbers = set(frame.index[frame["state"] == "COMPLETE"])  # of one reading: a running sweep completes more meanwhile
    completed = {trial.number: trial for trial in sweep.completed_trials() if trial.number in numbers}
    front = [number for number in sweep.pareto().index.tolist() if number in numbers]
    order = [*front, *(number for number in completed if number not in front)]
    data = _header(sweep, frame) | {
        "problem": problem,
        "front": front,
        "trials": {number: _card(completed[number], sweep.spec) for number in order},
        "diagrams": _select_diagrams(diagrams, order),
        "charts": _plot_charts(sweep, frame.loc[list(completed)], front) if completed else [],
    }
    template = files("sweeps.pages").joinpath("report.html").read_text(encoding="utf-8")
    return render_page(template, data, {"PLOTLY": charts.plotly_script()})


def _header(sweep: Sweep, frame: pd.DataFrame) -> dict[str, Any]:
    spec = sweep.spec
    failures = frame.loc[(frame["state"] == "FAIL") & frame["reason"].notna(), "reason"].tail(MAX_FAILURES)
    return {
        "name": spec.name,
        "description": spec.description,
        "task": {"name": spec.task, "description": spec.load_task().description},
        "wanted": spec.trials,
        "replicates": spec.replicates,
        "counts": sweep.counts(),
        "objectives": [
            {"metric": o.metric, "direction": o.direction, "meaning": METRICS[o.metric].description}
            for o in spec.objectives
        ],
        "constraints": list(map(str, spec.constraints)),
        "failures": list(failures.to_dict().items()),
    }


def _card(trial: Trial, spec: SweepSpec) -> dict[str, Any]:
    names = dict.fromkeys([*(o.metric for o in spec.objectives), *ON_EVERY_CARD])
    params = [(name, trial.params[name]) for name in spec.searched if name in trial.params]
    return {
        "metrics": [[name, format_mean(trial.values[name], trial.stderr[name])] for name in names],
        "params": [[name, f"{v:.4g}" if isinstance(v, float) else str(v)] for name, v in params],
        "feasible": trial.feasible,
        "yaml": format_sweep_file(trial, spec),
    }


def _select_diagrams(diagrams: Diagrams, order: Sequence[int]) -> dict[int, str]:
    """Selects diagrams in order, without those that do not fit into the page."""
    selected: dict[int, str] = {}
    left = MAX_DIAGRAMS
    for number in order:
        if number in diagrams and len(diagrams[number]) <= left:
            selected[number] = diagrams[number]
            left -= len(diagrams[number])
    return selected


def _plot_charts(sweep: Sweep, completed: pd.DataFrame, front: Sequence[int]) -> list[dict[str, Any]]:
    """Plots the charts of the page, as far as there is something to draw."""
    spec, importances = sweep.spec, sweep.importances()
    searched = {name: spec.search.get(name) for name in spec.searched}
    figures = {
        "pareto": charts.plot_front(completed, front, spec.objectives),
        "parallel": plot_parallel_coordinates(completed, front, searched, spec.objectives),
        "importance": charts.plot_importance(importances) if importances else None,
        "lambda": charts.plot_against(completed, front, LAMBDA, AGAINST_LAMBDA) if LAMBDA in searched else None,
        "history": charts.plot_history(completed, sweep.hypervolumes(), spec.objectives),
    }
    return [{"name": name, "figure": figure} for name, figure in figures.items() if figure is not None]
