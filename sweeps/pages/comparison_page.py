"""Comparison of variants as a page in Markdown."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bimt_core import plot_variant_grid, to_png
from sweeps.errors import BadInputError
from sweeps.results.comparison import DEFINITION, Comparison
from sweeps.results.statistics import SIGNIFICANCE, format_mean
from sweeps.tracking import markdown

_SHARED = ("connection_cost", "wiring_length", "active_weights", "modularity")
IN_MEANS = ("test_loss", "test_score", *_SHARED, "communities", "z", "z_used")
IN_DIFFERENCES = ("test_loss", *_SHARED, "modularity_raw")


def write_comparison(title: str, comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    """Writes the page, a picture of each variant's network of median test loss, and the metrics of all networks.

    Args:
        title: Heading of the page.
        comparisons: One per sweep.
        folder: Destination of the files, whose paths are returned; created if missing.

    Raises:
        BadInputError: If the folder cannot be written.
    """
    medians = {comparison.name: comparison.load_medians() for comparison in comparisons}
    picture = plot_variant_grid(
        {name: networks for name, (networks, _) in medians.items()}, {name: task for name, (_, task) in medians.items()}
    )
    frames = [comparison.metrics.assign(sweep=comparison.name) for comparison in comparisons]
    metrics = pd.concat(frames).set_index(["sweep", "variant", "seed"])
    files = {
        "comparison.md": render_comparison(title, comparisons, "networks.png").encode(),
        "networks.png": to_png(picture),
        "networks.csv": metrics.to_csv(float_format="%.6g").encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise BadInputError(f"folder must be writable, got {folder}: {error.strerror}") from error
    return [folder / name for name in files]


def render_comparison(title: str, comparisons: Sequence[Comparison], picture: str | None = None) -> str:
    """Renders the whole page in Markdown.

    Args:
        title: Heading of the page.
        comparisons: One per sweep, all with the same reference.
        picture: Address of a picture of networks, if any.
    """
    replicates, reference = comparisons[0].sweep.spec.replicates, comparisons[0].reference
    others = dict.fromkeys(variant for c in comparisons for variant in c.variants if variant != reference)
    parts = [
        f"# {title}",
        f"{replicates} networks per variant, the same {replicates} seeds for all. ± is half the 95 % interval of the "
        "mean (Student's t). Tests are Wilcoxon's signed-rank test over pairs of equal seeds, two-sided, with Holm's "
        f"correction over the variants; a difference is *significant* if the corrected p is below {SIGNIFICANCE:g}.",
        "z is the number of standard deviations by which modularity (|w| / layer maximum, one Louvain run) exceeds "
        "that of 20 networks with the weights of each layer shuffled. For *z used* they are shuffled among the "
        "neurons in use only: few weights spread over all neurons form many pieces, whose Q is high.",
        _render_variants(comparisons),
        *([f"![One network per variant, that of median test loss]({picture})"] if picture else []),
        f"## Is {reference} the most modular?",
        "By Louvain's method on |w| / layer maximum:",
        render_standings(comparisons),
        "By every definition: its rank by mean Q, and in brackets the number of variants that it is significantly "
        "above (>) and below (<).",
        render_ranks(comparisons),
        f"## {reference} minus each other variant",
        "Mean of the differences by seed, and the corrected p; bold if significant.",
        *(f"### Minus {other}\n\n{_render_differences(comparisons, other)}" for other in others),
        *(_render_sweep(comparison) for comparison in comparisons),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def render_standings(comparisons: Sequence[Comparison], metric: str = "modularity") -> str:
    """Renders the variants that the reference is significantly above and below, as a table in Markdown.

    Args:
        comparisons: One per sweep, which has one row.
        metric: The metric.
    """
    rows = []
    for comparison in comparisons:
        if (s := comparison.standing(metric)) is None:
            rows.append([comparison.name, "failed", "", "", ""])
        else:
            groups = ("; ".join(group) for group in (s.above, s.level, s.below))
            rows.append([comparison.name, format_mean(s.mean, s.half_width), *groups])
    columns = ["", "mean", "significantly above", "no significant difference from", "significantly below"]
    return markdown.format_table(columns, rows)


def render_ranks(comparisons: Sequence[Comparison]) -> str:
    """Renders the reference's rank by definition of modularity and sweep, as a table in Markdown.

    Args:
        comparisons: One per sweep.
    """
    definitions = dict.fromkeys(name for comparison in comparisons for name in comparison.definitions)
    rows = []
    for name in definitions:
        standings = [comparison.standing(name) for comparison in comparisons]
        ranks = [f"{s.rank} (>{len(s.above)} <{len(s.below)})" if s else "failed" for s in standings]
        rows.append([name.removeprefix(DEFINITION), *ranks])
    return markdown.format_table(["method and weights", *(c.name for c in comparisons)], rows)


def _render_variants(comparisons: Sequence[Comparison]) -> str:
    """Lists the variants' hyperparameters, if they are the same in all sweeps."""
    variants = comparisons[0].sweep.spec.variants
    if any(comparison.sweep.spec.variants != variants for comparison in comparisons):
        return "The variants differ between sweeps."
    return "\n".join(
        f"- **{name}**: {', '.join(f'{key} {value}' for key, value in settings.items()) or 'as published'}"
        for name, settings in variants.items()
    )


def _render_differences(comparisons: Sequence[Comparison], other: str) -> str:
    rows = [
        [comparison.name, *(_format_difference(comparison, other, metric) for metric in IN_DIFFERENCES)]
        for comparison in comparisons
        if not comparison.differences.empty and other in comparison.variants
    ]
    return markdown.format_table(["", *map(_format_heading, IN_DIFFERENCES)], rows)


def _format_difference(comparison: Comparison, other: str, metric: str) -> str:
    columns = ("mean", "half_width", "p")
    mean, half_width, p = (comparison.column(comparison.differences, metric, name)[other] for name in columns)
    cell = f"{format_mean(mean, half_width)}, p {p:.1g}"
    return f"**{cell}**" if p < SIGNIFICANCE else cell


def _render_sweep(comparison: Comparison) -> str:
    fixed = ", ".join(f"{name} {value}" for name, value in comparison.sweep.spec.fixed.items())
    parts = [
        f"## {comparison.name}",
        *([f"Not as published: {fixed}."] if fixed else []),
        *(f"{variant} failed: {reason}." for variant, reason in comparison.failures.items()),
        _render_means(comparison, [name for name in IN_MEANS if name in comparison.metrics]),
        "Q by method and weights:",
        _render_means(comparison, comparison.definitions),
    ]
    return "\n\n".join(part.strip() for part in parts)


def _render_means(comparison: Comparison, metrics: Sequence[str]) -> str:
    """Renders a row per metric and a column per variant, the best mean in bold."""
    rows = []
    for metric in metrics:
        mean, half_width = (comparison.column(comparison.means, metric, name) for name in ("mean", "half_width"))
        cells = {variant: format_mean(mean[variant], half_width[variant]) for variant in comparison.variants}
        best = comparison.find_best(metric)
        cells[best] = f"**{cells[best]}**"
        rows.append([_format_heading(metric), *cells.values()])
    return markdown.format_table(["", *comparison.variants], rows)


def _format_heading(metric: str) -> str:
    return metric.removeprefix(DEFINITION).replace("_", " ")
