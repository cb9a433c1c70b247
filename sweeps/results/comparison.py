"""Comparison of variants: means with intervals, and tests that pair the networks of equal seeds."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import torch

from bimt_core import METRICS, Population, Task, measure
from bimt_core.modularity import modularity_table
from sweeps.errors import BadInputError
from sweeps.results.statistics import SIGNIFICANCE, holm_correction, mean_and_half_width, signed_rank_p_value
from sweeps.results.sweep import Sweep, open_sweep
from sweeps.store import Store
from sweeps.study.storage import list_sweep_names

NULL_NETWORKS = 20  # shuffled networks behind z; those of a dense network take most of the time
NETWORKS_PER_JOB = 4
DEFINITION = "Q "  # prefix of the columns of modularity by other methods and transforms


@dataclass(frozen=True)
class Standing:
    """Position of the reference among the variants in one metric.

    Args:
        mean: Mean of the reference.
        half_width: Half the width of its 95 % interval; NaN for one network.
        rank: 1 for the largest mean.
        above: Variants that the reference significantly exceeds.
        level: Variants without a significant difference.
        below: Variants that significantly exceed the reference.
    """

    mean: float
    half_width: float
    rank: int
    above: tuple[str, ...]
    level: tuple[str, ...]
    below: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Comparison of one sweep's variants.

    Args:
        sweep: A sweep with variants.
        metrics: One row per network; see `measure_networks`.
    """

    sweep: Sweep
    metrics: pd.DataFrame

    @property
    def name(self) -> str:
        """Name of the sweep without that of its suite."""
        return self.sweep.spec.name.rsplit(".", maxsplit=1)[-1]

    @property
    def variants(self) -> list[str]:
        """Variants that have been trained."""
        return [str(variant) for variant in self.metrics["variant"].unique()]

    @property
    def reference(self) -> str:
        """Variant that the others are compared with."""
        return self.sweep.spec.reference or list(self.sweep.spec.variants)[-1]

    @property
    def definitions(self) -> list[str]:
        """Metrics that are modularities by some method and transform: "Q louvain layer_max", ..."""
        return [name for name in _list_metrics(self.metrics) if name.startswith(DEFINITION)]

    @property
    def failures(self) -> dict[str, str]:
        """Reason of each variant that failed."""
        trials = self.sweep.trials()
        failed = trials[(trials["state"] == "FAIL") & ~trials["variant"].isin(self.variants)]
        return dict(zip(map(str, failed["variant"]), map(str, failed["reason"]), strict=True))

    @cached_property
    def means(self) -> pd.DataFrame:
        """Means over the networks; see `compute_means`."""
        return compute_means(self.metrics)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Differences by seed; see `compute_differences`. Empty if the reference failed."""
        return compute_differences(self.metrics, self.reference) if self.reference in self.variants else pd.DataFrame()

    def column(self, frame: pd.DataFrame, metric: str, column: str) -> dict[str, float]:
        """Returns each variant's value of one metric in one column of `means` or `differences`.

        Args:
            frame: `means` or `differences`.
            metric: The metric.
            column: Name of the column.
        """
        values = frame[column].xs(metric, level="metric")
        return {str(variant): float(value) for variant, value in values.items()}

    def find_best(self, metric: str) -> str:
        """Returns the variant with the best mean.

        Args:
            metric: The metric.
        """
        means = self.column(self.means, metric, "mean")
        is_minimized = metric in METRICS and METRICS[metric].direction == "minimize"
        return (min if is_minimized else max)(means, key=means.__getitem__)

    def standing(self, metric: str) -> Standing | None:
        """Computes the position of the reference among the variants; None if the reference failed.

        Args:
            metric: The metric.
        """
        if self.differences.empty:
            return None
        mean, half_width = (self.column(self.means, metric, name)[self.reference] for name in ("mean", "half_width"))
        p, difference = (self.column(self.differences, metric, name) for name in ("p", "mean"))
        above = tuple(v for v in p if p[v] < SIGNIFICANCE and difference[v] > 0)
        below = tuple(v for v in p if p[v] < SIGNIFICANCE and difference[v] < 0)
        level = tuple(v for v in p if v not in (*above, *below))
        return Standing(mean, half_width, 1 + sum(d < 0 for d in difference.values()), above, level, below)

    def load_medians(self) -> tuple[dict[str, Population], Task]:
        """Loads each variant's network of median validation loss (the lower of two), and the task."""
        networks = {}
        for variant, trial in _find_trained_variants(self.sweep).items():
            population, task = self.sweep.population(trial)
            losses = self.metrics.loc[self.metrics["variant"] == variant, "val_loss"].tolist()
            median = sorted(range(len(losses)), key=losses.__getitem__)[(len(losses) - 1) // 2]
            networks[variant] = population.select([median])
        return networks, task


def compare_sweeps(name: str, store: Store, pool: Executor) -> Iterator[Comparison]:
    """Measures the networks of a sweep with variants, or of every such sweep of a suite.

    Args:
        name: Name of the sweep or suite.
        store: Its store.
        pool: Runs the measurements.

    Yields:
        One comparison per sweep with a completed variant, in the order of their launches.

    Raises:
        BadInputError: If there is no such sweep, it has no variants, or no variant is complete yet.

    Examples:
        >>> with ProcessPoolExecutor() as pool:  # doctest: +SKIP
        ...     for comparison in compare_sweeps("paper", Store.resolve(), pool):
        ...         print(comparison.name, comparison.standing("modularity").above)
    """
    measured = [(sweep, measure_networks(sweep, pool)) for sweep in find_compared_sweeps(name, store)]
    if not any(jobs for _, jobs in measured):
        raise BadInputError(f"no variant of {name!r} is complete yet")
    for sweep, jobs in measured:
        if jobs:
            yield Comparison(sweep, pd.concat([job.result() for job in jobs], ignore_index=True))


def find_compared_sweeps(name: str, store: Store) -> list[Sweep]:
    """Opens the sweep of a name, or the sweeps of the suite of that name, in the order of their launches.

    Args:
        name: Name of the sweep or suite.
        store: Its store.

    Raises:
        BadInputError: If there is no such sweep or suite, or a sweep has no variants.
    """
    names = list_sweep_names(store)
    chosen = [name] if name in names else [other for other in names if other.startswith(f"{name}.")]
    if not chosen:
        raise BadInputError(f"no sweep or suite {name!r} in the store; there are: {', '.join(names) or 'none'}")
    sweeps = [open_sweep(other, store) for other in chosen]
    for sweep in sweeps:
        if not sweep.spec.variants:
            raise BadInputError(f"sweep {sweep.spec.name!r} has no variants to compare")
    return sorted(sweeps, key=lambda sweep: sweep.trials()["started"].min())


def _find_trained_variants(sweep: Sweep) -> dict[str, int]:
    """Returns the trial number of each completed variant, in the order of the spec."""
    numbers = {trial.params["variant"]: trial.number for trial in sweep.completed_trials()}
    return {variant: numbers[variant] for variant in sweep.spec.variants if variant in numbers}


def measure_networks(sweep: Sweep, pool: Executor) -> list[Future[pd.DataFrame]]:
    """Measures every network of a sweep with variants again, from its weights.

    Args:
        sweep: A sweep with variants.
        pool: Runs the measurements, jobs of seconds to a minute.

    Returns:
        Frames with a row per network, by variant in the order of the spec: "variant", "seed", the metrics of `METRICS`,
        modularity by every method and transform ("Q louvain raw", ...), and "z" and "z_used"; see `null_modularity`.
    """
    jobs = []
    for variant, trial in _find_trained_variants(sweep).items():
        population, task = sweep.population(trial)
        for first in range(0, len(population), NETWORKS_PER_JOB):
            part = slice(first, first + NETWORKS_PER_JOB)
            jobs.append(pool.submit(_measure_part, population.part(part), task, variant, sweep.spec.seeds[part]))
    return jobs


def _measure_part(population: Population, task: Task, variant: str, seeds: Sequence[int]) -> pd.DataFrame:
    torch.set_num_threads(1)  # every core has its own job
    metrics = pd.DataFrame({name: values.numpy() for name, values in measure(population, task).items()})
    table = pd.DataFrame(modularity_table(population, null=NULL_NETWORKS))
    table["definition"] = DEFINITION + table["method"] + " " + table["transform"]
    by_definition = table.pivot(index="network", columns="definition", values="modularity")
    null = table.dropna(subset="z").set_index("network")[["z", "z_used"]]
    frame = pd.concat([metrics, by_definition[table["definition"].unique()], null], axis=1)
    frame.insert(0, "variant", variant)
    frame.insert(1, "seed", list(seeds))
    return frame


def compute_means(metrics: pd.DataFrame) -> pd.DataFrame:
    """Computes "mean" and "half_width" of the 95 % interval (NaN for one network) per variant and metric.

    Args:
        metrics: One row per network of one sweep; see `measure_networks`.
    """
    rows = {}
    for variant, group in metrics.groupby("variant", sort=False):
        for metric in _list_metrics(metrics):
            rows[str(variant), metric] = mean_and_half_width(group[metric].to_numpy(float))
    return _frame_by_variant_and_metric(rows, ["mean", "half_width"])


def compute_differences(metrics: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Computes the reference minus every other variant; networks of equal seeds are pairs.

    Per other variant and metric, the frame has "mean" and "half_width" of the differences, and "p" of Wilcoxon's
    signed-rank test, two-sided, with Holm's correction over the other variants.

    Args:
        metrics: One row per network of one sweep; see `measure_networks`.
        reference: One of the variants.

    Raises:
        ValueError: If the reference has no networks.
    """
    by_seed = {str(variant): group.set_index("seed") for variant, group in metrics.groupby("variant", sort=False)}
    if reference not in by_seed:
        raise ValueError(f"reference must be one of {', '.join(by_seed)}, got {reference!r}")
    minuend = by_seed.pop(reference)
    rows = {}
    for metric in _list_metrics(metrics):
        pairs = {variant: (minuend[metric] - other[metric]).to_numpy(float) for variant, other in by_seed.items()}
        p = holm_correction([signed_rank_p_value(difference) for difference in pairs.values()])
        for (variant, difference), corrected in zip(pairs.items(), p, strict=True):
            rows[variant, metric] = (*mean_and_half_width(difference), corrected)
    return _frame_by_variant_and_metric(rows, ["mean", "half_width", "p"])


def _list_metrics(metrics: pd.DataFrame) -> list[str]:
    return [name for name in metrics.columns if name not in ("variant", "seed")]


def _frame_by_variant_and_metric(rows: Mapping[tuple[str, str], tuple[float, ...]], columns: list[str]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(list(rows), names=["variant", "metric"])
    return pd.DataFrame(list(rows.values()), index, columns)
