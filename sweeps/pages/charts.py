"""The charts of a sweep's picture book, by plotly: figures as plain data, drawn in the reader's browser."""

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from plotly import graph_objects as go
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from bimt_core.pictures.palette import GRID, INK, MUTED, NEGATIVE, POSITIVE
from sweeps.pages.scale import is_missing
from sweeps.spec.sweep import Objective

FRONT, OTHER, OUTSIDE = POSITIVE, "#9aa5b1", NEGATIVE  # on the front; feasible; breaks a constraint
PANEL = 330  # height of a panel, in pixels

Chart = dict[str, Any]


def plotly_script() -> str:
    """plotly.js, which draws the figures."""
    return str(get_plotlyjs())


def plot_front(trials: pd.DataFrame, front: Sequence[int], objectives: Sequence[Objective]) -> Chart:
    """Every pair of objectives against each other; one objective against the trials' numbers.

    Args:
        trials: Completed trials, as `Sweep.trials` has them.
        front: Numbers of those on the Pareto front.
        objectives: Of the sweep.
    """
    names = [o.metric for o in objectives]
    pairs: list[tuple[str | None, str]] = [*itertools.combinations(names, 2)] or [(None, names[0])]
    figure = make_subplots(rows=len(pairs), cols=1, vertical_spacing=0.18 / len(pairs))
    groups = _groups(trials, front)
    for row, (across, up) in enumerate(pairs, 1):
        for name, colour, some in groups:
            x = some.index if across is None else some[across]
            figure.add_trace(
                go.Scatter(
                    x=_plain(x),
                    y=_plain(some[up]),
                    error_x=None if across is None else _errors(some, across, colour),
                    error_y=_errors(some, up, colour),
                    mode="markers",
                    name=name,
                    legendgroup=name,
                    showlegend=row == 1,
                    marker={"color": colour, "size": 10 if name == "Pareto front" else 7, "line": {"width": 0}},
                    customdata=some.index.tolist(),
                    hovertemplate="trial %{customdata}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
                ),
                row=row,
                col=1,
            )
        if across is not None and len(names) == 2:
            figure.add_trace(_staircase(trials.loc[list(front)], objectives), row=row, col=1)
        figure.update_xaxes(title_text=_said(across, objectives) if across else "trial", row=row, col=1)
        figure.update_yaxes(title_text=_said(up, objectives), row=row, col=1)
    return finish_figure(figure, 90 + (PANEL + 60) * len(pairs))


def plot_importance(found: dict[str, dict[str, float]]) -> Chart:
    """Bars: each hyperparameter's part in each objective.

    Args:
        found: See `Ledger.importances`.
    """
    figure = make_subplots(rows=1, cols=len(found), shared_yaxes=True, subplot_titles=list(found))
    names = sorted(next(iter(found.values())), key=lambda n: sum(parts.get(n, 0.0) for parts in found.values()))
    for column, parts in enumerate(found.values(), 1):
        x = [parts.get(name, 0.0) for name in names]
        bar = go.Bar(x=x, y=names, orientation="h", marker_color=FRONT, hovertemplate="%{y}: %{x:.0%}<extra></extra>")
        figure.add_trace(bar, row=1, col=column)
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_traces(showlegend=False)
    return finish_figure(figure, 130 + 34 * len(names), top=50)


def plot_against(trials: pd.DataFrame, front: Sequence[int], parameter: str, metrics: Sequence[str]) -> Chart:
    """Metrics against a hyperparameter, on a logarithmic axis where it allows.

    Args:
        trials: Completed trials.
        front: Numbers of those on the Pareto front.
        parameter: The hyperparameter, of numbers.
        metrics: One panel each.
    """
    figure = make_subplots(rows=1, cols=len(metrics), horizontal_spacing=0.11)
    for column, metric in enumerate(metrics, 1):
        for name, colour, some in _groups(trials, front):
            points = go.Scatter(
                x=_plain(some[parameter]),
                y=_plain(some[metric]),
                error_y=_errors(some, metric, colour),
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                marker={"color": colour, "size": 8},
                customdata=some.index.tolist(),
                hovertemplate="trial %{customdata}<br>%{x:.4g}: %{y:.4g}<extra></extra>",
            )
            figure.add_trace(points, row=1, col=column)
        figure.update_xaxes(title_text=parameter, **_axis(trials[parameter]), row=1, col=column)
        figure.update_yaxes(title_text=metric, row=1, col=column)
    return finish_figure(figure, PANEL + 60)


