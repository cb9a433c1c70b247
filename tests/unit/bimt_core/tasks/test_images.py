import gzip
import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from torch.nn.functional import mse_loss

from bimt_core import initialise, load_task, measure, start, train
from bimt_core.geometry import ring
from bimt_core.tasks import images
from bimt_core.tasks.images import MNIST, digits, load_images, mnist, read_idx

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = MNIST


def idx(values):
    """An IDX file written number by number."""
    data = struct.pack(">I", {3: 0x00000803, 1: 0x00000801}[values.ndim])
    for size in values.shape:
        data += struct.pack(">I", size)
    for value in values.flatten().tolist():
        data += struct.pack("B", value)
    return data


def small(rows, side=28, seed=0):
    """Pictures and labels as MNIST has them."""
    random = np.random.RandomState(seed)
    pictures = random.randint(0, 256, (rows, side, side))
    pictures[0, 0, :2] = 0, 255
    return pictures, random.randint(0, 10, rows)


@pytest.fixture
def folder(tmp_path):
    """Four small files, two of them with .gz, in a folder of an awkward name; and what is in them."""
    place = tmp_path / "my data & ünïcode"
    place.mkdir()
    (a, b), (c, d) = small(7), small(3, seed=1)
    (place / TRAIN_IMAGES).write_bytes(idx(a))
    (place / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(idx(b)))
    (place / f"{TEST_IMAGES}.gz").write_bytes(gzip.compress(idx(c)))
    (place / TEST_LABELS).write_bytes(idx(d))
    return place, (a, b, c, d)


def checksums_of(folder):
    """What the files of a folder have; the other form of each has none."""
    known = {}
    for name in MNIST:
        plain, packed = folder / name, folder / f"{name}.gz"
        known[name] = tuple(
            hashlib.md5(path.read_bytes()).hexdigest() if path.is_file() else "" for path in (plain, packed)
        )
    return known


# IDX files


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("shape", [(5,), (1,), (0,), (2, 3, 4), (3, 1, 1), (0, 28, 28)])
def test_an_idx_file_is_read_as_it_was_written(tmp_path, shape, suffix):
    values = np.random.RandomState(0).randint(0, 256, shape)
    path = tmp_path / f"values{suffix}"
    path.write_bytes(gzip.compress(idx(values)) if suffix else idx(values))
    read = read_idx(path)
    assert read.dtype == torch.uint8
    np.testing.assert_array_equal(read.numpy(), values.astype(np.uint8), strict=True)


LABELS = idx(np.array([3, 1, 4]))  # 8 bytes of header and 3 of data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\x0d\x03" + LABELS[4:], r"must begin with the magic number 0x00000803 or 0x00000801, got 0x00000d03"),
        (LABELS[3::-1] + LABELS[4:], r"must begin with the magic number .*, got 0x01080000"),
        (b"\x08\x01", r"must begin with the magic number .*, got 0x0801"),
        (b"", r"must begin with the magic number .*, got 0x"),
        (LABELS[:6], "must have a header of 8 bytes, got 6 bytes in all"),
        (idx(np.zeros((1, 2, 2)).astype(int))[:12], "must have a header of 16 bytes, got 12 bytes in all"),
        (LABELS[:-1], r"must have 11 bytes for the shape \(3,\) it says, got 10"),
        (LABELS + b"\0", r"must have 11 bytes for the shape \(3,\) it says, got 12"),
        (idx(np.zeros((2, 3, 4)).astype(int))[:-4], r"must have 40 bytes for the shape \(2, 3, 4\) it says, got 36"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_is_no_idx_file_is_refused(tmp_path, data, message, suffix):
    path = tmp_path / f"labels{suffix}"
    path.write_bytes(gzip.compress(data) if suffix else data)
    with pytest.raises(ValueError, match=f"labels{suffix} {message}$"):
        read_idx(path)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(LABELS, id="not compressed"),
        pytest.param(gzip.compress(LABELS)[:-9], id="cut off"),
        pytest.param(gzip.compress(LABELS)[:10] + b"\xff" + gzip.compress(LABELS)[11:], id="damaged"),
        pytest.param(gzip.compress(LABELS) + b"more", id="with more behind"),
    ],
)
def test_what_is_no_gzip_file_is_refused(tmp_path, data):
    path = tmp_path / "labels.gz"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"labels.gz must be a whole gzip file, got {len(data)} bytes that are not: "):
        read_idx(path)


