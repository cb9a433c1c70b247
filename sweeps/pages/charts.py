"""Charts of the report by plotly: figures as plain data, drawn by the browser."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from plotly import graph_objects as go
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from bimt_core.pictures.palette import GRID, INK, MUTED, NEGATIVE, POSITIVE
from sweeps.pages.scale import is_missing
from sweeps.results.frames import best_so_far
from sweeps.spec.parts import Objective

FRONT, OTHER, INFEASIBLE = POSITIVE, "#9aa5b1", NEGATIVE
ON_FRONT = "Pareto front"  # name of its trials in legends
PANEL = 330  # height in pixels

Chart = dict[str, Any]


def plotly_script() -> str:
    """Returns plotly.js, which draws the figures."""
    return str(get_plotlyjs())


def plot_front(trials: pd.DataFrame, front: Sequence[int], objectives: Sequence[Objective]) -> Chart:
    """Plots every pair of objectives against each other, or a single objective against the trials' numbers.

    Args:
        trials: Completed trials; see `Sweep.trials`.
        front: Numbers of those on the Pareto front.
        objectives: Objectives of the sweep.
    """
    names = [o.metric for o in objectives]
    pairs: list[tuple[str | None, str]] = [*itertools.combinations(names, 2)] or [(None, names[0])]
    figure = make_subplots(rows=len(pairs), cols=1, vertical_spacing=0.18 / len(pairs))
    for row, (x_metric, y_metric) in enumerate(pairs, 1):
        for trace in _plot_groups(trials, front, x_metric, y_metric, showlegend=row == 1, error_x=True):
            figure.add_trace(trace, row=row, col=1)
        if x_metric is not None and len(names) == 2:
            figure.add_trace(_plot_staircase(trials.loc[list(front)], objectives), row=row, col=1)
        figure.update_xaxes(title_text=_format_axis(x_metric, objectives) if x_metric else "trial", row=row, col=1)
        figure.update_yaxes(title_text=_format_axis(y_metric, objectives), row=row, col=1)
    return finish_figure(figure, 90 + (PANEL + 60) * len(pairs))


def plot_importance(importances: Mapping[str, Mapping[str, float]]) -> Chart:
    """Plots the importance of each hyperparameter for each objective as bars.

    Args:
        importances: See `Sweep.importances`.
    """
    figure = make_subplots(rows=1, cols=len(importances), shared_yaxes=True, subplot_titles=list(importances))
    parts = list(importances.values())
    names = sorted(parts[0], key=lambda name: sum(part.get(name, 0.0) for part in parts))
    for column, part in enumerate(parts, 1):
        x = [part.get(name, 0.0) for name in names]
        bar = go.Bar(x=x, y=names, orientation="h", marker_color=FRONT, hovertemplate="%{y}: %{x:.0%}<extra></extra>")
        figure.add_trace(bar, row=1, col=column)
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_traces(showlegend=False)
    return finish_figure(figure, 130 + 34 * len(names), top=50)


def plot_against(trials: pd.DataFrame, front: Sequence[int], parameter: str, metrics: Sequence[str]) -> Chart:
    """Plots metrics against a hyperparameter, on a logarithmic axis if all its values are above 0.

    Args:
        trials: Completed trials.
        front: Numbers of those on the Pareto front.
        parameter: A numeric hyperparameter.
        metrics: One panel each.
    """
    figure = make_subplots(rows=1, cols=len(metrics), horizontal_spacing=0.11)
    for column, metric in enumerate(metrics, 1):
        for trace in _plot_groups(trials, front, parameter, metric, showlegend=column == 1):
            figure.add_trace(trace, row=1, col=column)
        figure.update_xaxes(title_text=parameter, **_make_axis(trials[parameter]), row=1, col=column)
        figure.update_yaxes(title_text=metric, row=1, col=column)
    return finish_figure(figure, PANEL + 60)


def plot_history(trials: pd.DataFrame, hypervolumes: Mapping[int, float], objectives: Sequence[Objective]) -> Chart:
    """Plots the course of the search: the hypervolume after each trial, and each objective with the best so far.

    Args:
        trials: Completed trials, in order.
        hypervolumes: See `Sweep.hypervolumes`; if empty, the panel is left out.
        objectives: Objectives of the sweep.
    """
    panels = len(objectives) + bool(hypervolumes)
    figure = make_subplots(rows=panels, cols=1, shared_xaxes=True, vertical_spacing=0.14 / panels)
    if hypervolumes:
        hover = "after trial %{x}: %{y:.4g}<extra></extra>"
        line = _plot_line(pd.Series(hypervolumes), showlegend=False, hovertemplate=hover)
        figure.add_trace(line, row=1, col=1)
        figure.update_yaxes(title_text="hypervolume", row=1, col=1)
    for row, objective in enumerate(objectives, 1 + bool(hypervolumes)):
        dots = go.Scatter(
            x=trials.index.tolist(),
            y=_to_json(trials[objective.metric]),
            mode="markers",
            name="a trial",
            showlegend=row == panels,
            marker={"color": OTHER, "size": 6},
            customdata=trials.index.tolist(),
            hovertemplate="trial %{x}: %{y:.4g}<extra></extra>",
        )
        best = best_so_far(trials, objective)
        line = _plot_line(best, name="best so far", showlegend=row == panels, hoverinfo="skip")
        figure.add_traces([dots, line], rows=row, cols=1)
        figure.update_yaxes(title_text=objective.metric, row=row, col=1)
    figure.update_xaxes(title_text="trial", row=panels, col=1)
    return finish_figure(figure, 90 + 210 * panels)


def _plot_groups(
    trials: pd.DataFrame, front: Sequence[int], x: str | None, y: str, *, showlegend: bool, error_x: bool = False
) -> list[go.Scatter]:
    """Plots infeasible, other and front trials, the last on top; without x against the trials' numbers."""
    on_front = trials.index.isin(list(front))
    feasible = trials["feasible"].map(bool).to_numpy(dtype=bool)
    groups = [
        ("breaks a constraint", INFEASIBLE, trials[~feasible & ~on_front]),
        ("other trials", OTHER, trials[feasible & ~on_front]),
        (ON_FRONT, FRONT, trials[on_front]),
    ]
    return [
        go.Scatter(
            x=_to_json(group.index if x is None else group[x]),
            y=_to_json(group[y]),
            error_x=_make_error_bars(group, x, colour) if error_x and x else None,
            error_y=_make_error_bars(group, y, colour),
            mode="markers",
            name=name,
            legendgroup=name,
            showlegend=showlegend,
            marker={"color": colour, "size": 10 if name == ON_FRONT else 7, "line": {"width": 0}},
            customdata=group.index.tolist(),
            hovertemplate="trial %{customdata}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
        )
        for name, colour, group in groups
        if len(group)
    ]


