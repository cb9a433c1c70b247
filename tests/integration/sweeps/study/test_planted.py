"""The planted experiment of benchmarks/confirmation.py in small: equal trials, of which a search makes a front."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[4] / "benchmarks" / "confirmation.py"
METRICS = ["test_loss", "test_score", "connection_cost", "modularity"]


@pytest.fixture(scope="module")
def rows():
    command = [sys.executable, str(BENCHMARK), "--json", "--repetitions", "300"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {row["metric"]: row for row in json.loads(output)["rows"]}


def test_the_search_is_optimistic(rows):
    assert list(rows) == METRICS
    assert rows["modularity"]["best"] > 0.15
    assert rows["connection_cost"]["best"] < -0.06
    assert rows["modularity"]["front"] > 0.05
    assert rows["connection_cost"]["front"] < -0.03


@pytest.mark.parametrize("metric", METRICS)
def test_confirmed_values_are_not_biased(rows, metric):
    assert abs(rows[metric]["bias"]) < 0.02


@pytest.mark.parametrize("metric", METRICS)
def test_confirmed_intervals_cover_the_truth(rows, metric):
    assert rows[metric]["coverage"] >= 0.93
    assert rows[metric]["by_groups"] >= 0.93
