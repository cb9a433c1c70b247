from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from sweeps.errors import BadInputError
from sweeps.pages.comparison_page import write_comparison
from sweeps.results.comparison import compare_sweeps


def test_page_picture_and_metrics_are_written(compared, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        comparisons = list(compare_sweeps("small", compared, pool))
    paths = write_comparison("small", comparisons, tmp_path / "a" / "b")
    assert [path.name for path in paths] == ["comparison.md", "networks.png", "networks.csv"]
    page, metrics = paths[0].read_text(), comparisons[0].metrics
    assert "](networks.png)" in page
    assert "L1 failed: replicate 0 diverged." in page
    assert "Not as published: steps 40, hidden_width 6." in page
    assert "nan" not in page
    (line,) = [line for line in page.splitlines() if line.startswith("| connection cost |")]
    vanilla, bimt = line.split(" | ")[1:]
    for variant, cell in (("vanilla", vanilla), ("BIMT", bimt)):
        mean = metrics[metrics["variant"] == variant]["connection_cost"].mean()
        assert float(cell.strip("* |").split(" ")[0]) == pytest.approx(mean, rel=1e-3)
    assert [cell.startswith("**") for cell in (vanilla, bimt)] == [False, True]

    assert paths[1].read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(paths[2])
    assert table["sweep"].unique().tolist() == ["small"]
    assert table["variant"].tolist() == metrics["variant"].tolist()
    for column in metrics.columns.drop("variant"):
        assert table[column].tolist() == pytest.approx(metrics[column].tolist(), rel=1e-5)

    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match=r"^folder must be writable, got .*file/x: Not a directory$"):
        write_comparison("small", comparisons, tmp_path / "file" / "x")
