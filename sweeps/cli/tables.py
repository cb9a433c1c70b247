"""Tables of trials for a terminal."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from bimt_core import TEST_COUNTERPARTS
from sweeps.cli.terminal import render_table
from sweeps.results.confirmations import NOT_CONFIRMED, list_objectives, order_confirmed
from sweeps.results.frames import is_bimodal_trial
from sweeps.results.statistics import format_mean
from sweeps.tracking.confirmed_table import format_interval
from sweeps.tracking.naming import name_value

if TYPE_CHECKING:
    from sweeps.spec.sweep import SweepSpec
    from sweeps.study.confirmation import ConfirmedTrial
    from sweeps.study.trial import Trial

BIMODAL = "* bimodal: its networks fall into two groups, and its mean describes neither"
STYLES = {"yes": "green", "no": "red", "unsure": "yellow"}  # by verdict


def label_trial(number: int, role: str, *, bimodal: bool) -> str:
    """Returns the number of a trial with its marks.

    Args:
        number: Number of the trial.
        role: "search", or "baseline", which is marked.
        bimodal: Whether the trial is bimodal, which is marked.

    Examples:
        >>> label_trial(7, "search", bimodal=True), label_trial(0, "baseline", bimodal=False)
        ('7*', '0 baseline')
    """
    return f"{number}{'*' if bimodal else ''}{' baseline' if role == 'baseline' else ''}"


def explain_marks(trials: "Iterable[Trial]", spec: "SweepSpec") -> list[str]:
    """Returns a line about the marks of a table, if it has some.

    Args:
        trials: Trials of the table.
        spec: The sweep.
    """
    return [BIMODAL] if any(is_bimodal_trial(trial, spec) for trial in trials) else []


def format_value(value: object) -> str:
    """Formats the value of a hyperparameter.

    Args:
        value: The value; None where a trial has none.

    Examples:
        >>> format_value(0.00034567), format_value("greedy"), format_value(None)
        ('0.000346', 'greedy', '')
    """
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def title_rows(title: str, spec: "SweepSpec") -> str:
    """Returns a title that says so where values are on the paper's rows.

    Args:
        title: The title.
        spec: The sweep.
    """
    return f"{title} (on the paper's rows)" if spec.published else title


def render_front(front: "Sequence[Trial]", spec: "SweepSpec", title: str) -> Table:
    """Renders a Pareto front as searched: objectives and modularity with standard errors, searched hyperparameters.

    Args:
        front: Trials of the front.
        spec: The sweep.
        title: Title of the table.
    """
    first = spec.objectives[0]
    metrics = list(dict.fromkeys([*(objective.metric for objective in spec.objectives), "modularity"]))
    ordered = sorted(front, key=lambda trial: trial.values[first.metric], reverse=first.direction == "maximize")
    rows = [
        [
            _label(trial, spec),
            *(format_mean(trial.values[metric], trial.stderr[metric]) for metric in metrics),
            *(format_value(trial.params[name]) for name in spec.searched),
        ]
        for trial in ordered
    ]
    columns = ["trial", *(name_value(metric, spec) for metric in metrics), *spec.searched]
    return render_table(columns, rows, title=title_rows(title, spec), numbers=True, dim=spec.searched)


def render_confirmed(
    front: "Iterable[Trial]", confirmed: "Iterable[ConfirmedTrial]", spec: "SweepSpec", title: str
) -> Table:
    """Renders objectives as searched, with standard errors, and as confirmed, with 95 % intervals.

    Args:
        front: Trials on the front, those that are not confirmed included.
        confirmed: Confirmed trials, the baseline included.
        spec: The sweep.
        title: Title of the table.
    """
    pairs = order_confirmed(front, confirmed, spec)
    columns, rows, styles = ["trial"], [], []
    for objective in spec.objectives:
        test = TEST_COUNTERPARTS.get(objective.metric, objective.metric)
        columns += [f"{name_value(objective.metric, spec)} searched", f"{name_value(test, spec)} confirmed"]
    for trial, judged in pairs:
        row = [_label(trial, spec)]
        for one in list_objectives(trial, judged, spec):
            confirmed_value = "" if judged is None else format_interval(one.confirmed, one.low, one.high)
            row += [format_mean(one.searched, one.searched_stderr), confirmed_value]
        networks = f"{len(trial.seeds)}" + ("" if judged is None else f" + {len(judged.confirmation.seeds)}")
        rows.append([*row, networks, _format_verdict(judged)])
        styles.append("" if judged is None else STYLES.get(judged.verdict, ""))
    return render_table(
        [*columns, "networks", "still_on_front"],
        rows,
        title=title_rows(title, spec),
        numbers=True,
        styles=styles,
    )


def _label(trial: "Trial", spec: "SweepSpec") -> str:
    return label_trial(trial.number, trial.role, bimodal=is_bimodal_trial(trial, spec))


def _format_verdict(judged: "ConfirmedTrial | None") -> str:
    if judged is None:
        return NOT_CONFIRMED
    return "" if math.isnan(judged.probability) else f"{judged.verdict} ({judged.probability:.0%})"
