"""Frames of single networks, and their front."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bimt_core import METRICS
from sweeps.spec.sweep import SweepSpec
from sweeps.study.front_probability import find_front
from sweeps.study.trial import Trial


def make_network_frame(entries: Sequence[Trial], spec: SweepSpec) -> pd.DataFrame:
    """Makes a frame with a row per network; see `Sweep.networks`.

    Args:
        entries: Everything that the study holds.
        spec: The sweep.
    """
    by_number = {entry.number: entry for entry in entries}
    rows = []
    for entry in entries:
        if entry.state != "COMPLETE":
            continue
        trial = entry if entry.of is None else by_number[entry.of]
        params = {name: trial.params.get(name) for name in spec.hyperparameters}
        phase = "confirmation" if entry.role == "confirmation" else "search"
        start = {"trial": trial.number, "phase": phase, "role": trial.role, "data_seed": entry.data_seed}
        for i, seed in enumerate(entry.seeds):
            values = {name: entry.networks[name][i] for name in METRICS}
            rows.append(start | {"seed": seed, "feasible": is_feasible(values, spec)} | values | params)
    columns = ["trial", "seed", "phase", "role", "data_seed", "feasible", *METRICS, *spec.hyperparameters]
    frame = pd.DataFrame(rows, columns=columns).astype({"data_seed": "Int64"})
    return frame.sort_values("trial", kind="stable", ignore_index=True).rename_axis("network")


def is_feasible(values: dict[str, Any], spec: SweepSpec) -> bool:
    """Tells whether one network keeps all constraints.

    Args:
        values: Its metrics.
        spec: Its sweep.
    """
    violations = [constraint.violation(values[constraint.metric]) for constraint in spec.constraints]
    return not any(math.isnan(violation) or violation > 0 for violation in violations)


def select_network_front(networks: pd.DataFrame, spec: SweepSpec) -> pd.DataFrame:
    """Selects the feasible networks that no other dominates, ordered by the first objective.

    Networks on other data than the sweep's own are left out.

    Args:
        networks: Frame of all networks.
        spec: Their sweep.
    """
    metrics, first = [objective.metric for objective in spec.objectives], spec.objectives[0]
    kept = networks[networks["feasible"].astype(bool) & networks["data_seed"].isna()]
    front = kept[find_front(kept[metrics].to_numpy(float), [objective.direction for objective in spec.objectives])]
    return front.sort_values(first.metric, ascending=first.direction == "minimize", kind="stable")
