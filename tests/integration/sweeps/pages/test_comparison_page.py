from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from sweeps.errors import BadInputError
from sweeps.pages.comparison_page import ranks, render_comparison, standing, write_comparison
from sweeps.results.comparison import Comparison, compare_sweeps
from sweeps.results.sweep import open_sweep


@pytest.fixture(scope="module")
def comparisons(compared_store):
    with ThreadPoolExecutor(1) as pool:
        return list(compare_sweeps("small", compared_store, pool))


@pytest.fixture(scope="module")
def compared_store(compared):
    return compared


def cells(markdown):
    """Rows of the first table in a text."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def made_up(compared_store, q):
    """A comparison with Q given by variant, one value a seed."""
    rows = [
        {"variant": variant, "seed": seed, "Q louvain raw": value}
        for variant, values in q.items()
        for seed, value in enumerate(values)
    ]
    return Comparison(open_sweep("small", compared_store), pd.DataFrame(rows))


@pytest.mark.parametrize(
    ("q", "told"),
    [
        ({"vanilla": 0.1, "L1": 0.2, "BIMT": 0.3}, "1 (>2 <0)"),
        ({"vanilla": 0.3, "L1": 0.2, "BIMT": 0.1}, "3 (>0 <2)"),
        ({"vanilla": 0.1, "L1": 0.3, "BIMT": 0.2}, "2 (>1 <1)"),
        ({"vanilla": 0.1, "L1": 0.3}, "failed"),
    ],
)
def test_the_reference_has_a_rank_and_sure_differences(compared_store, q, told):
    comparison = made_up(compared_store, {v: [mean + seed / 100 for seed in range(10)] for v, mean in q.items()})
    assert cells(ranks([comparison]))[-1] == ["louvain raw", told]


def test_it_is_told_which_variants_the_reference_is_surely_above(compared_store):
    q = {"vanilla": 0.1, "L1": 0.3, "BIMT": 0.2, "twin": 0.2}
    comparison = made_up(compared_store, {v: [mean + seed / 100 for seed in range(10)] for v, mean in q.items()})
    assert cells(standing([comparison], "Q louvain raw"))[-1] == ["small", "0.245 ±0.02", "vanilla", "twin", "L1"]


def test_few_seeds_make_nothing_sure(compared_store):
    comparison = made_up(compared_store, {"vanilla": [0.1, 0.1, 0.1], "BIMT": [0.3, 0.3, 0.3]})
    assert cells(ranks([comparison]))[-1] == ["louvain raw", "1 (>0 <0)"]


def test_a_page_has_all_that_was_measured_and_what_failed(comparisons):
    text = render_comparison("small", comparisons)
    assert text.startswith("# small\n")
    assert "L1 has failed: replicate 0 diverged." in text
    assert "Not as published: steps 40, hidden_width 6." in text
    figures = comparisons[0].figures
    (row,) = [row for row in cells(text) if row[0] == "connection cost"]
    for variant, cell in zip(("vanilla", "BIMT"), row[1:], strict=True):
        mean = figures[figures["variant"] == variant]["connection_cost"].mean()
        assert float(cell.strip("*").split(" ")[0]) == pytest.approx(mean, rel=1e-3)
    assert row[2].startswith("**")  # BIMT costs least
    assert not row[1].startswith("**")
    assert "nan" not in text


def test_page_picture_and_figures_are_written(comparisons, tmp_path):
    paths = write_comparison("small", comparisons, tmp_path / "a" / "b")
    assert [path.name for path in paths] == ["comparison.md", "networks.png", "networks.csv"]
    assert "](networks.png)" in paths[0].read_text()
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    read, own = pd.read_csv(paths[2]), comparisons[0].figures
    assert read["sweep"].unique().tolist() == ["small"]
    assert read["variant"].tolist() == own["variant"].tolist()
    for column in own.columns.drop("variant"):
        assert read[column].tolist() == pytest.approx(own[column].tolist(), rel=1e-5)


def test_the_network_of_median_loss_is_shown(comparisons):
    networks, task = comparisons[0].networks()
    assert list(networks) == ["vanilla", "BIMT"]
    figures = comparisons[0].figures
    for variant, network in networks.items():
        loss = task.loss(network.predict(task.test_inputs), task.test_targets)
        assert loss.item() == pytest.approx(figures[figures["variant"] == variant]["test_loss"].median())


def test_a_folder_that_cannot_be_written(comparisons, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match=r"^folder must be writable, got .*file/x: Not a directory$"):
        write_comparison("small", comparisons, tmp_path / "file" / "x")


def test_nothing_is_complete_yet(new_store, small_spec, tmp_path):
    from sweeps.study.study import SweepStudy

    store = new_store(tmp_path)
    SweepStudy.launch(store, small_spec(search={}, variants={"a": {}, "b": {}}, trials=None))
    with ThreadPoolExecutor(1) as pool, pytest.raises(BadInputError, match=r"^no variant of 'small' is complete yet$"):
        list(compare_sweeps("small", store, pool))
