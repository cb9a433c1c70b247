"""Charts of the report by plotly: figures as plain data, drawn by the browser."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from plotly import graph_objects as go
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from bimt_core.pictures.palette import COMMUNITY, GRID, INK, MUTED, NEGATIVE, POSITIVE
from sweeps.pages.scale import is_missing
from sweeps.results.frames import best_so_far
from sweeps.spec.sweep import SweepSpec
from sweeps.tracking.naming import PUBLISHED_SETTING, name_value

FRONT, OTHER, INFEASIBLE, BASELINE = POSITIVE, "#9aa5b1", NEGATIVE, COMMUNITY[2]
ON_FRONT = "Pareto front"  # name of its trials in legends
PANEL = 330  # height in pixels

Chart = dict[str, Any]


@dataclass(frozen=True)
class ChartedTrials:
    """Completed trials of a sweep, with the values that the search saw, and those that charts mark.

    Args:
        search: Frame of the trials of the search; see `Sweep.trials`.
        front: Numbers of those on the Pareto front.
        baseline: Frame with the baseline as its only row, or without rows.
    """

    search: pd.DataFrame
    front: Sequence[int]
    baseline: pd.DataFrame

    @property
    def on_front(self) -> pd.DataFrame:
        """Frame of the trials on the front."""
        return self.search.loc[list(self.front)]


def plotly_script() -> str:
    """Returns plotly.js, which draws the figures."""
    return str(get_plotlyjs())


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


def plot_against(trials: ChartedTrials, parameter: str, metrics: Sequence[str], spec: SweepSpec) -> Chart:
    """Plots metrics against a hyperparameter, on a logarithmic axis if all its values are above 0.

    Args:
        trials: The trials.
        parameter: A numeric hyperparameter.
        metrics: One panel each.
        spec: Spec of the sweep.
    """
    figure = make_subplots(rows=1, cols=len(metrics), horizontal_spacing=0.11)
    for column, metric in enumerate(metrics, 1):
        for trace in plot_groups(trials, parameter, metric, showlegend=column == 1):
            figure.add_trace(trace, row=1, col=column)
        values = pd.concat([trials.search[parameter], trials.baseline[parameter]])
        figure.update_xaxes(title_text=parameter, **_make_axis(values), row=1, col=column)
        figure.update_yaxes(title_text=name_value(metric, spec), row=1, col=column)
    return finish_figure(figure, PANEL + 60)


def plot_history(trials: ChartedTrials, hypervolumes: Mapping[int, float], spec: SweepSpec) -> Chart:
    """Plots the course of the search: the hypervolume after each trial, and each objective with the best so far.

    Args:
        trials: The trials, in order.
        hypervolumes: See `Sweep.hypervolumes`; if empty, the panel is left out.
        spec: Spec of the sweep.
    """
    objectives = spec.objectives
    panels = len(objectives) + bool(hypervolumes)
    figure = make_subplots(rows=panels, cols=1, shared_xaxes=True, vertical_spacing=0.14 / panels)
    if hypervolumes:
        hover = "after trial %{x}: %{y:.4g}<extra></extra>"
        line = plot_line(pd.Series(hypervolumes), showlegend=False, hovertemplate=hover)
        figure.add_trace(line, row=1, col=1)
        figure.update_yaxes(title_text="hypervolume", row=1, col=1)
    for row, objective in enumerate(objectives, 1 + bool(hypervolumes)):
        dots = go.Scatter(
            x=trials.search.index.tolist(),
            y=to_json(trials.search[objective.metric]),
            mode="markers",
            name="a trial",
            showlegend=row == panels,
            marker={"color": OTHER, "size": 6},
            customdata=trials.search.index.tolist(),
            hovertemplate="trial %{x}: %{y:.4g}<extra></extra>",
        )
        best = best_so_far(trials.search, objective)
        line = plot_line(best, name="best so far", showlegend=row == panels, hoverinfo="skip")
        figure.add_traces([dots, line], rows=row, cols=1)
        for trace in _plot_levels(trials, objective.metric, showlegend=row == panels):
            figure.add_trace(trace, row=row, col=1)
        figure.update_yaxes(title_text=name_value(objective.metric, spec), row=row, col=1)
    figure.update_xaxes(title_text="trial", row=panels, col=1)
    return finish_figure(figure, 90 + 210 * panels)


def _plot_levels(trials: ChartedTrials, metric: str, *, showlegend: bool) -> list[go.Scatter]:
    """Plots the value of the published setting as a line across the chart."""
    numbers = [*trials.search.index, *trials.baseline.index]
    return [
        go.Scatter(
            x=[min(numbers), max(numbers)],
            y=[float(value)] * 2,
            mode="lines",
            line={"color": BASELINE, "width": 1.5, "dash": "dash"},
            name=PUBLISHED_SETTING,
            showlegend=showlegend,
            customdata=[number] * 2,
            hovertemplate="published setting: %{y:.4g}<extra></extra>",
        )
        for number, value in trials.baseline[metric].items()
    ]


def plot_groups(
    trials: ChartedTrials, x: str | None, y: str, *, showlegend: bool, error_x: bool = False, faint_front: bool = False
) -> list[go.Scatter]:
    """Plots infeasible, other and front trials and the baseline, the last on top.

    Args:
        trials: The trials.
        x: Column of the horizontal axis; None for the trials' numbers.
        y: Column of the vertical axis.
        showlegend: Whether the legend names the groups.
        error_x: Whether the horizontal values have error bars, too.
        faint_front: Whether the front and the baseline are hollow, because their confirmed values are drawn as well.
    """
    search = trials.search
    on_front = search.index.isin(list(trials.front))
    feasible = search["feasible"].map(bool).to_numpy(dtype=bool)
    hollow, searched = ("-open", ", searched") if faint_front else ("", "")
    groups: list[tuple[str, str, dict[str, Any], pd.DataFrame]] = [
        ("breaks a constraint", INFEASIBLE, {"size": 7}, search[~feasible & ~on_front]),
        ("other trials", OTHER, {"size": 7}, search[feasible & ~on_front]),
        (ON_FRONT + searched, FRONT, {"size": 10, "symbol": f"circle{hollow}"}, search[on_front]),
        (PUBLISHED_SETTING + searched, BASELINE, {"size": 13, "symbol": f"diamond{hollow}"}, trials.baseline),
    ]
    return [
        go.Scatter(
            x=to_json(group.index if x is None else group[x]),
            y=to_json(group[y]),
            error_x=_make_error_bars(group, x, colour) if error_x and x else None,
            error_y=_make_error_bars(group, y, colour),
            mode="markers",
            name=name,
            legendgroup=name,
            showlegend=showlegend,
            marker={"color": colour, "line": {"width": 1.5 if marker.get("symbol", "").endswith("-open") else 0}}
            | marker,
            customdata=group.index.tolist(),
            hovertemplate=f"{'trial %{customdata}' if group is not trials.baseline else PUBLISHED_SETTING}{searched}"
            "<br>%{x:.4g}, %{y:.4g}<extra></extra>",
        )
        for name, colour, marker, group in groups
        if len(group)
    ]


def plot_line(values: pd.Series, line: Mapping[str, Any] | None = None, **properties: Any) -> go.Scatter:
    """Plots values against their index, with steps between them.

    Args:
        values: The values.
        line: Style that differs from that of other lines.
        **properties: Further properties of the trace.
    """
    style = {"shape": "hv", "color": FRONT, **(line or {})}
    return go.Scatter(x=to_json(values.index), y=to_json(values), mode="lines", line=style, **properties)


def _make_error_bars(trials: pd.DataFrame, metric: str, colour: str) -> dict[str, Any]:
    errors = trials[f"{metric}_stderr"].fillna(0.0).tolist()
    return {"type": "data", "array": errors, "color": colour, "thickness": 1, "width": 0}


def to_json(values: Any) -> list[Any]:
    """Returns a column as a list, with None for missing values.

    Args:
        values: The column, or an index.
    """
    return [None if is_missing(v) else v for v in values.tolist()]


def _make_axis(values: pd.Series) -> dict[str, Any]:
    """Makes an axis: logarithmic, with ticks at 1, 3, 10, ..., if all values are above 0."""
    known = [float(value) for value in values.tolist() if not is_missing(value)]
    if not known or min(known) <= 0:
        return {"type": "linear"}
    first, last = (math.floor(math.log10(v)) for v in (min(known), max(known)))
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
