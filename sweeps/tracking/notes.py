"""Notes: the descriptions of a sweep and its trials in Markdown, which MLflow shows above their charts."""

from collections.abc import Sequence
from typing import Any

from bimt_core import METRICS
from sweeps.spec.sweep import SweepSpec
from sweeps.study.confirmation import ConfirmedTrial
from sweeps.study.trial import Trial
from sweeps.tracking.confirmed_table import SIGNIFICANT, Confirmed, describe_gains, format_confirmed
from sweeps.tracking.markdown import format_table
from sweeps.tracking.naming import PUBLISHED_SETTING, name_trial, name_value
from sweeps.tracking.record import CONFIRMED, MEAN, STDERR

PURPOSES = {  # beginning of the note on a complete trial, by its role
    "search": "",
    "baseline": "**The published setting**, to see what the sweep gains. ",
    "replicates": "Further networks of a trial near the front. ",
    "confirmation": "Networks on seeds that the search has not used, to confirm a trial. ",
}
PUBLISHED_ROWS = (
    "**On the paper's rows**: networks are chosen by the test rows of the paper, so their values are better than those"
    " on new rows. "
)
TAGS = {
    "bimt.role": "`search`, `baseline` (the published setting), `replicates` (further networks of a trial near the"
    " front) or `confirmation` (networks of a trial on fresh seeds); `sweep` is the run of the sweep",
    "bimt.of": "`itself`, or the number of the trial that the networks are added to",
    "bimt.front": "`yes` if the trial is on the front of the search",
    "bimt.confirmed": "number of networks that have confirmed the trial",
    "bimt.still_on_front": "`yes`, `no` or `unsure`: whether it is on the front of the confirmed trials, too",
    "bimt.rows": "`published` if networks are chosen by the paper's test rows",
}
INTERVALS = (
    "± is the standard error over networks and [] the 95 % interval over seeds and rows; / published is the ratio to"
    f" the {PUBLISHED_SETTING}, with * where p < {SIGNIFICANT:g} (Mann and Whitney's test, not corrected for the"
    " number of trials). *Artifacts / confirmed.json* of the sweep's run has the intervals of the ratios, too."
)
NOT_CONFIRMED = (
    "**Not confirmed**: the values below chose the front, so they are better than those of new networks."
    " `bimt confirm {name}` trains the front and the published setting again, on fresh seeds."
)
ARTIFACTS = (
    "*Artifacts*: `diagrams/interactive.html` (the best replicate, to explore along its training), `diagrams/` (best"
    " and all replicates), `replicates.json` (metrics of each), `weights.safetensors`, `history.safetensors`,"
    " `config.yaml`."
)


def describe_sweep(spec: SweepSpec) -> str:
    """Describes a sweep in Markdown: its search, the meaning of its runs' tags, and how to find the best networks.

    Args:
        spec: The sweep.
    """
    objectives = ", ".join(f"{o.direction} **{name_value(o.metric, spec)}**" for o in spec.objectives)
    data = "" if spec.data_seed is None else f" (data seed {spec.data_seed})"
    tags = "\n".join(f"- `{name}`: {meaning}" for name, meaning in TAGS.items())
    metrics = "\n".join(f"- `{name}`: {metric.description}" for name, metric in METRICS.items())
    return (
        f"{PUBLISHED_ROWS if spec.published else ''}{spec.description or 'A sweep of Brain-Inspired Modular Training.'}"
        f" Task `{spec.task}`{data}: {spec.load_task().description}. Objectives: {objectives}. Each trial is"
        f" {spec.replicates} networks: `{MEAN}...` is their mean, `{STDERR}...` its standard error at the end, and"
        f" `{CONFIRMED}...` the value on fresh seeds, where the trial is confirmed.\n\n"
        "**To find the best networks**: search runs with `tags.\"bimt.front\" = 'yes'`, open one and look at"
        " *Artifacts / diagrams*; the runs nested under it have its further networks. The run named after the sweep"
        f' lists the front. From Python: `sweeps.open_sweep("{spec.name}").pareto()`.\n\n'
        f"**Tags**\n\n{tags}\n\n**Metrics**\n\n{metrics}\n"
    )


def describe_trial(trial: Trial, spec: SweepSpec, confirmed: Sequence[ConfirmedTrial] = ()) -> str:
    """Describes a complete trial in Markdown.

    Args:
        trial: The trial.
        spec: Its sweep.
        confirmed: The baseline and the trial, as confirmed; empty before.
    """
    values = "; ".join(f"{name_value(o.metric, spec)} {trial.values[o.metric]:.4g}" for o in spec.objectives)
    parts = [
        f"{PUBLISHED_ROWS if spec.published else ''}{PURPOSES[trial.role]}{values}; modularity"
        f" {trial.values['modularity']:.3f} in {trial.values['communities']:.1f} communities."
    ]
    if confirmed:
        parts += [f"**Searched and confirmed**. {INTERVALS}", format_confirmed(confirmed, spec).rstrip()]
    return "\n\n".join([*parts, ARTIFACTS])


def describe_result(front: Sequence[Trial], baseline: Trial | None, confirmed: Confirmed, spec: SweepSpec) -> str:
    """Describes the result of a sweep in Markdown: its front, and searched and confirmed values.

    Args:
        front: Trials on the front.
        baseline: The published setting, if it is complete.
        confirmed: Confirmed trials by data seed.
        spec: The sweep.
    """
    table, parts = make_front_table(front, baseline, spec), []
    for data_seed, trials in confirmed.items():
        data = "" if data_seed is None else f", on data of seed {data_seed}"
        parts += [f"**Searched and confirmed**{data}. {INTERVALS}", format_confirmed(trials, spec)]
        parts += describe_gains(trials, spec)
    if front and not confirmed and not spec.variants:
        parts.append(NOT_CONFIRMED.format(name=spec.name))
    parts += ["**Pareto front**, by the values that the search saw", format_table(table["columns"], table["data"])]
    return "\n\n".join([*(part.rstrip() for part in parts), describe_sweep(spec)])


def make_front_table(front: Sequence[Trial], baseline: Trial | None, spec: SweepSpec) -> dict[str, Any]:
    """Makes the table of a front, the published setting last, as MLflow displays it: {"columns": ..., "data": ...}.

    Args:
        front: Trials on the front.
        baseline: The published setting, if it is complete.
        spec: Their sweep.
    """
    names = list(dict.fromkeys([*(o.metric for o in spec.objectives), "val_score", "connection_cost", "modularity"]))
    params = spec.hyperparameters
    rows = [
        [name_trial(t), *(t.values[name] for name in names), *(t.params.get(name) for name in params)]
        for t in (*front, *([] if baseline is None else [baseline]))
    ]
    return {"columns": ["trial", *(name_value(name, spec) for name in names), *params], "data": rows}
