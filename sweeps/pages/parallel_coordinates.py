"""Parallel coordinates: each trial is a line across its hyperparameters and objectives.

The lines are ordinary ones: plotly's own parallel coordinates need WebGL, which remote desktops often lack.
"""

from typing import Any

import pandas as pd
from plotly import graph_objects as go

from bimt_core.pictures.palette import INK
from sweeps.pages.charts import BASELINE, ON_FRONT, Chart, ChartedTrials, finish_figure
from sweeps.pages.scale import Scale
from sweeps.spec.sweep import SweepSpec
from sweeps.tracking.naming import PUBLISHED_SETTING, name_value

SHADES = ("#cfe0ee", "#a9cbe4", "#7fb2d8", "#5497c7", "#2f7bb3", "#17588a")  # from the worst to the best
FRONT_COLOUR = "#e08a00"
LABEL: dict[str, Any] = {"showarrow": False, "xanchor": "left", "xshift": 5, "font_size": 10, "borderpad": 1}


def plot_parallel_coordinates(trials: ChartedTrials, spec: SweepSpec) -> Chart:
    """Plots the trials; lines are darker the better they are in the first objective.

    Args:
        trials: The trials.
        spec: Spec of the sweep.
    """
    search, front, first = trials.search, trials.front, spec.objectives[0]
    metrics = [objective.metric for objective in spec.objectives]
    names = [*spec.searched, *metrics]
    columns = pd.concat([search[names].astype(object), trials.baseline[names].astype(object)])
    scales = {name: Scale(columns[name], spec.search.get(name)) for name in names}
    figure = go.Figure()
    rank = search[first.metric].rank(pct=True, ascending=first.direction == "maximize")
    shade = {n: min(int(part * len(SHADES)), len(SHADES) - 1) for n, part in rank.items()}
    for i, colour in enumerate(SHADES):
        group = search.loc[[n for n in search.index if shade[n] == i and n not in front]]
        figure.add_trace(_plot_lines(group, scales, colour, 1.2, "worse to better" if i == 3 else None))
    figure.add_trace(_plot_lines(trials.on_front, scales, FRONT_COLOUR, 2.6, ON_FRONT))
    if len(trials.baseline):
        figure.add_trace(_plot_lines(trials.baseline, scales, BASELINE, 3.0, PUBLISHED_SETTING, dash="dash"))
    for i, name in enumerate(names):
        figure.add_shape(type="line", x0=i, x1=i, y0=0, y1=1, line={"color": INK, "width": 1}, layer="below")
        for y, text in scales[name].ticks():
            figure.add_annotation(x=i, y=y, text=text, bgcolor="rgba(255,255,255,0.75)", **LABEL)
    titles = [*spec.searched, *(name_value(metric, spec) for metric in metrics)]
    texts = [title.replace("_", "<br>").replace(" (", "<br>(") for title in titles]
    figure.update_xaxes(tickvals=list(range(len(names))), ticktext=texts, range=[-0.2, len(names) - 0.5])
    figure.update_xaxes(side="top", showgrid=False)
    figure.update_yaxes(visible=False, range=[-0.06, 1.06])
    return finish_figure(figure, 500, top=84, legend_below=True)


def _plot_lines(
    trials: pd.DataFrame, scales: dict[str, Scale], colour: str, width: float, name: str | None, *, dash: str = "solid"
) -> go.Scatter:
    """Plots several trials as one trace, with gaps between their lines."""
    x: list[int | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for number, row in zip(trials.index.tolist(), trials.to_dict("records"), strict=True):
        x += [*range(len(scales)), None]
        y += [*(scale.at(row[name]) for name, scale in scales.items()), None]
        numbers += [number] * (len(scales) + 1)
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line={"color": colour, "width": width, "dash": dash},
        opacity=0.9 if name in (ON_FRONT, PUBLISHED_SETTING) else 0.55,
        marker={"size": 4},
        customdata=numbers,
        name=name,
        showlegend=name is not None,
        hovertemplate=f"{PUBLISHED_SETTING if name == PUBLISHED_SETTING else 'trial %{customdata}'}<extra></extra>",
    )
