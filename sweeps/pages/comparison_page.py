"""A comparison of variants as a page: which is the most modular, by which definition, and how surely."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bimt_core import plot_variant_grid, to_png
from sweeps.cli.progress import format_mean
from sweeps.errors import BadInputError
from sweeps.results.comparison import DEFINITION, Comparison, definitions_of, is_better_high
from sweeps.tracking import markdown

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


def write_comparison(title: str, comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
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
    picture = plot_variant_grid(
        {name: n for name, (n, _) in shown.items()}, {name: t for name, (_, t) in shown.items()}
    )
    frames = [comparison.figures.assign(sweep=comparison.name) for comparison in comparisons]
    figures = pd.concat(frames).set_index(["sweep", "variant", "seed"])
    files = {
        "comparison.md": render_comparison(title, comparisons, "networks.png").encode(),
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


def render_comparison(title: str, comparisons: Sequence[Comparison], picture: str | None = None) -> str:
    """The whole page, in Markdown.

    Args:
        title: Its heading.
        comparisons: One a sweep, all with the same reference.
        picture: Address of a picture of networks, if there is one.
    """
    replicates, reference = comparisons[0].sweep.spec.replicates, comparisons[0].reference
    others = dict.fromkeys(variant for c in comparisons for variant in c.variants if variant != reference)
    parts = [
        f"# {title}",
        f"{replicates} networks a variant, the same {replicates} seeds for all. ± is half the 95 % interval of the "
        "mean (Student's t). Tests are Wilcoxon's signed-rank test over pairs of equal seeds, two-sided, with Holm's "
        f"correction over the variants; a difference is *sure* where the corrected p is below {SURE:g}.",
        "z is how many standard deviations modularity (|w| / layer maximum, one Louvain run) is above that of 20 "
        "networks with the weights of each layer shuffled; for *z used* they are shuffled among the neurons in use "
        "only, for few weights thrown among all neurons fall into many pieces, whose Q is high.",
        _settings(comparisons),
        *([f"![One network a variant, that of median test loss]({picture})"] if picture else []),
        f"## Is {reference} the most modular?",
        "By Louvain's method on |w| / layer maximum:",
        standing(comparisons),
        "By every definition: its rank by mean Q, and in brackets how many others it is surely above (>) and surely "
        "below (<).",
        ranks(comparisons),
        f"## {reference} minus each other variant",
        "Mean of the differences by seed, and the corrected p; bold where it is sure.",
        *(f"### Minus {other}\n\n{against(comparisons, other)}" for other in others),
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


def standing(comparisons: Sequence[Comparison], metric: str = "modularity") -> str:
    """A table of the variants that the reference is surely above and below in a metric, by sweep."""
    columns = ["", "mean", "surely above", "no sure difference from", "surely below"]
    return markdown.format_table(columns, [[c.name, *_standing(c, metric)] for c in comparisons])


def _standing(comparison: Comparison, metric: str) -> list[str]:
    if comparison.differences.empty:
        return ["failed", "", "", ""]
    mean, half = (comparison.column(comparison.means, metric, name)[comparison.reference] for name in ("mean", "half"))
    p, difference = (comparison.column(comparison.differences, metric, name) for name in ("p", "mean"))
    above = [v for v in p if p[v] < SURE and difference[v] > 0]
    below = [v for v in p if p[v] < SURE and difference[v] < 0]
    level = [v for v in p if v not in (*above, *below)]
    return [format_mean(mean, half), *("; ".join(names) for names in (above, level, below))]


def ranks(comparisons: Sequence[Comparison]) -> str:
    """A table of where the reference stands, by definition of modularity and sweep."""
    names = list(dict.fromkeys(name for c in comparisons for name in definitions_of(c.figures)))
    rows = [[name.removeprefix(DEFINITION), *(_rank(c, name) for c in comparisons)] for name in names]
    return markdown.format_table(["method and weights", *(c.name for c in comparisons)], rows)


def _rank(comparison: Comparison, metric: str) -> str:
    if comparison.differences.empty:
        return "failed"
    p, difference = (comparison.column(comparison.differences, metric, name) for name in ("p", "mean"))
    rank = 1 + sum(value < 0 for value in difference.values())
    above, below = (sum(p[v] < SURE and sign * difference[v] > 0 for v in p) for sign in (1, -1))
    return f"{rank} (>{above} <{below})"


def against(comparisons: Sequence[Comparison], other: str) -> str:
    """A table of what the reference has more than another variant, by sweep and metric."""
    rows = [
        [comparison.name, *(_difference(comparison, other, metric) for metric in COMPARED)]
        for comparison in comparisons
        if not comparison.differences.empty and other in comparison.variants
    ]
    return markdown.format_table(["", *map(_heading, COMPARED)], rows)


def _difference(comparison: Comparison, other: str, metric: str) -> str:
    mean, half, p = (comparison.column(comparison.differences, metric, name)[other] for name in ("mean", "half", "p"))
    cell = f"{format_mean(mean, half)}, p {p:.1g}"
    return f"**{cell}**" if p < SURE else cell


def _section(comparison: Comparison) -> str:
    """The figures of one sweep."""
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
    return "\n\n".join(part.strip() for part in parts)


def _means_table(comparison: Comparison, metrics: Sequence[str], strip: str = "") -> str:
    """Metrics down, variants across; the best mean in bold."""
    rows = []
    for metric in metrics:
        mean, half = (comparison.column(comparison.means, metric, name) for name in ("mean", "half"))
        best = (max if is_better_high(metric) else min)(mean, key=lambda variant: mean[variant])
        cells = {v: format_mean(mean[v], half[v]) for v in comparison.variants}
        cells[best] = f"**{cells[best]}**"
        rows.append([_heading(metric.removeprefix(strip)), *cells.values()])
    return markdown.format_table(["", *comparison.variants], rows)


def _heading(metric: str) -> str:
    return metric.replace("_", " ")