def test_a_compressed_file_must_be_called_so(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(gzip.compress(LABELS))
    with pytest.raises(ValueError, match=r"labels must begin with the magic number .*, got 0x1f8b0800"):
        read_idx(path)


def test_a_file_that_cannot_be_read_is_a_value_error(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*nowhere: No such file or directory"):
        read_idx(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"cannot read .*: Is a directory"):
        read_idx(tmp_path)


# The four files


def test_four_files_are_read_whichever_are_compressed(folder):
    place, written = folder
    for found, values in zip(load_images(place, checksums=None), written, strict=True):
        np.testing.assert_array_equal(found.numpy(), values)


def test_the_file_as_it_is_comes_before_the_compressed_one(folder):
    place, (pictures, *_) = folder
    (place / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(idx(255 - pictures)))
    np.testing.assert_array_equal(load_images(place, checksums=None).images.numpy(), pictures)


@pytest.mark.parametrize("name", MNIST)
def test_a_missing_file_is_told_with_all_names_and_the_folder(folder, name):
    place, _ = folder
    for path in (place / name, place / f"{name}.gz"):
        path.unlink(missing_ok=True)
    with pytest.raises(ValueError) as told:
        load_images(place, checksums=None)
    message = str(told.value)
    assert message.startswith(f"the files {', '.join(MNIST)} ")
    assert str(place) in message
    assert "BIMT_MNIST" in message
    assert message.endswith(f"missing: {name}")
    assert "\n" not in message


def test_files_are_checked_against_their_own_checksums(folder):
    place, _ = folder
    right = checksums_of(place)
    load_images(place, checksums=right)
    for name in MNIST:
        swapped = right | {name: right[name][::-1]}  # that of the other form
        with pytest.raises(ValueError, match=rf"{name}(.gz)? is not the published file: its MD5 checksum must be"):
            load_images(place, checksums=swapped)


def test_other_files_are_not_taken_for_mnist(folder):
    place, _ = folder
    found = hashlib.md5((place / TRAIN_IMAGES).read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=f"checksum must be 6bbc9ace898e44ae57da46a324031adb, got {found}$"):
        load_images(place)


# MNIST


def test_mnist_is_what_the_files_hold(folder, monkeypatch):
    place, (pictures, labels, test_pictures, test_labels) = folder
    monkeypatch.setenv("BIMT_MNIST", str(place))
    monkeypatch.setattr(images, "MNIST", checksums_of(place))
    t = mnist()
    for x, y, given, classes in (
        (t.inputs, t.targets, pictures, labels),
        (t.test_inputs, t.test_targets, test_pictures, test_labels),
    ):
        assert x.dtype == y.dtype == torch.float32
        for row, (picture, digit) in enumerate(zip(given, classes, strict=True)):
            for i in range(28):
                for j in range(28):
                    assert x[row, 28 * i + j].item() == pytest.approx(picture[i, j] / 255, abs=1e-7)
            assert y[row].tolist() == [1.0 if digit == k else 0.0 for k in range(10)]
    assert (t.inputs.min(), t.inputs.max()) == (0, 1)
    assert t.input_names[28 * 3 + 5] == "pixel 3,5"


def test_mnist_is_set_up_as_published(folder, monkeypatch):
    place, _ = folder
    monkeypatch.setenv("BIMT_MNIST", str(place))
    monkeypatch.setattr(images, "MNIST", checksums_of(place))
    t = mnist()
    wiring = t.network.wiring
    assert t.network.shape == ((28, 28), (10, 10), (10, 10), 10)
    assert torch.equal(wiring.outputs.positions, ring(10))
    assert [neurons.movable for neurons in wiring.neurons] == [False, True, True, True]
    assert wiring.reduction == "mean"
    assert (t.shared.steps, t.shared.batch_size, t.shared.local_last) == (40_000, 100, False)
    assert [t.shared.cost_factor(step) for step in (0, 9_999, 10_000, 19_999, 20_000, 39_999)] == [
        1,
        1,
        10,
        10,
        100,
        100,
    ]
    assert t.shared.is_published_relocation
    assert (t.shared.relocate_every, t.shared.relocate_top_k) == (500, 30)
    assert vars(t.per_network) == {
        "cost_weight": 0.01,
        "weight_factor": 2,
        "layer_distance": 0.5,
        "learning_rate": 1e-3,
    }


def test_mnist_without_its_files_says_where_they_belong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BIMT_MNIST", raising=False)
    with pytest.raises(ValueError, match=rf"must be in {tmp_path}/data/mnist, .*; missing: all$"):
        load_task("mnist")
    monkeypatch.setenv("BIMT_MNIST", "elsewhere")
    with pytest.raises(ValueError, match=rf"must be in {tmp_path}/elsewhere, "):
        load_task("mnist")


def test_mnist_is_not_made_of_other_files(folder, monkeypatch):
    monkeypatch.setenv("BIMT_MNIST", str(folder[0]))
    with pytest.raises(ValueError, match="train-images-idx3-ubyte is not the published file"):
        mnist()


# Digits


def test_digits_are_those_of_scikit_learn_each_once():
    t, published = digits(), load_digits()
    assert (len(t.inputs), len(t.test_inputs)) == (1437, 360)
    rows = torch.cat([t.inputs, t.test_inputs]).mul(16).tolist()
    classes = torch.cat([t.targets, t.test_targets])
    assert ((classes == 0) | (classes == 1)).all()
    assert (classes.sum(1) == 1).all()
    found = sorted((tuple(row), one.tolist().index(1)) for row, one in zip(rows, classes, strict=True))
    pairs = zip(published.data.tolist(), published.target.tolist(), strict=True)
    assert found == sorted((tuple(row), digit) for row, digit in pairs)
    assert t.inputs.dtype == t.targets.dtype == torch.float32


def test_a_data_seed_draws_which_digits_are_for_training():
    assert torch.equal(digits(5).inputs, digits(5).inputs)
    assert torch.equal(digits().inputs, digits(0).inputs)
    assert not torch.equal(digits(5).inputs, digits(6).inputs)


def test_digits_are_set_up_as_mnist_in_small():
    t = digits()
    assert t.network.widths == (64, 36, 36, 10)
    assert [neurons.movable for neurons in t.network.wiring.neurons] == [False, True, True, True]
    assert t.output_names == tuple("0123456789")


# One-hot targets


def test_one_hot_classes_are_learnt_as_values_and_scored_as_classes():
    t = digits()
    outputs = torch.randn(3, *t.targets.shape)
    assert (t.loss_name, t.score_name) == ("mse", "accuracy")
    np.testing.assert_allclose(t.loss(outputs, t.targets), [mse_loss(o, t.targets) for o in outputs], rtol=1e-5)
    classes = [row.index(1) for row in t.targets.tolist()]
    expected = [accuracy_score(classes, [row.index(max(row)) for row in o.tolist()]) for o in outputs]
    np.testing.assert_allclose(t.score(outputs, t.targets), expected, rtol=1e-6)


def test_the_same_values_not_called_one_hot_are_scored_as_values():
    t = replace(digits(), one_hot=False)
    assert t.score_name == "R^2"
    outputs = 0.5 * t.targets + 0.05  # the right class everywhere, but far off
    assert t.score(outputs[None], t.targets).item() < 0.9
    assert digits().score(outputs[None], t.targets).item() == 1


def test_one_hot_classes_of_a_sequence_are_scored_at_its_last_place():
    t = load_task("delayed_response")
    targets = torch.eye(8)[torch.arange(5)].unsqueeze(1).repeat(1, t.points, 1)
    t = replace(t, inputs=t.inputs[:5], targets=targets, one_hot=True)
    outputs = targets.roll(1, 2)  # wrong everywhere
    assert t.score(outputs[None], targets).item() == 0
    outputs[:4, -1] = targets[:4, -1]
    assert t.score(outputs[None], targets).item() == pytest.approx(0.8)


def test_class_numbers_are_not_one_hot():
    with pytest.raises(ValueError, match="targets of task 'two_moons' must be values where one_hot is true"):
        replace(load_task("two_moons"), one_hot=True)


def test_the_measured_score_of_a_relocated_network_is_its_accuracy():
    t = load_task("digits")
    shared = replace(t.shared, steps=200, relocate_every=50, relocation="assignment")
    (snapshot,) = train(start(initialise(t.network, [0])), t, [t.per_network], shared, {200})
    population = snapshot.population
    assert not torch.equal(population.output_labels[0], torch.arange(10))
    assert torch.equal(population.input_labels[0], torch.arange(64))
    predicted = population.predict(t.test_inputs)[0].argmax(1)
    expected = accuracy_score(t.test_targets.argmax(1), predicted)
    assert measure(population, t)["score"].item() == pytest.approx(expected)
    assert expected > 0.5


@pytest.mark.slow
def test_digits_are_learnt():
    t = load_task("digits")
    begin = start(initialise(t.network, [t.model_seed]))
    (snapshot,) = train(begin, t, [t.per_network], t.shared, {t.shared.steps})
    metrics = measure(snapshot.population, t)
    assert metrics["score"].item() > 0.93
    assert metrics["active_weights"].item() < 500  # of 3960
