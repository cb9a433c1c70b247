import pandas as pd
import pytest
from support.example_sweeps import create_sweep

from sweeps.pages.comparison_page import render_comparison, render_ranks, render_standings
from sweeps.results.comparison import Comparison

MEANS = {"vanilla": 0.1, "twin": 0.2, "L1": 0.3, "BIMT": 0.2}


def read_table(text):
    """Rows of the first table in a text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture
def sweep(tmp_path, small_spec):
    variants = {name: {} for name in MEANS}
    return create_sweep(tmp_path, small_spec(search={"steps": 40}, variants=variants, trials=None), [None])


@pytest.fixture
def comparison(sweep):
    rows = [
        {"variant": variant, "seed": seed, "modularity": mean + seed / 100, "Q louvain raw": mean + seed / 100}
        | dict.fromkeys(("test_loss", "connection_cost", "wiring_length", "active_weights", "modularity_raw"), mean)
        for variant, mean in MEANS.items()
        for seed in range(10)
    ]
    return Comparison(sweep, pd.DataFrame(rows))


def test_ranks_and_standings_are_rendered(comparison):
    assert read_table(render_ranks([comparison]))[-1] == ["louvain raw", "2 (>1 <1)"]
    assert read_table(render_standings([comparison]))[-1] == ["small", "0.245 ±0.02", "vanilla", "twin", "L1"]


def test_a_reference_that_failed_is_named(sweep, comparison):
    failed = Comparison(sweep, comparison.metrics[comparison.metrics["variant"] != "BIMT"])
    assert read_table(render_ranks([failed]))[-1] == ["louvain raw", "failed"]
    assert read_table(render_standings([failed]))[-1] == ["small", "failed", "", "", ""]


def test_significant_differences_and_the_best_means_are_bold(comparison):
    text = render_comparison("title", [comparison], "networks.png")
    assert text.startswith("# title\n")
    assert "](networks.png)" in text
    assert "Not as published: steps 40." in text
    differences = read_table(text.split("### Minus vanilla")[1])
    assert differences[0][5] == "modularity"
    assert differences[2][5].startswith("**0.1 ±")
    assert read_table(text.split("### Minus twin")[1])[2][5] == "0 ±0, p 1"
    (row,) = [row for row in read_table(text.split("## small")[1]) if row[0] == "modularity"]
    assert [cell.startswith("**") for cell in row[1:]] == [False, False, True, False]
