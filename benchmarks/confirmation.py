"""A planted experiment: does confirmation remove the optimism of a front that noise alone has made?

    python benchmarks/confirmation.py [--repetitions N] [--seed N] [--json]

All trials are one configuration: the published two moons, of which benchmarks/tables/planted.npz has 1,024 networks. In
every repetition, 64 trials get 4 networks each and are measured on one of 25 validation sets; the front (val_loss and
connection_cost minimized, modularity maximized) is chosen from these. A trial of the front is then confirmed with 16
networks on one of 25 test sets, drawn from 256 networks that no search sees. The truth is the mean over networks and
sets. Printed per metric:

- optimism of the front's trials, and of the best of them in this metric, relative to the truth;
- bias of the confirmed values, relative to the truth;
- coverage: share of repetitions in which the truth lies in the confirmed 95 % interval, with its own 95 % interval
  (Clopper and Pearson). "By groups" is the interval computed from groups of rows instead of their standard error.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from _printing import make_parser, print_json
from scipy.stats import binomtest

from sweeps.spec.parts import Aggregate, Direction
from sweeps.study.aggregates import Floats
from sweeps.study.front_probability import find_front
from sweeps.study.intervals import confidence_interval, jackknife_stderr

TABLES = Path(__file__).with_name("tables")
TRIALS, SEEDS, CONFIRMING = 64, 4, 16
OBJECTIVES: dict[str, Direction] = {"val_loss": "minimize", "connection_cost": "minimize", "modularity": "maximize"}
CONFIRMED: dict[str, tuple[str, Direction]] = {  # with the metric that the search sees
    "test_loss": ("val_loss", "minimize"),
    "test_score": ("val_score", "maximize"),
    "connection_cost": ("connection_cost", "minimize"),
    "modularity": ("modularity", "maximize"),
}
MEAN: Aggregate = "mean"


@dataclass(frozen=True)
class Pool:
    """Networks of one configuration.

    Args:
        searched: Values of networks for the search by metric, shape (sets, networks).
        confirming: Values of other networks by metric, shape (sets, networks).
        groups: The same on groups of rows, shape (sets, networks, groups), of metrics that depend on rows.
    """

    searched: dict[str, Floats]
    confirming: dict[str, Floats]
    groups: dict[str, Floats]


@dataclass(frozen=True)
class Repetition:
    """One search and its confirmation. Everything by metric of the confirmation.

    Args:
        front: Mean over the front's trials, as the search saw it.
        best: The best of the front's trials, as the search saw it.
        confirmed: The confirmed value.
        covered: Whether the truth is in the confirmed interval.
        covered_by_groups: The same for the interval from groups of rows.
    """

    front: dict[str, float]
    best: dict[str, float]
    confirmed: dict[str, float]
    covered: dict[str, bool]
    covered_by_groups: dict[str, bool]


@dataclass(frozen=True)
class Row:
    """One metric over all repetitions; see the description of this file.

    Args:
        metric: The metric.
        front: Optimism of the front, relative.
        best: Optimism of the best on the front, relative.
        bias: Bias of the confirmed values, relative.
        coverage: Share of repetitions with the truth in the interval.
        low: Lower bound of the coverage.
        high: Upper bound of the coverage.
        by_groups: Coverage of the interval from groups of rows.
    """

    metric: str
    front: float
    best: float
    bias: float
    coverage: float
    low: float
    high: float
    by_groups: float


def load_pool() -> Pool:
    planted, rows = np.load(TABLES / "planted.npz"), np.load(TABLES / "planted_rows.npz")
    n_confirming, n_rows = len(rows["test_loss"]), int(planted["rows"])
    values: dict[str, Floats] = {name: planted[name].astype(float)[None] for name in ("connection_cost", "modularity")}
    for kind in ("val", "test"):
        values[f"{kind}_loss"] = planted[f"{kind}_loss"].T.astype(float)
        values[f"{kind}_score"] = planted[f"{kind}_right"].T / n_rows
    groups = {"test_loss": rows["test_loss"].swapaxes(0, 1).astype(float)}
    groups["test_score"] = rows["test_right"].swapaxes(0, 1) / (n_rows / rows["test_right"].shape[2])
    searched = {name: table[:, :-n_confirming] for name, table in values.items()}
    confirming = {name: values[name][:, -n_confirming:] for name in CONFIRMED}
    return Pool(searched, confirming, groups)


def search(pool: Pool, rng: np.random.Generator) -> tuple[dict[str, float], dict[str, float]]:
    """Chooses a front from equal trials: mean and best over its trials."""
    size = pool.searched["val_loss"].shape[1]
    networks = rng.permutation(size)[: TRIALS * SEEDS].reshape(TRIALS, SEEDS)
    validation_set = rng.integers(len(pool.searched["val_loss"]))
    means = {
        name: table[validation_set % len(table), networks].mean(axis=1)
        for name, table in pool.searched.items()
        if not name.startswith("test_")
    }
    front = find_front(np.stack([means[name] for name in OBJECTIVES], axis=1), list(OBJECTIVES.values()))
    chosen = {name: means[seen][front] for name, (seen, _) in CONFIRMED.items()}
    best = {name: chosen[name].min() if d == "minimize" else chosen[name].max() for name, (_, d) in CONFIRMED.items()}
    return {name: float(table.mean()) for name, table in chosen.items()}, best


def confirm(pool: Pool, rng: np.random.Generator) -> Iterator[tuple[str, float, bool, bool]]:
    """Confirms one trial: metric, value, and whether the truth is in its interval, without and by groups of rows."""
    networks = rng.integers(pool.confirming["test_loss"].shape[1], size=CONFIRMING)  # the pool stands for all networks
    test_set = rng.integers(len(pool.confirming["test_loss"]))
    for name, (_, direction) in CONFIRMED.items():
        table = pool.confirming[name]
        truth = float(table.mean())
        values = table[test_set % len(table), networks]
        if name not in pool.groups:
            covered = contains(confidence_interval(values, MEAN, direction), truth)
            yield name, float(values.mean()), covered, covered
            continue
        groups = pool.groups[name][test_set, networks].T
        left_out = (groups.sum(axis=0) - groups) / (len(groups) - 1)
        error = jackknife_stderr(left_out, MEAN, direction)
        plain = confidence_interval(values, MEAN, direction, error)
        by_groups = confidence_interval(values, MEAN, direction, left_out=left_out)
        yield name, float(values.mean()), contains(plain, truth), contains(by_groups, truth)


def contains(interval: tuple[float, float], value: float) -> bool:
    return interval[0] <= value <= interval[1]


def repeat(pool: Pool, seed: int, repetition: int) -> Repetition:
    rng = np.random.default_rng([seed, repetition])
    front, best = search(pool, rng)
    names, confirmed, covered, by_groups = zip(*confirm(pool, rng), strict=True)
    columns = (dict(zip(names, column, strict=True)) for column in (confirmed, covered, by_groups))
    return Repetition(front, best, *columns)


def summarize(pool: Pool, repetitions: list[Repetition]) -> Iterator[Row]:
    for name, (seen, _) in CONFIRMED.items():
        front, best = (
            np.mean([values[name] for values in column]) / pool.searched[seen].mean() - 1
            for column in ([r.front for r in repetitions], [r.best for r in repetitions])
        )
        bias = np.mean([r.confirmed[name] for r in repetitions]) / pool.confirming[name].mean() - 1
        covered = sum(r.covered[name] for r in repetitions)
        low, high = binomtest(covered, len(repetitions)).proportion_ci()
        by_groups = np.mean([r.covered_by_groups[name] for r in repetitions])
        shares = (covered / len(repetitions), float(low), float(high), float(by_groups))
        yield Row(name, float(front), float(best), float(bias), *shares)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    pool = load_pool()
    rows = list(summarize(pool, [repeat(pool, options.seed, number) for number in range(options.repetitions)]))
    if options.json:
        print_json({"repetitions": options.repetitions, "rows": [asdict(row) for row in rows]})
        return
    print(f"{'':16}  searched: {'front':>7} {'best':>7}   confirmed: {'bias':>6}  coverage               by groups")
    for row in rows:
        searched = f"{row.front:+17.1%} {row.best:+8.1%}"
        coverage = f"{row.coverage:9.1%} ({row.low:.1%} to {row.high:.1%})"
        print(f"{row.metric:16}{searched} {row.bias:+18.1%} {coverage} {row.by_groups:10.1%}")


if __name__ == "__main__":
    main()