def _plot_staircase(front: pd.DataFrame, objectives: Sequence[Objective]) -> go.Scatter:
    """Plots the border of the region that the front of two objectives dominates."""
    x, y = objectives
    line = {"shape": "hv" if x.direction == "minimize" else "vh", "width": 1, "dash": "dot"}
    values = front.sort_values(x.metric).set_index(x.metric)[y.metric]
    return _plot_line(values, line, hoverinfo="skip", showlegend=False)


def _plot_line(values: pd.Series, line: Mapping[str, Any] | None = None, **properties: Any) -> go.Scatter:
    """Plots values against their index, with steps between them."""
    style = {"shape": "hv", "color": FRONT, **(line or {})}
    return go.Scatter(x=_to_json(values.index), y=_to_json(values), mode="lines", line=style, **properties)


def _make_error_bars(trials: pd.DataFrame, metric: str, colour: str) -> dict[str, Any]:
    errors = trials[f"{metric}_stderr"].fillna(0.0).tolist()
    return {"type": "data", "array": errors, "color": colour, "thickness": 1, "width": 0}


def _format_axis(metric: str, objectives: Sequence[Objective]) -> str:
    direction = next(o.direction for o in objectives if o.metric == metric)
    return f"{metric} ({'more' if direction == 'maximize' else 'less'} is better)"


def _to_json(values: Any) -> list[Any]:
    return [None if is_missing(v) else v for v in values.tolist()]


def _make_axis(values: pd.Series) -> dict[str, Any]:
    """Makes an axis: logarithmic, with ticks at 1, 3, 10, ..., if all values are above 0."""
    if not (values > 0).all():
        return {"type": "linear"}
    first, last = (math.floor(math.log10(v)) for v in (values.min(), values.max()))
    ticks = [m * 10.0**power for power in range(first, last + 1) for m in (1, 3)]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def finish_figure(figure: go.Figure, height: int, *, top: int = 44, legend_below: bool = False) -> Chart:
    """Gives a figure the style of all charts and converts it to plain data.

    Args:
        figure: The figure.
        height: Height in pixels.
        top: Margin above it in pixels.
        legend_below: Whether the legend is below the axes.
    """
    y, anchor = (0, "top") if legend_below else (1, "bottom")
    figure.update_layout(
        template={},
        height=height,
        margin={"l": 70, "r": 30, "t": top, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        plot_bgcolor="white",
        paper_bgcolor="white",
        hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": y, "yanchor": anchor},
    )
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(gridcolor=GRID, zeroline=False, linecolor=MUTED, automargin=True)
    chart: Chart = json.loads(figure.to_json())
    return chart
