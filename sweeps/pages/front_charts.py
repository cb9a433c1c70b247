"""Charts of fronts: that of the configurations, as searched and as confirmed, and that of single networks."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from plotly import graph_objects as go
from plotly.subplots import make_subplots

from bimt_core import TEST_COUNTERPARTS
from bimt_core.pictures.palette import MUTED
from sweeps.pages.charts import (
    BASELINE,
    FRONT,
    OTHER,
    PANEL,
    Chart,
    ChartedTrials,
    finish_figure,
    plot_groups,
    plot_line,
    to_json,
)
from sweeps.spec.parts import Objective
from sweeps.spec.sweep import SweepSpec
from sweeps.study.confirmation import ConfirmedTrial
from sweeps.study.front_probability import find_front
from sweeps.tracking.naming import PUBLISHED_SETTING, name_value

MAX_DOTS = 3000  # networks that are not on the front
UNSURE = "#7fb2d8"
VERDICTS = {  # of confirmed trials: name in the legend, colour, symbol
    "yes": ("confirmed: still on the front", FRONT, "circle"),
    "unsure": ("confirmed: unsure", UNSURE, "circle"),
    "no": ("confirmed: no longer on the front", OTHER, "x"),
    "baseline": (f"{PUBLISHED_SETTING}, confirmed", BASELINE, "diamond"),
}

Panel = tuple[str | None, str]  # metrics of the horizontal and the vertical axis; None stands for the trials' numbers


def plot_front(trials: ChartedTrials, confirmed: Sequence[ConfirmedTrial], spec: SweepSpec) -> Chart:
    """Plots every pair of objectives against each other, or a single objective against the trials' numbers.

    Confirmed trials have a second point with 95 % intervals, and a line to it from the one that the search saw.

    Args:
        trials: The trials.
        confirmed: Confirmed trials, the baseline included.
        spec: Spec of the sweep.
    """

    def draw(panel: Panel, showlegend: bool) -> list[go.Scatter]:
        x, y = panel
        traces = _plot_drops(confirmed, x, y)
        traces += plot_groups(trials, x, y, showlegend=showlegend, error_x=True, faint_front=bool(confirmed))
        traces += _plot_confirmed(confirmed, x, y, showlegend=showlegend)
        if len(spec.objectives) == 2:
            front = _find_confirmed_front(confirmed, spec) or _list_points(trials.on_front, panel)
            traces.append(plot_staircase(front, spec))
        return traces

    return _plot_panels(
        spec, draw, {o.metric: _title_axis(o, spec, confirmed=bool(confirmed)) for o in spec.objectives}
    )


def plot_network_front(networks: pd.DataFrame, front: pd.DataFrame, trials: ChartedTrials, spec: SweepSpec) -> Chart:
    """Plots single networks and their front, and the border of the front of the configurations.

    Args:
        networks: All networks on the sweep's own data; see `Sweep.networks`.
        front: Those on the front; see `Sweep.network_front`.
        trials: The trials.
        spec: Spec of the sweep.
    """
    others = networks[~networks.index.isin(front.index) & (networks["role"] == "search")]
    if len(others) > MAX_DOTS:
        others = others.sample(MAX_DOTS, random_state=0)
    groups: list[tuple[str, pd.DataFrame, dict[str, Any]]] = [
        ("a network", others, {"color": OTHER, "size": 5, "opacity": 0.6}),
        (
            f"a network of the {PUBLISHED_SETTING}",
            networks[networks["role"] == "baseline"],
            {"color": BASELINE, "size": 7, "symbol": "diamond"},
        ),
        ("front of single networks", front, {"color": FRONT, "size": 9}),
    ]

    def draw(panel: Panel, showlegend: bool) -> list[go.Scatter]:
        traces = [
            _plot_networks(group, panel, spec, marker, name=name, legendgroup=name, showlegend=showlegend)
            for name, group, marker in groups
            if len(group)
        ]
        if len(spec.objectives) == 2:
            name = "front of configurations"
            traces.append(plot_staircase(_list_points(trials.on_front, panel), spec, name=name, showlegend=showlegend))
        return traces

    titles = {o.metric: f"{o.metric} of one network; {_direct(o)}" for o in spec.objectives}
    return _plot_panels(spec, draw, titles)


def plot_staircase(points: Sequence[tuple[float, float]], spec: SweepSpec, **properties: Any) -> go.Scatter:
    """Plots the border of the region that a front of two objectives dominates.

    Args:
        points: Points of the front.
        spec: Spec of the sweep.
        **properties: Further properties of the trace.
    """
    line = {"shape": "hv" if spec.objectives[0].direction == "minimize" else "vh", "width": 1, "dash": "dot"}
    ordered = dict(sorted(points))
    style = {"hoverinfo": "skip", "showlegend": False} | properties
    return plot_line(pd.Series(list(ordered.values()), list(ordered)), line, **style)


def _plot_panels(spec: SweepSpec, draw: Callable[[Panel, bool], list[go.Scatter]], titles: Mapping[str, str]) -> Chart:
    """Plots a panel per pair of objectives; the first has the legend."""
    names = [objective.metric for objective in spec.objectives]
    panels: list[Panel] = [*itertools.combinations(names, 2)] or [(None, names[0])]
    figure = make_subplots(rows=len(panels), cols=1, vertical_spacing=0.18 / len(panels))
    for row, (x, y) in enumerate(panels, 1):
        for trace in draw((x, y), row == 1):
            figure.add_trace(trace, row=row, col=1)
        figure.update_xaxes(title_text="trial" if x is None else titles[x], row=row, col=1)
        figure.update_yaxes(title_text=titles[y], row=row, col=1)
    return finish_figure(figure, 110 + (PANEL + 60) * len(panels), top=64)


def _plot_drops(confirmed: Sequence[ConfirmedTrial], x: str | None, y: str) -> list[go.Scatter]:
    """Plots lines from searched to confirmed values."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for one in confirmed:
        values = _collect(one)
        for coordinates, metric in ((xs, x), (ys, y)):
            coordinates += [*(values[metric][:2] if metric else (one.trial.number,) * 2), None]
    line = {"color": MUTED, "width": 0.8}
    return [go.Scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", showlegend=False)] if confirmed else []


def _plot_confirmed(
    confirmed: Sequence[ConfirmedTrial], x: str | None, y: str, *, showlegend: bool
) -> list[go.Scatter]:
    """Plots confirmed values with their intervals, by verdict."""
    traces = []
    for verdict, (name, colour, symbol) in VERDICTS.items():
        group = [one for one in confirmed if one.verdict == verdict]
        numbers = [one.trial.number for one in group]
        values = [_collect(one) for one in group]
        bars = {
            axis: _make_intervals([by_metric[metric][1:] for by_metric in values], colour)
            for axis, metric in (("error_x", x), ("error_y", y))
            if metric is not None
        }
        trace = go.Scatter(
            x=numbers if x is None else [by_metric[x][1] for by_metric in values],
            y=[by_metric[y][1] for by_metric in values],
            mode="markers",
            name=name,
            legendgroup=name,
            showlegend=showlegend,
            marker={"color": colour, "size": 14 if verdict == "baseline" else 10, "symbol": symbol},
            customdata=numbers,
            hovertemplate=f"{PUBLISHED_SETTING if verdict == 'baseline' else 'trial %{customdata}'}, confirmed"
            "<br>%{x:.4g}, %{y:.4g}<extra></extra>",
            **bars,
        )
        traces += [trace] if group else []
    return traces


def _plot_networks(
    networks: pd.DataFrame, panel: Panel, spec: SweepSpec, marker: Mapping[str, Any], **properties: Any
) -> go.Scatter:
    x, y = panel
    judged = [test for o in spec.objectives if (test := TEST_COUNTERPARTS.get(o.metric)) is not None]
    texts = [
        f"trial {row['trial']}, seed {row['seed']}" + "".join(f"<br>{name} {row[name]:.4g}" for name in judged)
        for row in networks.to_dict("records")
    ]
    return go.Scatter(
        x=to_json(networks["trial"] if x is None else networks[x]),
        y=to_json(networks[y]),
        mode="markers",
        marker=dict(marker),
        customdata=networks["trial"].tolist(),
        text=texts,
        hovertemplate="%{text}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
        **properties,
    )


def _collect(one: ConfirmedTrial) -> dict[str, tuple[float, float, float, float]]:
    """Searched and confirmed value, and bounds of its interval, by objective."""
    return {o.metric: (o.searched, o.confirmed, o.low, o.high) for o in one.objectives}


def _make_intervals(values: Sequence[Sequence[float]], colour: str) -> dict[str, Any]:
    """Makes error bars from values and their bounds, which are NaN for single networks."""
    above = [0.0 if math.isnan(high) else high - value for value, _, high in values]
    below = [0.0 if math.isnan(low) else value - low for value, low, _ in values]
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "color": colour,
        "thickness": 1,
        "width": 3,
    }


def _find_confirmed_front(confirmed: Sequence[ConfirmedTrial], spec: SweepSpec) -> list[tuple[float, float]]:
    """Points of two confirmed objectives that no other confirmed trial of the search dominates."""
    points = [tuple(o.confirmed for o in one.objectives) for one in confirmed if one.trial.role == "search"]
    if not points:
        return []
    front = find_front(np.array(points), [objective.direction for objective in spec.objectives])
    return [(x, y) for (x, y), is_on_front in zip(points, front, strict=True) if is_on_front]


def _list_points(trials: pd.DataFrame, panel: Panel) -> list[tuple[float, float]]:
    return list(trials[list(panel)].itertuples(index=False, name=None))


def _title_axis(objective: Objective, spec: SweepSpec, *, confirmed: bool) -> str:
    name = name_value(objective.metric, spec)
    test = TEST_COUNTERPARTS.get(objective.metric)
    if confirmed and test is not None:
        name = f"{name} searched, {test} confirmed"
    return f"{name}; {_direct(objective)}"


def _direct(objective: Objective) -> str:
    return f"{'more' if objective.direction == 'maximize' else 'less'} is better"
