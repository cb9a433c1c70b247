"""A comparison of variants as a page: which is the most modular, by which definition, and how surely."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bimt_core import Population, Task, ablation_grid, to_png
from sweeps import markdown
from sweeps.comparison import (
    DEFINITION,
    compared_sweeps,
    definitions_of,
    differences,
    figures_of,
    is_better_high,
    means,
    trained_variants,
)
from sweeps.errors import BadInputError
from sweeps.progress import figure
from sweeps.results import Sweep
from sweeps.store import Store

SURE = 0.05  # corrected p below which a difference is told as sure
SHOWN = (
    "test_loss",
    "score",
    "connection_cost",
    "wiring_length",
    "active_weights",
    "modularity",
    "communities",
    "z",
    "z_used",
)
COMPARED = ("test_loss", "connection_cost", "wiring_length", "active_weights", "modularity", "modularity_raw")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is compared of one sweep.

    Args:
        sweep: A sweep with variants.
        figures: One row a network; see `comparison.figures_of`.
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

    @property
    def failed(self) -> dict[str, str]:
        """Why each variant without figures has none."""
        trials = self.sweep.trials()
        lost = trials[(trials["state"] == "FAIL") & ~trials["variant"].isin(self.variants)]
        return dict(zip(map(str, lost["variant"]), map(str, lost["reason"]), strict=True))

    def networks(self) -> tuple[dict[str, Population], Task]:
        """Of each variant the network whose test loss is the median (the lower of two), and the task."""
        shown = {}
        for variant, trial in trained_variants(self.sweep).items():
            population, the_task = self.sweep.population(trial)
            losses = self.figures[self.figures["variant"] == variant]["test_loss"].tolist()
            median = sorted(range(len(losses)), key=losses.__getitem__)[(len(losses) - 1) // 2]
            shown[variant] = population.select([median])
        return shown, the_task


def compared(name: str, store: Store, pool: Executor) -> Iterator[Comparison]:
    """Measures the networks of a sweep with variants, or of every sweep of a suite, that has any yet.

    Args:
        name: The sweep or suite.
        store: Where it is.
        pool: What measures.

    Raises:
        BadInputError: If there is no such sweep, it has no variants, or none is complete yet.
    """
    measured = [(sweep, figures_of(sweep, pool)) for sweep in compared_sweeps(name, store)]
    if not any(jobs for _, jobs in measured):
        raise BadInputError(f"no variant of {name!r} is complete yet")
    for sweep, jobs in measured:
        if jobs:
            yield Comparison(sweep, pd.concat([job.result() for job in jobs], ignore_index=True))


def write(title: str, comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    """Writes the page, its picture (each variant's network of median test loss) and the figures of all networks.

    Args:
        title: The page's heading.
        comparisons: One a sweep.
        folder: Made if it is not there.

    Returns:
        What was written.

    Raises:
        BadInputError: If the folder cannot be written.
    """
    shown = {comparison.name: comparison.networks() for comparison in comparisons}
    picture = ablation_grid({name: n for name, (n, _) in shown.items()}, {name: t for name, (_, t) in shown.items()})
    frames = [comparison.figures.assign(sweep=comparison.name) for comparison in comparisons]
    figures = pd.concat(frames).set_index(["sweep", "variant", "seed"])
    files = {
        "comparison.md": page(title, comparisons, "networks.png").encode(),
        "networks.png": to_png(picture),
        "networks.csv": figures.to_csv(float_format="%.6g").encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise BadInputError(f"folder must be writable, got {folder}: {error.strerror}") from error
    return [folder / name for name in files]


def page(title: str, comparisons: Sequence[Comparison], picture: str | None = None) -> str:
    """The whole page, in Markdown.

    Args:
        title: Its heading.
        comparisons: One a sweep.
        picture: Address of a picture of networks, if there is one.
    """
    replicates = comparisons[0].sweep.spec.replicates
    parts = [
        f"# {title}",
        f"{replicates} networks a variant, the same {replicates} seeds for all. ± is half the 95 % interval of the "
        "mean (Student's t). Tests are Wilcoxon's signed-rank test over pairs of equal seeds, two-sided, with Holm's "
        f"correction over the variants; a difference is *sure* where the corrected p is below {SURE:g}.",
        "z is how many standard deviations modularity (|w| / layer maximum, one Louvain run) is above that of 100 "
        "networks with the weights of each layer shuffled; for *z used* they are shuffled among the neurons in use "
        "only, for few weights thrown among all neurons fall into many pieces, whose Q is high.",
        _settings(comparisons),
        *([f"![One network a variant, that of median test loss]({picture})"] if picture else []),
        "## How modular, by every definition",
        ranks_note(comparisons),
        ranks(comparisons),
        *(_section(comparison) for comparison in comparisons),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _settings(comparisons: Sequence[Comparison]) -> str:
    """What the variants are, where they are the same in all sweeps."""
    variants = comparisons[0].sweep.spec.variants
    if any(comparison.sweep.spec.variants != variants for comparison in comparisons):
        return "Each sweep has variants of its own."
    told = [
        f"- **{name}**: {', '.join(f'{key} {value}' for key, value in settings.items()) or 'as the task says'}"
        for name, settings in variants.items()
    ]
    return "\n".join(told)


def ranks_note(comparisons: Sequence[Comparison]) -> str:
    """How to read `ranks`."""
    first = comparisons[0]
    n = len(first.sweep.spec.variants)
    return (
        f"Rank of {first.reference} among the {n} variants by mean Q, and in brackets how many others it is surely "
        f"above (>) and surely below (<): 1 (>{n - 1} <0) is the most modular beyond doubt."
    )


def ranks(comparisons: Sequence[Comparison]) -> str:
    """A table of where the reference stands, by task and definition of modularity."""
    names = list(dict.fromkeys(name for c in comparisons for name in definitions_of(c.figures)))
    rows = [[name.removeprefix(DEFINITION), *(_rank(c, name) for c in comparisons)] for name in names]
    return markdown.table(["method and weights", *(c.name for c in comparisons)], rows)


def _rank(comparison: Comparison, metric: str) -> str:
    if comparison.reference not in comparison.variants:
        return "failed"
    found = differences(comparison.figures, comparison.reference).xs(metric, level="metric")
    sure = found[found["p"] < SURE]["mean"]
    rank = int((found["mean"] < 0).sum()) + 1
    return f"{rank} (>{(sure > 0).sum()} <{(sure < 0).sum()})"


def _section(comparison: Comparison) -> str:
    spec = comparison.sweep.spec
    fixed = ", ".join(f"{name} {value}" for name, value in spec.fixed.items())
    parts = [
        f"## {comparison.name}",
        *([f"Not as published: {fixed}."] if fixed else []),
        *(f"{variant} has failed: {reason}." for variant, reason in comparison.failed.items()),
        _means_table(comparison, [name for name in SHOWN if name in comparison.figures]),
        "Q by method and weights:",
        _means_table(comparison, definitions_of(comparison.figures), strip=DEFINITION),
    ]
    if comparison.reference in comparison.variants:
        parts += [f"{comparison.reference} minus each other variant, and the corrected p:", _differences(comparison)]
    return "\n\n".join(part.strip() for part in parts)


def _means_table(comparison: Comparison, metrics: Sequence[str], strip: str = "") -> str:
    """Metrics down, variants across; the best mean in bold."""
    found = means(comparison.figures)
    rows = []
    for metric in metrics:
        mean, half = (_by_variant(found, metric, column) for column in ("mean", "half"))
        best = (max if is_better_high(metric) else min)(mean, key=lambda variant: mean[variant])
        cells = {v: figure(mean[v], half[v]) for v in comparison.variants}
        cells[best] = f"**{cells[best]}**"
        rows.append([_heading(metric.removeprefix(strip)), *cells.values()])
    return markdown.table(["", *comparison.variants], rows)


def _differences(comparison: Comparison) -> str:
    found = differences(comparison.figures, comparison.reference)
    others = [variant for variant in comparison.variants if variant != comparison.reference]
    rows = []
    for metric in COMPARED:
        mean, half, p = (_by_variant(found, metric, column) for column in ("mean", "half", "p"))
        cells = {v: f"{figure(mean[v], half[v])}, p {p[v]:.1g}" for v in others}
        rows.append([_heading(metric), *(f"**{cell}**" if p[v] < SURE else cell for v, cell in cells.items())])
    return markdown.table(["", *others], rows)


def _by_variant(found: pd.DataFrame, metric: str, column: str) -> dict[str, float]:
    return {str(variant): float(value) for variant, value in found[column].xs(metric, level="metric").items()}


def _heading(metric: str) -> str:
    return metric.replace("_", " ")
