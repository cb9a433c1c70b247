import shutil

import pytest
import torch

from bimt_core import Moments, Snapshot, initialise, load_task
from sweeps.spec.cohort import SavedCheckpoint
from sweeps.worker.checkpoint import delete_folder, find_checkpoints, read_checkpoint, write_checkpoint
from sweeps.worker.history import HistoryEntry

NETWORK = load_task("two_moons").network
MEMBERS = {4: 2, 7: 1, 5: 3}  # number of networks by number of trial


@pytest.fixture(scope="module")
def snapshot():
    """Three trials of two, one and three networks, with values that not every file format keeps."""
    population = initialise(NETWORK, range(6))
    population.flat[1, 3], population.flat[4, 0] = torch.nan, -torch.inf
    first = torch.rand_like(population.flat)
    return Snapshot(12, population, Moments(first, first.square() * 1e-30))


def same_bits(a, b):
    return torch.equal(a.view(torch.int32), b.view(torch.int32))


def write(folder, snapshot, members=MEMBERS):
    folder.mkdir(parents=True)
    write_checkpoint(folder, snapshot, [HistoryEntry.of(snapshot)], members)
    return folder


def test_a_checkpoint_is_restored_bit_for_bit(snapshot, tmp_path):
    read, (entry,) = read_checkpoint(write(tmp_path / "c", snapshot), NETWORK)
    assert (read.step, entry.step) == (12, 12)
    assert same_bits(read.population.flat, snapshot.population.flat)
    assert torch.equal(read.population.output_labels, snapshot.population.output_labels)
    assert same_bits(read.moments.first, snapshot.moments.first)
    assert same_bits(read.moments.second, snapshot.moments.second)
    assert same_bits(entry.population.flat, snapshot.population.flat)


@pytest.mark.parametrize(
    ("members", "rows"),
    [([5, 4], [3, 4, 5, 0, 1]), ([7], [2]), ([7, 5, 4], [2, 3, 4, 5, 0, 1]), (None, [0, 1, 2, 3, 4, 5])],
)
def test_some_trials_are_restored_in_the_order_asked_for(snapshot, tmp_path, members, rows):
    read, (entry,) = read_checkpoint(write(tmp_path / "c", snapshot), NETWORK, members=members)
    assert same_bits(read.population.flat, snapshot.population.flat[rows])
    assert same_bits(read.moments.second, snapshot.moments.second[rows])
    assert same_bits(entry.population.flat, snapshot.population.flat[rows])


def test_the_latest_complete_checkpoint_of_every_cohort_is_found(snapshot, tmp_path):
    root = tmp_path / "a folder with spaces"
    old = write(root / "1" / "cohort_a" / "checkpoint_000001", snapshot)
    write(root / "1" / "cohort_a" / "checkpoint_000000", snapshot)
    torn = write(root / "1" / "cohort_a" / "checkpoint_000002", snapshot)
    (torn / "second.safetensors").unlink()
    other = write(root / "2" / "cohort_b" / "checkpoint_000000", snapshot, {9: 1, 8: 4, 1: 1})
    (root / "2" / "tuner.pkl").touch()
    saved = find_checkpoints(str(root))
    assert sorted(saved, key=lambda saved: saved.members) == [
        SavedCheckpoint(str(old), 12, (4, 7, 5)),
        SavedCheckpoint(str(other), 12, (9, 8, 1)),
    ]


def test_without_a_launch_there_are_no_checkpoints(tmp_path):
    assert find_checkpoints(str(tmp_path / "nowhere")) == []
    delete_folder(str(tmp_path / "nowhere"))


def test_only_the_folder_is_deleted(snapshot, tmp_path):
    write(tmp_path / "sweep" / "1" / "cohort_a" / "checkpoint_000001", snapshot)
    shutil.copytree(tmp_path / "sweep", tmp_path / "other")
    delete_folder(str(tmp_path / "sweep"))
    assert not (tmp_path / "sweep").exists()
    assert len(find_checkpoints(str(tmp_path / "other"))) == 1