def plot_history(trials: pd.DataFrame, hypervolumes: dict[int, float], objectives: Sequence[Objective]) -> Chart:
    """How the search went: the hypervolume after each trial, and each objective with the best so far.

    Args:
        trials: Completed trials, in order.
        hypervolumes: See `Ledger.hypervolumes`; empty leaves their panel out.
        objectives: Of the sweep.
    """
    panels = len(objectives) + bool(hypervolumes)
    figure = make_subplots(rows=panels, cols=1, shared_xaxes=True, vertical_spacing=0.14 / panels)
    if hypervolumes:
        line = go.Scatter(
            x=list(hypervolumes),
            y=list(hypervolumes.values()),
            mode="lines",
            line={"shape": "hv", "color": FRONT},
            showlegend=False,
            hovertemplate="after trial %{x}: %{y:.4g}<extra></extra>",
        )
        figure.add_trace(line, row=1, col=1)
        figure.update_yaxes(title_text="hypervolume", row=1, col=1)
    feasible = trials[trials["feasible"].map(bool).to_numpy(dtype=bool)]
    for row, objective in enumerate(objectives, 1 + bool(hypervolumes)):
        values = trials[objective.metric]
        dots = go.Scatter(
            x=trials.index.tolist(),
            y=_plain(values),
            mode="markers",
            name="a trial",
            showlegend=row == panels,
            marker={"color": OTHER, "size": 6},
            customdata=trials.index.tolist(),
            hovertemplate="trial %{x}: %{y:.4g}<extra></extra>",
        )
        kept = feasible[objective.metric]
        best = kept.cummin() if objective.direction == "minimize" else kept.cummax()
        line = go.Scatter(
            x=best.index.tolist(),
            y=_plain(best),
            mode="lines",
            name="best so far",
            showlegend=row == panels,
            line={"shape": "hv", "color": FRONT},
            hoverinfo="skip",
        )
        figure.add_traces([dots, line], rows=row, cols=1)
        figure.update_yaxes(title_text=objective.metric, row=row, col=1)
    figure.update_xaxes(title_text="trial", row=panels, col=1)
    return finish_figure(figure, 90 + 210 * panels)


def _groups(trials: pd.DataFrame, front: Sequence[int]) -> list[tuple[str, str, pd.DataFrame]]:
    """Name, colour and trials, the front last so that it is drawn on top."""
    chosen = trials.index.isin(list(front))
    feasible = trials["feasible"].map(bool).to_numpy(dtype=bool)
    groups = [
        ("breaks a constraint", OUTSIDE, trials[~feasible & ~chosen]),
        ("other trials", OTHER, trials[feasible & ~chosen]),
        ("Pareto front", FRONT, trials[chosen]),
    ]
    return [group for group in groups if len(group[2])]


def _staircase(front: pd.DataFrame, objectives: Sequence[Objective]) -> go.Scatter:
    """The border of what two objectives' front dominates."""
    across, up = objectives
    ordered = front.sort_values(across.metric)
    shape = "hv" if across.direction == "minimize" else "vh"
    return go.Scatter(
        x=_plain(ordered[across.metric]),
        y=_plain(ordered[up.metric]),
        mode="lines",
        line={"shape": shape, "color": FRONT, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
    )


def _errors(trials: pd.DataFrame, metric: str, colour: str) -> dict[str, Any]:
    """Bars of one standard error."""
    errors = [0.0 if math.isnan(e) else e for e in trials[f"{metric}_stderr"]]
    return {"type": "data", "array": errors, "color": colour, "thickness": 1, "width": 0}


def _said(metric: str, objectives: Sequence[Objective]) -> str:
    direction = next(o.direction for o in objectives if o.metric == metric)
    return f"{metric} ({'more' if direction == 'maximize' else 'less'} is better)"


def _plain(values: Any) -> list[Any]:
    return [None if is_missing(v) else v for v in values.tolist()]


def _axis(values: pd.Series) -> dict[str, Any]:
    """An axis for a hyperparameter: logarithmic, with ticks at 1, 3, 10, ..., if all values are above 0."""
    if not (values > 0).all():
        return {"type": "linear"}
    first, last = (math.floor(math.log10(v)) for v in (values.min(), values.max()))
    ticks = [m * 10.0**power for power in range(first, last + 1) for m in (1, 3)]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def finish_figure(figure: go.Figure, height: int, *, top: int = 44, legend_below: bool = False) -> Chart:
    """A figure in the look of all charts, as plain data; `height` and `top`, the room above it, are in pixels."""
    figure.update_layout(
        template={},
        height=height,
        margin={"l": 70, "r": 30, "t": top, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        plot_bgcolor="white",
        paper_bgcolor="white",
        hovermode="closest",
        legend={
            "orientation": "h",
            "x": 0,
            "y": 0 if legend_below else 1,
            "yanchor": "top" if legend_below else "bottom",
        },
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, linecolor=MUTED, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, linecolor=MUTED, automargin=True)
    chart: Chart = json.loads(figure.to_json())
    return chart
