"""Lists of trials and networks, as a person or a program reads them."""

import math
from typing import TYPE_CHECKING

from sweeps.cli.terminal import print_frame, print_lines

if TYPE_CHECKING:
    import pandas as pd

    from sweeps.spec.sweep import SweepSpec


def print_trials(
    frame: "pd.DataFrame", spec: "SweepSpec", as_json: bool, extra: tuple[str, ...] = (), *, test: bool = False
) -> None:
    """Prints trials: all columns as JSON; in a terminal objectives, modularity and the searched hyperparameters.

    Args:
        frame: One row per trial, as `Sweep.trials` returns it.
        spec: The sweep.
        as_json: Print JSON.
        extra: Further columns for the terminal.
        test: Whether the terminal shows test rows beside the validation rows of objectives.
    """
    from bimt_core import TEST_COUNTERPARTS
    from sweeps.cli.tables import format_value
    from sweeps.results.statistics import format_mean

    if as_json:
        print_frame(frame, as_json)
        return
    objectives = [o.metric for o in spec.objectives]
    if test:
        objectives = [name for metric in objectives for name in (metric, TEST_COUNTERPARTS.get(metric, metric))]
    shown = _label_trials(frame)[[c for c in extra if c in frame and not frame[c].isna().all()]].copy()
    for name in dict.fromkeys([*objectives, "modularity"]):
        shown[name] = [
            format_mean(m, e) if not math.isnan(m) else ""
            for m, e in zip(frame[name], frame[f"{name}_stderr"], strict=True)
        ]
    if "confirmed" in shown:
        shown["confirmed"] = [networks or "no" for networks in frame["confirmed"]]
    for name in spec.searched:
        shown[name] = [format_value(value) for value in frame[name]]
    print_frame(shown, as_json)
    _print_marks(frame, spec, confirmed=test)


def print_networks(frame: "pd.DataFrame", spec: "SweepSpec", as_json: bool) -> None:
    """Prints networks: all columns as JSON; in a terminal objectives, test rows and the searched hyperparameters.

    Args:
        frame: One row per network, as `Sweep.networks` returns it.
        spec: The sweep.
        as_json: Print JSON.
    """
    from bimt_core import TEST_COUNTERPARTS
    from sweeps.cli.tables import format_value

    by_trial = frame.set_index("trial")
    if as_json:
        print_frame(by_trial, as_json)
        return
    data = ["data_seed"] if frame["data_seed"].notna().any() else []
    feasible = [] if frame["feasible"].all() else ["feasible"]
    metrics = [name for o in spec.objectives for name in (o.metric, TEST_COUNTERPARTS.get(o.metric, o.metric))]
    columns = dict.fromkeys([*data, "seed", "phase", *feasible, *metrics, "modularity"])
    shown = _label_trials(by_trial)[list(columns)].copy()
    for name in spec.searched:
        shown[name] = [format_value(value) for value in by_trial[name]]
    print_frame(shown, as_json)
    _print_marks(by_trial, spec)


def _label_trials(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The frame with trials named as in other tables."""
    from sweeps.cli.tables import label_trial

    marks = frame["bimodal"] if "bimodal" in frame else [False] * len(frame)
    rows = zip(frame.index, frame["role"], marks, strict=True)
    labels = [label_trial(number, role, bimodal=bimodal) for number, role, bimodal in rows]
    return frame.set_axis(labels, axis=0).rename_axis("trial")


def _print_marks(frame: "pd.DataFrame", spec: "SweepSpec", *, confirmed: bool = False) -> None:
    """Explains the marks of a table, and which values it has."""
    from sweeps.cli.tables import BIMODAL

    if "bimodal" in frame and frame["bimodal"].any():
        print_lines(BIMODAL)
    if confirmed and frame["confirmed"].any():
        print_lines("Confirmed trials have the values of their confirmation, on fresh seeds.")
    if spec.published and len(frame):
        print_lines("Values are on the paper's rows.")
