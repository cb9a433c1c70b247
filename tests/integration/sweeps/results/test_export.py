import json

import pytest
import torch
import yaml

from bimt_core import load_population
from sweeps.errors import BadInputError
from sweeps.results.sweep import open_sweep


@pytest.fixture(scope="module")
def sweep(finished):
    return open_sweep("small", finished)


@pytest.fixture(scope="module")
def answer(confirmed):
    """A confirmed sweep."""
    return open_sweep("small", confirmed)


def test_a_trial_is_exported(sweep, finished, tmp_path):
    written = sweep.export(2, tmp_path / "a" / "b")
    names = ("config.yaml", "weights.safetensors", "replicates.json", "diagrams", "confirmation.json")
    assert written == [tmp_path / "a" / "b" / name for name in names]
    assert json.loads(written[4].read_text())["still_on_front"] == "not confirmed"
    assert all(path.exists() for path in written)
    assert yaml.safe_load(written[0].read_text())["searched"]["steps"] == 40
    exported, network = load_population(written[1]), sweep.network(2, 1)
    assert torch.equal(exported.flat[1:], network.population.flat)
    assert sorted(path.name for path in written[3].iterdir()) == [
        "all_replicates.svg",
        "best.png",
        "interactive.html",
        "sketch.svg",
    ]


def test_exporting_again_overwrites(sweep, tmp_path):
    sweep.export(2, tmp_path)
    (tmp_path / "config.yaml").write_text("other")
    sweep.export(0, tmp_path)
    assert (tmp_path / "config.yaml").read_text() != "other"
    assert torch.equal(load_population(tmp_path / "weights.safetensors").flat[:1], sweep.network(0).population.flat)


def test_a_trial_that_is_not_complete_is_not_exported(sweep, tmp_path):
    with pytest.raises(BadInputError, match="trial must be complete, got trial 1, which is FAIL"):
        sweep.export(1, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_written(sweep, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match=f"^folder must be writable, got {tmp_path}/file/x: Not a directory$"):
        sweep.export(0, tmp_path / "file" / "x")


def test_an_export_has_all_networks_and_the_confirmation(answer, tmp_path):
    paths = {path.name: path for path in answer.export(1, tmp_path)}
    assert set(paths) == {path.name for path in tmp_path.iterdir()}
    weights = load_population(paths["weights.safetensors"])
    assert len(weights) == 4
    assert torch.equal(weights.flat[2:3], answer.network(1, seed=2).population.flat)
    assert yaml.safe_load(paths["config.yaml"].read_text())["seeds"] == [0, 1, 2, 3]
    table = json.loads(paths["replicates.json"].read_text())
    assert [row[0] for row in table["data"]] == [0, 1, 2, 3]
    confirmed = load_population(paths["confirmation.safetensors"])
    assert torch.equal(confirmed.flat[2:3], answer.network(1, seed=6).population.flat)
    data = json.loads(paths["confirmation.json"].read_text())
    assert (data["networks"], data["published"]) == (3, False)
    assert [row[0] for row in data["replicates"]["data"]] == [4, 5, 6]
    first, _ = data["objectives"]
    frame = answer.confirmation()
    for name in ("searched", "confirmed", "low", "high"):
        assert first[name] == frame.loc[(1, "val_score"), name]
