"""Parallel coordinates: each trial is a line across its hyperparameters and objectives.

The lines are ordinary ones: plotly's own parallel coordinates need WebGL, which remote desktops often lack.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from plotly import graph_objects as go

from bimt_core.pictures.palette import INK
from sweeps.pages.charts import ON_FRONT, Chart, finish_figure
from sweeps.pages.scale import Scale
from sweeps.spec.parts import Objective
from sweeps.spec.search_space import Parameter

SHADES = ("#cfe0ee", "#a9cbe4", "#7fb2d8", "#5497c7", "#2f7bb3", "#17588a")  # from the worst to the best
FRONT_COLOUR = "#e08a00"
LABEL: dict[str, Any] = {"showarrow": False, "xanchor": "left", "xshift": 5, "font_size": 10, "borderpad": 1}


def plot_parallel_coordinates(
    trials: pd.DataFrame,
    front: Sequence[int],
    searched: Mapping[str, Parameter | None],
    objectives: Sequence[Objective],
) -> Chart:
    """Plots the trials; lines are darker the better they are in the first objective.

    Args:
        trials: Completed trials; see `Sweep.trials`.
        front: Numbers of those on the Pareto front.
        searched: Searched hyperparameters, each with its entry in the search space, if any.
        objectives: Objectives of the sweep.
    """
    names = [*searched, *(o.metric for o in objectives)]
    scales = {name: Scale(trials[name], searched.get(name)) for name in names}
    figure, first = go.Figure(), objectives[0]
    rank = trials[first.metric].rank(pct=True, ascending=first.direction == "maximize")
    shade = {n: min(int(part * len(SHADES)), len(SHADES) - 1) for n, part in rank.items()}
    for i, colour in enumerate(SHADES):
        group = trials.loc[[n for n in trials.index if shade[n] == i and n not in front]]
        figure.add_trace(_plot_lines(group, names, scales, colour, 1.2, "worse to better" if i == 3 else None))
    figure.add_trace(_plot_lines(trials.loc[list(front)], names, scales, FRONT_COLOUR, 2.6, ON_FRONT))
    for i, name in enumerate(names):
        figure.add_shape(type="line", x0=i, x1=i, y0=0, y1=1, line={"color": INK, "width": 1}, layer="below")
        for y, text in scales[name].ticks():
            figure.add_annotation(x=i, y=y, text=text, bgcolor="rgba(255,255,255,0.75)", **LABEL)
    texts = [name.replace("_", "<br>") for name in names]
    figure.update_xaxes(tickvals=list(range(len(names))), ticktext=texts, range=[-0.2, len(names) - 0.5])
    figure.update_xaxes(side="top", showgrid=False)
    figure.update_yaxes(visible=False, range=[-0.06, 1.06])
    return finish_figure(figure, 500, top=84, legend_below=True)


def _plot_lines(
    trials: pd.DataFrame, names: list[str], scales: dict[str, Scale], colour: str, width: float, name: str | None
) -> go.Scatter:
    """Plots several trials as one trace, with gaps between their lines."""
    x: list[int | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for number, row in zip(trials.index.tolist(), trials.to_dict("records"), strict=True):
        x += [*range(len(names)), None]
        y += [*(scales[n].at(row[n]) for n in names), None]
        numbers += [number] * (len(names) + 1)
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line={"color": colour, "width": width},
        opacity=0.9 if name == ON_FRONT else 0.55,
        marker={"size": 4},
        customdata=numbers,
        name=name,
        showlegend=name is not None,
        hovertemplate="trial %{customdata}<extra></extra>",
    )
