"""The report: a sweep as one HTML page that works without network access."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import pandas as pd

from bimt_core import METRICS, TEST_COUNTERPARTS
from bimt_core.pictures.page import render_page
from bimt_core.pictures.palette import NEGATIVE
from sweeps.errors import StoreError
from sweeps.pages import charts
from sweeps.pages.charts import ChartedTrials
from sweeps.pages.confirmed_section import TWO_GROUPS, make_confirmed_section
from sweeps.pages.front_charts import plot_front, plot_network_front
from sweeps.pages.network_section import make_network_section
from sweeps.pages.parallel_coordinates import plot_parallel_coordinates
from sweeps.results.configurations import format_sweep_file
from sweeps.results.frames import is_bimodal_trial
from sweeps.results.statistics import format_mean
from sweeps.results.sweep import Sweep
from sweeps.spec.sweep import SweepSpec
from sweeps.study.confirmation import ConfirmedTrial, judge_all_confirmed
from sweeps.study.front import select_front
from sweeps.study.gains import find_baseline
from sweeps.study.trial import Trial
from sweeps.tracking.confirmed_table import format_interval
from sweeps.tracking.naming import name_value

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
    spec, frame = sweep.spec, sweep.trials()
    numbers = set(frame.index[frame["state"] == "COMPLETE"])  # of one reading: a running sweep completes more meanwhile
    completed = [trial for trial in sweep.completed_trials() if trial.number in numbers]
    baseline, confirmed = find_baseline(completed), judge_all_confirmed(completed, spec)
    front = _sort_front(select_front(completed, spec.objectives), spec)
    order = _put_first([*([] if baseline is None else [baseline]), *front], completed)
    own = confirmed.get(None, [])
    networks, network_front = sweep.networks(), sweep.network_front()
    networks = networks[networks["data_seed"].isna()]
    trials = ChartedTrials(
        frame.loc[[trial.number for trial in completed if trial.role == "search"]],
        [trial.number for trial in front],
        frame.loc[[] if baseline is None else [baseline.number]],
    )
    data = _make_header(sweep, frame) | {
        "problem": problem,
        "front": list(trials.front),
        "baseline": None if baseline is None else baseline.number,
        "order": [trial.number for trial in order],
        "trials": {trial.number: _make_card(trial, own, spec) for trial in order},
        "confirmed": make_confirmed_section(front, baseline, confirmed, spec),
        "networks": make_network_section(networks, network_front, spec),
        "diagrams": _select_diagrams(diagrams, order),
        "charts": _plot_charts(sweep, trials, own, networks, network_front) if len(trials.search) else [],
    }
    template = files("sweeps.pages").joinpath("report.html").read_text(encoding="utf-8")
    return render_page(
        template, data, {"PLOTLY": charts.plotly_script(), "LOSS": NEGATIVE, "PUBLISHED": charts.BASELINE}
    )


def _sort_front(front: Sequence[Trial], spec: SweepSpec) -> list[Trial]:
    """Orders a front by the first objective, the best first."""
    first = spec.objectives[0]
    return sorted(front, key=lambda t: t.values[first.metric], reverse=first.direction == "maximize")


def _put_first(first: Sequence[Trial], trials: Iterable[Trial]) -> list[Trial]:
    numbers = {trial.number for trial in first}
    return [*first, *(trial for trial in trials if trial.number not in numbers)]


def _make_header(sweep: Sweep, frame: pd.DataFrame) -> dict[str, Any]:
    spec = sweep.spec
    failures = frame.loc[(frame["state"] == "FAIL") & frame["reason"].notna(), "reason"].tail(MAX_FAILURES)
    return {
        "name": spec.name,
        "description": spec.description,
        "task": {"name": spec.task, "description": spec.load_task().description},
        "wanted": spec.trials,
        "replicates": spec.replicates,
        "most_replicates": spec.most_replicates,
        "published": spec.published,
        "counts": sweep.counts(),
        "objectives": [
            {
                "metric": o.metric,
                "direction": o.direction,
                "aggregate": o.aggregate.replace("_", " "),
                "meaning": METRICS[o.metric].description,
            }
            for o in spec.objectives
        ],
        "constraints": list(map(str, spec.constraints)),
        "failures": list(failures.to_dict().items()),
    }


def _make_card(trial: Trial, confirmed: Sequence[ConfirmedTrial], spec: SweepSpec) -> dict[str, Any]:
    judged = next((one for one in confirmed if one.trial.number == trial.number), None)
    params = [(name, trial.params[name]) for name in spec.searched if name in trial.params]
    return {
        "mark": TWO_GROUPS if is_bimodal_trial(trial, spec) else "",
        "verdict": "" if judged is None or trial.role == "baseline" else judged.verdict,
        "objectives": ", ".join(
            f"{o.metric} {format_mean(trial.values[o.metric], trial.stderr[o.metric])}" for o in spec.objectives
        ),
        "metrics": _list_card_metrics(trial, judged, spec),
        "params": [[name, f"{v:.4g}" if isinstance(v, float) else str(v)] for name, v in params],
        "feasible": trial.feasible,
        "yaml": format_sweep_file(trial, spec),
    }


def _list_card_metrics(trial: Trial, judged: ConfirmedTrial | None, spec: SweepSpec) -> list[list[str]]:
    """Lists names, values and kinds: the objectives first, each with its counterpart on test rows and as confirmed."""
    confirmed = {} if judged is None else {o.metric: o for o in judged.objectives}
    rows = []
    always = [TEST_COUNTERPARTS.get(name, name) if spec.published else name for name in ON_EVERY_CARD]
    for name in dict.fromkeys([*(o.metric for o in spec.objectives), *always]):
        test = TEST_COUNTERPARTS.get(name)
        for shown in (name, test) if test and not spec.published else (name,):
            rows.append([name_value(shown, spec), format_mean(trial.values[shown], trial.stderr[shown]), ""])
        if (one := confirmed.get(name)) is not None:
            value = format_interval(one.confirmed, one.low, one.high)
            rows.append(["confirmed", value, "confirmed"])
    return rows


def _select_diagrams(diagrams: Diagrams, order: Sequence[Trial]) -> dict[int, str]:
    """Selects diagrams in order, without those that do not fit into the page."""
    selected: dict[int, str] = {}
    left = MAX_DIAGRAMS
    for number in (trial.number for trial in order):
        if number in diagrams and len(diagrams[number]) <= left:
            selected[number] = diagrams[number]
            left -= len(diagrams[number])
    return selected


def _plot_charts(
    sweep: Sweep,
    trials: ChartedTrials,
    confirmed: Sequence[ConfirmedTrial],
    networks: pd.DataFrame,
    network_front: pd.DataFrame,
) -> list[dict[str, Any]]:
    """Plots the charts of the page, as far as there is something to draw."""
    spec, importances = sweep.spec, sweep.importances()
    several = networks.groupby("trial").size().max() > 1
    figures = {
        "pareto": plot_front(trials, confirmed, spec),
        "networks": plot_network_front(networks, network_front, trials, spec) if several else None,
        "parallel": plot_parallel_coordinates(trials, spec),
        "importance": charts.plot_importance(importances) if importances else None,
        "lambda": charts.plot_against(trials, LAMBDA, AGAINST_LAMBDA, spec) if LAMBDA in spec.searched else None,
        "history": charts.plot_history(trials, sweep.hypervolumes(), spec),
    }
    return [{"name": name, "figure": figure} for name, figure in figures.items() if figure is not None]
