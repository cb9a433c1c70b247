"""Table of searched and confirmed values, and what a sweep has gained over the published setting."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.spec.sweep import SweepSpec
from sweeps.study.confirmation import ConfirmedObjective, ConfirmedTrial
from sweeps.study.front_probability import LIKELY, UNLIKELY
from sweeps.study.gains import choose_gains, compare_with_baseline
from sweeps.study.group_comparison import Comparison
from sweeps.tracking.markdown import format_table
from sweeps.tracking.naming import PUBLISHED_SETTING, name_trial, name_value

Confirmed = Mapping[int | None, Sequence[ConfirmedTrial]]  # by data seed; None is the sweep's own data
SIGNIFICANT = 0.05  # p-value below which a ratio is marked
NO_BREAK = "\N{NO-BREAK SPACE}"  # MLflow's tables are narrow
NOT_BETTER = f"No trial is at least as good as the {PUBLISHED_SETTING} in all objectives, as searched."


def make_confirmed_table(confirmed: Confirmed, spec: SweepSpec) -> dict[str, Any]:
    """Makes the table of all confirmed trials as MLflow displays it, {"columns": [...], "data": [[...], ...]}.

    Args:
        confirmed: Confirmed trials by data seed.
        spec: Their sweep.
    """
    rows = [
        _make_row(one, gains.get(one.trial.number, {}), data_seed)
        for data_seed, trials in confirmed.items()
        for gains in [compare_with_baseline(trials, spec)]
        for one in trials
    ]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return {"columns": columns, "data": [[row.get(column) for column in columns] for row in rows]}


def format_confirmed(trials: Sequence[ConfirmedTrial], spec: SweepSpec) -> str:
    """Formats confirmed trials as a table in Markdown.

    Args:
        trials: Confirmed trials of the same data.
        spec: Their sweep.
    """
    gains = compare_with_baseline(trials, spec)
    columns = ["trial"]
    for objective in trials[0].objectives:
        searched, confirmed = (name_value(name, spec) for name in (objective.metric, objective.confirmed_metric))
        columns += [f"{searched}, searched", f"{confirmed}, confirmed", "/ published"]
    rows = []
    for one in trials:
        row = [name_trial(one.trial)]
        for objective in one.objectives:
            comparison = gains.get(one.trial.number, {}).get(objective.metric)
            row += [
                _format_searched(objective),
                format_interval(objective.confirmed, objective.low, objective.high),
                "" if comparison is None else _mark_ratio(comparison),
            ]
        rows.append([cell.replace(" ", NO_BREAK) for cell in (*row, _format_verdict(one))])
    return format_table([*columns, "still on the front"], rows)


def describe_gains(trials: Sequence[ConfirmedTrial], spec: SweepSpec) -> list[str]:
    """Describes what the sweep has gained over the published setting, one line per objective in which it has.

    Args:
        trials: Confirmed trials of the same data.
        spec: Their sweep.

    Returns:
        The lines, or one that says that nothing was gained; none without a confirmed baseline.
    """
    comparisons = compare_with_baseline(trials, spec)
    if not comparisons:
        return []
    lines = []
    for metric, one in choose_gains(trials, spec).items():
        others = [o.metric for o in spec.objectives if o.metric != metric]
        best = "Lowest" if spec.aggregate_of(metric)[1] == "minimize" else "Highest"
        loss = f" at no worse {' and '.join(others)} than the {PUBLISHED_SETTING}" if others else ""
        values = ", ".join(
            f"{objective.confirmed_metric} times {format_comparison(comparisons[one.trial.number][objective.metric])}"
            for objective in one.objectives
        )
        lines.append(f"{best} {metric}{loss}, as searched: {name_trial(one.trial)}. Confirmed: {values}.")
    return lines or [NOT_BETTER]


def format_interval(value: float, low: float, high: float) -> str:
    """Formats a value with its 95 % interval.

    Args:
        value: The value.
        low: Lower bound; NaN for a single network.
        high: Upper bound.

    Examples:
        >>> format_interval(0.91234, 0.89, 0.93001), format_interval(0.9, float("nan"), float("nan"))
        ('0.9123 [0.89, 0.93]', '0.9')
    """
    if math.isnan(low):
        return _format_number(value, 4)
    return f"{_format_number(value, 4)} [{_format_number(low, 3)}, {_format_number(high, 3)}]"


def format_comparison(comparison: Comparison) -> str:
    """Formats a ratio to the published setting, with its 95 % interval and the p-value of the difference.

    Args:
        comparison: The comparison.

    Examples:
        >>> format_comparison(Comparison(0.5, 0.4, 0.62, 0.0012))
        '0.5 [0.4, 0.62], p 0.0012'
        >>> format_comparison(Comparison(-1.2, float("nan"), float("nan"), 0.3))
        'no ratio, p 0.3'
    """
    ratio = format_ratio(comparison) or "no ratio"
    return f"{ratio}, p {comparison.p:.2g}"


def format_ratio(comparison: Comparison) -> str:
    """Formats a ratio to the published setting with its 95 % interval; empty where a ratio says nothing.

    Args:
        comparison: The comparison.

    Examples:
        >>> format_ratio(Comparison(0.5, 0.4, 0.62, 0.0012))
        '0.5 [0.4, 0.62]'
    """
    if math.isnan(comparison.low):
        return ""
    ratio, low, high = (_format_number(value, 3) for value in (comparison.ratio, comparison.low, comparison.high))
    return f"{ratio} [{low}, {high}]"


def format_probability(probability: float) -> str:
    """Formats the probability of being on the front, with a decimal where it is close to that of another verdict.

    Args:
        probability: The probability.

    Examples:
        >>> [format_probability(value) for value in (0.42, 0.8955, 0.9)]
        ['42%', '89.5%', '90.0%']
    """
    return f"{probability:.1%}" if round(probability, 2) in (LIKELY, UNLIKELY) else f"{probability:.0%}"


def _format_number(value: float, digits: int) -> str:
    """Significant digits, without an exponent for large numbers."""
    return f"{value:.0f}" if 10**digits <= abs(value) < 1e9 else f"{value:.{digits}g}"


def _format_searched(objective: ConfirmedObjective) -> str:
    error = objective.searched_stderr
    return f"{objective.searched:.4g}" + ("" if math.isnan(error) else f" ±{error:.1g}")


def _mark_ratio(comparison: Comparison) -> str:
    mark = "*" if comparison.p < SIGNIFICANT else ""
    return mark if math.isnan(comparison.low) else f"{comparison.ratio:.3g}{mark}"


def _format_verdict(one: ConfirmedTrial) -> str:
    return "" if math.isnan(one.probability) else f"{one.verdict} ({format_probability(one.probability)})"


def _make_row(one: ConfirmedTrial, gains: Mapping[str, Comparison], data_seed: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {"trial": name_trial(one.trial)}
    if data_seed is not None:
        row["data seed"] = data_seed
    row |= {"networks searched": len(one.trial.seeds), "networks confirmed": len(one.confirmation.seeds)}
    for objective in one.objectives:
        row[f"{objective.metric} searched"] = objective.searched
        row[f"{objective.metric} searched stderr"] = objective.searched_stderr
        name = objective.confirmed_metric
        row |= {f"{name} confirmed": objective.confirmed, f"{name} low": objective.low, f"{name} high": objective.high}
        if (comparison := gains.get(objective.metric)) is not None:
            row |= {f"{name} / published": comparison.ratio, f"{name} / published low": comparison.low}
            row |= {f"{name} / published high": comparison.high, f"{name} p": comparison.p}
    row["probability of being on the front"] = one.probability
    row["still on the front"] = None if math.isnan(one.probability) else one.verdict
    return {name: _round(value) for name, value in row.items()}


def _round(value: Any) -> Any:
    """Six digits of a number; None unless it is finite."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None
