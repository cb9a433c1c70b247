"""The report's section on searched and confirmed values, as data for its tables."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bimt_core import TEST_COUNTERPARTS
from sweeps.results.confirmations import NOT_CONFIRMED, list_objectives, order_confirmed
from sweeps.results.frames import is_bimodal_trial
from sweeps.results.statistics import format_mean
from sweeps.spec.sweep import SweepSpec
from sweeps.study.confirmation import ConfirmedObjective, ConfirmedTrial
from sweeps.study.gains import compare_with_baseline
from sweeps.study.group_comparison import Comparison
from sweeps.study.trial import Trial
from sweeps.tracking.confirmed_table import Confirmed, describe_gains, format_interval, format_probability, format_ratio
from sweeps.tracking.naming import name_value

TWO_GROUPS = "two groups of networks"  # mark of a bimodal trial


def make_confirmed_section(
    front: Sequence[Trial], baseline: Trial | None, confirmed: Confirmed, spec: SweepSpec
) -> dict[str, Any] | None:
    """Makes the data of the section: a table per confirmed data, notes, and what the sweep has gained.

    Args:
        front: Trials on the front.
        baseline: The published setting, if it is complete.
        confirmed: Confirmed trials by data seed; None is the sweep's own data.
        spec: The sweep.

    Returns:
        The data; None for a sweep that has nothing to confirm.
    """
    if spec.variants or not (front or confirmed):
        return None
    shown = [*([] if baseline is None else [baseline]), *front]
    tables = {None: confirmed.get(None, [])} | dict(confirmed)
    return {
        "notes": _list_notes(shown, tables[None], spec),
        "gains": describe_gains(tables[None], spec),
        "tables": [
            {
                "data_seed": data_seed,
                "columns": _name_columns(spec),
                "rows": _make_rows(shown if data_seed is None else [], trials, spec),
            }
            for data_seed, trials in tables.items()
        ],
    }


def _list_notes(shown: Sequence[Trial], confirmed: Sequence[ConfirmedTrial], spec: SweepSpec) -> list[str]:
    """Lists what is not confirmed, and why."""
    numbers = {one.trial.number for one in confirmed}
    lacking = [trial for trial in shown if trial.number not in numbers]
    notes = []
    if not confirmed:
        when = "" if spec.confirm is None else " yet"
        notes.append(
            f"Not confirmed{when}: these values chose the front, so they are better than those of new networks. bimt"
            f" confirm {spec.name} trains the front and the published setting again, on seeds that the search has not"
            " used, and measures them on test rows."
        )
    elif lacking:
        notes.append(f"{len(lacking)} of {len(shown)} configurations are not confirmed.")
    for trial in shown:
        confirmation = trial.confirmations.get(None)
        notes += [f"Trial {trial.number}: {reason}" for reason in (confirmation.failures if confirmation else ())]
    return notes


def _name_columns(spec: SweepSpec) -> list[dict[str, str]]:
    return [
        {
            "searched": name_value(o.metric, spec),
            "confirmed": name_value(TEST_COUNTERPARTS.get(o.metric, o.metric), spec),
        }
        for o in spec.objectives
    ]


def _make_rows(shown: Sequence[Trial], confirmed: Sequence[ConfirmedTrial], spec: SweepSpec) -> list[dict[str, Any]]:
    gains = compare_with_baseline(confirmed, spec)
    rows = []
    for trial, judged in order_confirmed(shown, confirmed, spec):
        compared = gains.get(trial.number, {})
        rows.append(
            {
                "trial": trial.number,
                "networks": f"{len(trial.seeds)}" + ("" if judged is None else f" + {len(judged.confirmation.seeds)}"),
                "mark": TWO_GROUPS if is_bimodal_trial(trial, spec) else "",
                "cells": [_make_cell(o, compared, spec) for o in list_objectives(trial, judged, spec)],
                "verdict": NOT_CONFIRMED if judged is None else "" if trial.role == "baseline" else judged.verdict,
                "probability": ""
                if judged is None or math.isnan(judged.probability)
                else format_probability(judged.probability),
            }
        )
    return rows


def _make_cell(objective: ConfirmedObjective, compared: Mapping[str, Comparison], spec: SweepSpec) -> dict[str, str]:
    comparison, known = compared.get(objective.metric), not math.isnan(objective.confirmed)
    return {
        "searched": format_mean(objective.searched, objective.searched_stderr),
        "confirmed": format_interval(objective.confirmed, objective.low, objective.high) if known else NOT_CONFIRMED,
        "ratio": "" if comparison is None else format_ratio(comparison),
        "p": "" if comparison is None or math.isnan(comparison.p) else f"{comparison.p:.2g}",
        "change": "" if comparison is None else _judge_change(comparison, spec.aggregate_of(objective.metric)[1]),
    }


def _judge_change(comparison: Comparison, direction: str) -> str:
    """Returns "gain" or "loss" where the interval of the ratio says so, and else nothing."""
    if comparison.low > 1:
        return "gain" if direction == "maximize" else "loss"
    if comparison.high < 1:
        return "loss" if direction == "maximize" else "gain"
    return ""
