"""Gain of a sweep over the published setting, on networks that neither of them was chosen by.

    bimt launch independence && bimt launch digits
    python benchmarks/gains.py independence digits [--store FOLDER] [--json]

Both are confirmed: trained on seeds that the search has not used, and measured on test rows. Two configurations of
each front are shown, chosen by their searched values on validation rows: the one with the lowest loss that costs no
more than the published setting, and the one with the lowest cost whose loss is no higher, each up to two standard
errors of the published setting. A ratio below 1 is a gain. Intervals (95 %) cover the seeds; p is that of Mann and
Whitney's test, two-sided, with Holm's correction over the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _printing import describe_machine, make_parser, print_json

from sweeps import Store
from sweeps.results.statistics import holm_correction
from sweeps.study.confirmation import ConfirmedTrial, judge_confirmed
from sweeps.study.group_comparison import Comparison, compare_groups
from sweeps.study.study import SweepStudy

LOSS, COST = "test_loss", "connection_cost"


@dataclass(frozen=True)
class Gain:
    """One configuration of a front against the published setting."""

    sweep: str
    choice: str
    trial: int
    params: dict[str, object]
    networks: int
    baseline: dict[str, float]
    ours: dict[str, float]
    loss: Comparison
    cost: Comparison


def find_gains(study: SweepStudy) -> list[Gain]:
    """Finds the configurations to show of one sweep; fewer where none costs as little or errs as little."""
    confirmed = judge_confirmed(study.trials(), study.spec)
    baselines = [c for c in confirmed if c.trial.role == "baseline"]
    if not baselines:
        raise SystemExit(f"the published setting of {study.spec.name} is not confirmed")
    (baseline,) = baselines
    ours = [c for c in confirmed if c.trial.role == "search"]
    cheap = [c for c in ours if c.trial.values[COST] <= _limit(baseline, COST)]
    exact = [c for c in ours if c.trial.values["val_loss"] <= _limit(baseline, "val_loss")]
    gains = []
    if cheap:
        best = min(cheap, key=lambda c: c.trial.values["val_loss"])
        gains.append(_compare(study.spec.name, "lowest loss at no more cost", best, baseline))
    if exact:
        best = min(exact, key=lambda c: c.trial.values[COST])
        gains.append(_compare(study.spec.name, "lowest cost at no more loss", best, baseline))
    return gains


def _limit(baseline: ConfirmedTrial, metric: str) -> float:
    """Mean over all networks of the published setting, none of which was chosen, and two standard errors."""
    networks = np.array([*baseline.trial.networks[metric], *baseline.confirmation.networks[metric]])
    return float(networks.mean() + 2 * networks.std(ddof=1) / len(networks) ** 0.5)


def _compare(sweep: str, choice: str, ours: ConfirmedTrial, baseline: ConfirmedTrial) -> Gain:
    loss, cost = (
        compare_groups(ours.confirmation.networks[metric], baseline.confirmation.networks[metric], "minimize")
        for metric in (LOSS, COST)
    )
    values = [{metric: c.confirmation.values[metric] for metric in (LOSS, COST)} for c in (baseline, ours)]
    params = {name: ours.trial.params[name] for name in ours.trial.params}
    return Gain(sweep, choice, ours.trial.number, params, len(ours.confirmation.seeds), *values, loss, cost)


def print_table(gains: Sequence[Gain]) -> None:
    """Prints a Markdown table."""
    p_values = holm_correction([comparison.p for gain in gains for comparison in (gain.loss, gain.cost)]).tolist()
    print("| sweep | choice | test loss: published, ours, ratio | connection cost: published, ours, ratio |")
    print("|---|---|---|---|")
    for gain in gains:
        cells = []
        for metric, comparison in ((LOSS, gain.loss), (COST, gain.cost)):
            cells.append(
                f"{gain.baseline[metric]:.3g}, {gain.ours[metric]:.3g}, {comparison.ratio:.2f}"
                f" ({comparison.low:.2f} to {comparison.high:.2f}), p {p_values.pop(0):.1g}"
            )
        print(f"| {gain.sweep} | trial {gain.trial}: {gain.choice} | {cells[0]} | {cells[1]} |")


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("names", nargs="+", help="sweeps that have been confirmed")
    parser.add_argument("--store", type=Path, help="folder of the store")
    arguments = parser.parse_args()
    store = Store.resolve(folder=arguments.store)
    gains = [gain for name in arguments.names for gain in find_gains(SweepStudy.open(store, name))]
    if arguments.json:
        print_json({"machine": describe_machine(), "gains": gains})
    else:
        print_table(gains)


if __name__ == "__main__":
    main()
