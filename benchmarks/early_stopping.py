"""Is early stopping safe? Metrics during training against those at its end, over the configurations of real trials.

    python benchmarks/early_stopping.py [--tables TABLE ...] [--json]

From benchmarks/tables (see `benchmarks/search_table.py`): 96 to 500 configurations per task, each with 4 networks that
are measured after a quarter, half and three quarters of the steps, and at the end. Printed as a Markdown table:

- Spearman's rank correlation of each objective, as mean over the 4 networks, with the same at the end. Its 95 %
  interval is from resampled configurations. Configurations that diverge rank last.
- Stopped: the share of configurations that a median rule would stop, which are those worse than the median in every
  objective of the front (val_loss and connection_cost minimized).
- Front lost: how many of the configurations on the front at the end the rule would have stopped.
- The same for the half that a ranking by non-dominated fronts puts last.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from _printing import make_parser, print_json
from scipy.stats import rankdata

from sweeps.spec.parts import Direction
from sweeps.study.aggregates import Floats
from sweeps.study.front_probability import Bools, find_front

TABLES = Path(__file__).with_name("tables")
TASKS = ("independence", "feature_sharing", "two_moons", "digits", "compositionality")
OBJECTIVES: dict[str, Direction] = {"val_loss": "minimize", "connection_cost": "minimize", "modularity": "maximize"}
N_FRONT_OBJECTIVES = 2  # the first ones
N_RESAMPLES = 1000


@dataclass(frozen=True)
class Correlation:
    """Rank correlation with the end of training, and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One task at one time of training.

    Args:
        task: Name of the task.
        fraction: Fraction of the steps.
        correlations: By objective.
        front: Number of configurations on the front at the end.
        stopped: Share of configurations that the median rule stops.
        lost: Number of configurations of the front at the end that it stops.
        lost_by_rank: Number of these in the half that is last by non-dominated fronts.
    """

    task: str
    fraction: float
    correlations: dict[str, Correlation]
    front: int
    stopped: float
    lost: int
    lost_by_rank: int


def load_costs(task: str) -> tuple[list[float], Floats]:
    """Loads fractions of training and costs, shape (fractions, configurations, objectives); smaller is better."""
    table = np.load(TABLES / f"{task}.npz")
    metrics = table["metrics"].tolist()
    columns = [table["values"][..., metrics.index(name)].mean(axis=1) for name in OBJECTIVES]
    signs = [1 if direction == "minimize" else -1 for direction in OBJECTIVES.values()]
    costs = np.stack([sign * column.T for sign, column in zip(signs, columns, strict=True)], axis=-1)
    return table["fractions"].tolist(), np.where(np.isfinite(costs), costs, np.inf)


def correlate_ranks(early: Floats, final: Floats, seed: int = 0) -> Correlation:
    """Computes Spearman's correlation over configurations, with percentiles of its resamples."""
    picks = np.random.default_rng(seed).integers(len(final), size=(N_RESAMPLES, len(final)))
    low, high = np.quantile(_correlations(early[picks], final[picks]), [0.025, 0.975]).tolist()
    return Correlation(float(_correlations(early, final)), low, high)


def _correlations(one: Floats, other: Floats) -> Floats:
    centred = [ranks - ranks.mean(axis=-1, keepdims=True) for ranks in (rankdata(x, axis=-1) for x in (one, other))]
    products = [(a * b).sum(axis=-1) for a, b in (centred, (centred[0],) * 2, (centred[1],) * 2)]
    return np.asarray(products[0] / np.sqrt(products[1] * products[2]))


def stop_below_median(costs: Floats) -> Bools:
    """Finds configurations that are worse than the median in every objective."""
    return np.asarray((costs > np.median(costs, axis=0)).all(axis=1))


def stop_last_half(costs: Floats) -> Bools:
    """Finds configurations outside of the first non-dominated fronts that together have half of all."""
    stopped = np.ones(len(costs), bool)
    while stopped.sum() > len(costs) / 2:
        left = np.flatnonzero(stopped)
        stopped[left[find_front(costs[left], ["minimize"] * costs.shape[1])]] = False
    return stopped


def compare_times(task: str) -> Iterator[Row]:
    fractions, costs = load_costs(task)
    final, chosen = costs[-1], slice(N_FRONT_OBJECTIVES)
    front = find_front(final[:, chosen], ["minimize"] * N_FRONT_OBJECTIVES)
    for fraction, early in zip(fractions[:-1], costs, strict=False):
        correlations = {name: correlate_ranks(early[:, i], final[:, i]) for i, name in enumerate(OBJECTIVES)}
        stopped, last = stop_below_median(early[:, chosen]), stop_last_half(early[:, chosen])
        lost, lost_by_rank = int(stopped[front].sum()), int(last[front].sum())
        yield Row(task, fraction, correlations, int(front.sum()), float(stopped.mean()), lost, lost_by_rank)


def print_markdown(rows: list[Row]) -> None:
    heads = ["task", "at", *OBJECTIVES, "stopped", "front lost", "front lost, last half by rank"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        cells = [row.task, f"{row.fraction:.0%}"]
        cells += [f"{c.value:.2f} ({c.low:.2f} to {c.high:.2f})" for c in row.correlations.values()]
        cells += [f"{row.stopped:.0%}", f"{row.lost} of {row.front}", f"{row.lost_by_rank} of {row.front}"]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--tables", nargs="+", default=TASKS, choices=TASKS)
    options = parser.parse_args()
    rows = [row for task in options.tables for row in compare_times(task)]
    if options.json:
        print_json({"rows": [asdict(row) for row in rows]})
    else:
        print_markdown(rows)


if __name__ == "__main__":
    main()
