"""Variants compared network by network: means with intervals, and tests in which equal seeds are pairs."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy import stats

from bimt_core import METRICS, Population, Task, measure
from bimt_core.modularity import modularity_table
from sweeps.errors import BadInputError
from sweeps.results.sweep import Sweep, open_sweep
from sweeps.store import Store
from sweeps.study.storage import list_sweep_names

CONFIDENCE = 0.95
SHUFFLED = 20  # networks behind z; a dense network's take most of the time
TOGETHER = 4  # networks that a job measures
DEFINITION = "Q "  # what the columns of other definitions of modularity begin with
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is compared of one sweep.

    Args:
        sweep: A sweep with variants.
        figures: One row a network; see `measure_networks`.
    """

    sweep: Sweep
    figures: pd.DataFrame

    @property
    def name(self) -> str:
        """The sweep's own name, without its suite's."""
        return self.sweep.spec.name.rsplit(".", maxsplit=1)[-1]

    @property
    def variants(self) -> list[str]:
        """Those that have been trained."""
        return [str(variant) for variant in self.figures["variant"].unique()]

    @property
    def reference(self) -> str:
        """What the others are compared with."""
        return self.sweep.spec.reference or list(self.sweep.spec.variants)[-1]

    @cached_property
    def means(self) -> pd.DataFrame:
        """See `means`."""
        return means(self.figures)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """See `differences`; of a reference that has failed there are none."""
        return differences(self.figures, self.reference) if self.reference in self.variants else pd.DataFrame()

    def column(self, frame: pd.DataFrame, metric: str, column: str) -> dict[str, float]:
        """One column of `means` or `differences`, of one metric, by variant."""
        found = frame[column].xs(metric, level="metric")
        return {str(variant): float(value) for variant, value in found.items()}

    @property
    def failed(self) -> dict[str, str]:
        """Why each variant without figures has none."""
        trials = self.sweep.trials()
        lost = trials[(trials["state"] == "FAIL") & ~trials["variant"].isin(self.variants)]
        return dict(zip(map(str, lost["variant"]), map(str, lost["reason"]), strict=True))

    def networks(self) -> tuple[dict[str, Population], Task]:
        """Of each variant the network whose test loss is the median (the lower of two), and the task."""
        shown = {}
        for variant, trial in find_trained_variants(self.sweep).items():
            population, task = self.sweep.population(trial)
            losses = self.figures[self.figures["variant"] == variant]["test_loss"].tolist()
            median = sorted(range(len(losses)), key=losses.__getitem__)[(len(losses) - 1) // 2]
            shown[variant] = population.select([median])
        return shown, task


def compare_sweeps(name: str, store: Store, pool: Executor) -> Iterator[Comparison]:
    """Measures the networks of a sweep with variants, or of every sweep of a suite, that has any yet.

    Args:
        name: The sweep or suite.
        store: Where it is.
        pool: What measures.

    Raises:
        BadInputError: If there is no such sweep, it has no variants, or none is complete yet.
    """
    measured = [(sweep, measure_networks(sweep, pool)) for sweep in find_compared_sweeps(name, store)]
    if not any(jobs for _, jobs in measured):
        raise BadInputError(f"no variant of {name!r} is complete yet")
    for sweep, jobs in measured:
        if jobs:
            yield Comparison(sweep, pd.concat([job.result() for job in jobs], ignore_index=True))


def find_compared_sweeps(name: str, store: Store) -> list[Sweep]:
    """The sweep of this name, or those of the suite of this name, in the order of their launches.

    Raises:
        BadInputError: If there is none, or one of them has no variants.
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


def measure_networks(sweep: Sweep, pool: Executor) -> list[Future[pd.DataFrame]]:
    """Measures every network of a sweep with variants again, from its weights.

    Args:
        sweep: A sweep with variants.
        pool: What measures; jobs of seconds to a minute.

    Returns:
        Frames of some networks each, by variant in the order of the spec: one row a network with "variant", "seed",
        the metrics of `bimt_core.METRICS`, modularity by every method and transform ("Q louvain raw", ...) and "z" and
        "z_used", how many standard deviations modularity is above that of shuffled weights (`null_modularity`).
    """
    jobs = []
    for variant, trial in find_trained_variants(sweep).items():
        population, task = sweep.population(trial)
        for first in range(0, len(population), TOGETHER):
            part = slice(first, first + TOGETHER)
            jobs.append(pool.submit(_measured, population.part(part), task, variant, sweep.spec.seeds[part]))
    return jobs


def _measured(population: Population, task: Task, variant: str, seeds: list[int]) -> pd.DataFrame:
    torch.set_num_threads(1)  # every core has a job of its own
    figures = pd.DataFrame({name: values.numpy() for name, values in measure(population, task).items()})
    frame = pd.concat([figures, _modularity(population)], axis=1)
    frame.insert(0, "variant", variant)
    frame.insert(1, "seed", seeds)
    return frame


def find_trained_variants(sweep: Sweep) -> dict[str, int]:
    """Each variant that is complete, in the order of the spec, and the number of its trial."""
    trials = sweep.trials()
    done = trials[trials["state"] == "COMPLETE"].reset_index()
    numbers = dict(zip(done["variant"].astype(str), done["trial"].tolist(), strict=True))
    return {variant: numbers[variant] for variant in sweep.spec.variants if variant in numbers}


def _modularity(population: Population) -> pd.DataFrame:
    """A row a network."""
    found = pd.DataFrame(modularity_table(population, null=SHUFFLED))
    found["definition"] = DEFINITION + found["method"] + " " + found["transform"]
    by_definition = found.pivot(index="network", columns="definition", values="modularity")
    ordered = by_definition[found["definition"].unique()]
    return ordered.join(found.dropna(subset="z").set_index("network")[["z", "z_used"]])


def means(figures: pd.DataFrame) -> pd.DataFrame:
    """Each metric's mean over the networks of a variant.

    Args:
        figures: As `measure_networks` gives them, of one sweep.

    Returns:
        One row a variant and metric (the index), with "mean" and "half", half the width of the 95 % interval of
        Student's t; NaN for one network.
    """
    rows = {}
    for variant, group in figures.groupby("variant", sort=False):
        for metric in metrics_of(figures):
            rows[str(variant), metric] = _mean_and_half(group[metric].to_numpy(float))
    return _by_variant_and_metric(rows, ["mean", "half"])


def differences(figures: pd.DataFrame, reference: str) -> pd.DataFrame:
    """What the reference has more of each metric than every other variant; networks of equal seeds are pairs.

    Args:
        figures: As `measure_networks` gives them, of one sweep.
        reference: One of the variants.

    Returns:
        One row an other variant and metric (the index), with "mean" and "half" of the differences as in `means`, and
        "p" of Wilcoxon's signed-rank test, two-sided, corrected by Holm's method over the other variants.

    Raises:
        ValueError: If there are no figures of the reference.
    """
    by_seed = {str(variant): group.set_index("seed") for variant, group in figures.groupby("variant", sort=False)}
    if reference not in by_seed:
        raise ValueError(f"reference must be one of {', '.join(by_seed)}, got {reference!r}")
    own = by_seed.pop(reference)
    rows = {}
    for metric in metrics_of(figures):
        pairs = {variant: (own[metric] - other[metric]).to_numpy(float) for variant, other in by_seed.items()}
        p = holm([_signed_rank(difference) for difference in pairs.values()])
        for (variant, difference), corrected in zip(pairs.items(), p, strict=True):
            rows[variant, metric] = (*_mean_and_half(difference), corrected)
    return _by_variant_and_metric(rows, ["mean", "half", "p"])


def metrics_of(figures: pd.DataFrame) -> list[str]:
    """Names of the metrics in a frame of `measure_networks`."""
    return [name for name in figures.columns if name not in ("variant", "seed")]


def definitions_of(figures: pd.DataFrame) -> list[str]:
    """Names of the metrics that are a modularity: "Q louvain layer_max", ..."""
    return [name for name in metrics_of(figures) if name.startswith(DEFINITION)]


def is_better_high(metric: str) -> bool:
    """Whether more of a metric is better."""
    return metric not in METRICS or METRICS[metric].direction == "maximize"


def holm(p: Sequence[float]) -> Floats:
    """Holm's correction (1979) of p-values for testing several at once.

    Args:
        p: One a test.

    Returns:
        max over the tests up to this one, in rising order of p, of (tests left) * p, at most 1; in the order given.
    """
    values = np.asarray(p, float)
    order = values.argsort()
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1.0)
    return corrected


def _mean_and_half(values: Floats) -> tuple[float, float]:
    n = len(values)
    if n < 2:
        return float(values.mean()), np.nan
    return float(values.mean()), float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * stats.sem(values))


def _signed_rank(differences: Floats) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; 1 where nothing differs."""
    return float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def _by_variant_and_metric(rows: Mapping[tuple[str, str], tuple[float, ...]], columns: list[str]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(list(rows), names=["variant", "metric"])
    return pd.DataFrame(list(rows.values()), index, columns)
