"""The report's section on single networks, as data for its table."""

from typing import Any

import pandas as pd

from bimt_core import TEST_COUNTERPARTS
from sweeps.spec.sweep import SweepSpec
from sweeps.worker.artifacts import spread_evenly

MAX_ROWS = 15
ALWAYS = ("modularity", "active_weights")


def make_network_section(networks: pd.DataFrame, front: pd.DataFrame, spec: SweepSpec) -> dict[str, Any] | None:
    """Makes the data of the section: the front of single networks as a table, thinned out evenly where it is long.

    Args:
        networks: All networks; see `Sweep.networks`.
        front: Those on the front; see `Sweep.network_front`.
        spec: The sweep.

    Returns:
        The data; None without a front, or where every trial is one network.
    """
    if front.empty or networks.groupby("trial").size().max() < 2:
        return None
    metrics = []
    for name in dict.fromkeys([*(objective.metric for objective in spec.objectives), *ALWAYS]):
        metrics += [name, *([TEST_COUNTERPARTS[name]] if name in TEST_COUNTERPARTS and not spec.published else [])]
    shown = front.iloc[spread_evenly(range(len(front)), MAX_ROWS)]
    return {
        "count": len(networks),
        "front": len(front),
        "columns": ["trial", "seed", *metrics],
        "rows": [
            [row["trial"], f"{row['seed']}" + (" (confirmation)" if row["phase"] == "confirmation" else "")]
            + [f"{row[name]:.4g}" for name in metrics]
            for row in shown.to_dict("records")
        ],
    }
