"""Checkpoints of cohorts: written and read back, whole or for some trials, and found again where a launch left them."""

import shutil

import pytest
import torch

from bimt_core import Moments, Snapshot, initialise, load_task
from sweeps.worker.checkpoint import SavedCheckpoint, delete_folder, find_checkpoints, read_checkpoint, write_checkpoint
from sweeps.worker.history import HistoryEntry

NETWORK = load_task("two_moons").network
NUMBERS = [4, 7, 5]


@pytest.fixture(scope="module")
def snapshot():
    """Three trials of two replicates, with values that not every file format keeps."""
    population = initialise(NETWORK, range(6))
    population.flat[1, 3], population.flat[4, 0] = torch.nan, -torch.inf
    first = torch.rand_like(population.flat)
    return Snapshot(12, population, Moments(first, first.square() * 1e-30))


def same_bits(a, b):
    return torch.equal(a.view(torch.int32), b.view(torch.int32))


def written(folder, snapshot, numbers=NUMBERS):
    folder.mkdir(parents=True)
    write_checkpoint(folder, snapshot, [HistoryEntry.of(snapshot)], numbers)
    return folder


def test_a_checkpoint_comes_back_bit_for_bit(snapshot, tmp_path):
    read, (moment,) = read_checkpoint(written(tmp_path / "c", snapshot), NETWORK)
    assert (read.step, moment.step) == (12, 12)
    assert same_bits(read.population.flat, snapshot.population.flat)
    assert torch.equal(read.population.output_labels, snapshot.population.output_labels)
    assert same_bits(read.moments.first, snapshot.moments.first)
    assert same_bits(read.moments.second, snapshot.moments.second)
    assert same_bits(moment.population.flat, snapshot.population.flat)


def test_some_trials_come_back_in_the_order_asked_for(snapshot, tmp_path):
    read, (moment,) = read_checkpoint(written(tmp_path / "c", snapshot), NETWORK, members=[5, 4])
    rows = [4, 5, 0, 1]
    assert same_bits(read.population.flat, snapshot.population.flat[rows])
    assert same_bits(read.moments.second, snapshot.moments.second[rows])
    assert same_bits(moment.population.flat, snapshot.population.flat[rows])


def test_the_newest_whole_checkpoint_of_every_cohort_is_found(snapshot, tmp_path):
    root = tmp_path / "a folder with spaces"
    old = written(root / "1" / "cohort_a" / "checkpoint_000001", snapshot)
    written(root / "1" / "cohort_a" / "checkpoint_000000", snapshot)
    torn = written(root / "1" / "cohort_a" / "checkpoint_000002", snapshot)
    (torn / "second.safetensors").unlink()
    other = written(root / "2" / "cohort_b" / "checkpoint_000000", snapshot, [9, 8, 1])
    (root / "2" / "tuner.pkl").touch()
    found = find_checkpoints(str(root))
    assert sorted(found, key=lambda left: left.members) == [
        SavedCheckpoint(str(old), 12, (4, 7, 5)),
        SavedCheckpoint(str(other), 12, (9, 8, 1)),
    ]


def test_nothing_is_left_where_there_was_no_launch(tmp_path):
    assert find_checkpoints(str(tmp_path / "nowhere")) == []
    delete_folder(str(tmp_path / "nowhere"))


def test_forgetting_deletes_the_folder_only(snapshot, tmp_path):
    written(tmp_path / "sweep" / "1" / "cohort_a" / "checkpoint_000001", snapshot)
    shutil.copytree(tmp_path / "sweep", tmp_path / "other")
    delete_folder(str(tmp_path / "sweep"))
    assert not (tmp_path / "sweep").exists()
    assert len(find_checkpoints(str(tmp_path / "other"))) == 1
