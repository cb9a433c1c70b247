import gzip
import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score

from bimt_core import initialise, load_task, measure, start, train
from bimt_core.geometry import ring
from bimt_core.tasks import images
from bimt_core.tasks.images import MNIST, digits, load_images, mnist, read_idx

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = MNIST


def idx(values):
    """Content of an IDX file, written number by number."""
    data = struct.pack(">I", {3: 0x00000803, 1: 0x00000801}[values.ndim])
    for size in values.shape:
        data += struct.pack(">I", size)
    for value in values.flatten().tolist():
        data += struct.pack("B", value)
    return data


def small(rows, side=28, seed=0):
    """Images and labels like those of MNIST."""
    random = np.random.RandomState(seed)
    images = random.randint(0, 256, (rows, side, side))
    images[0, 0, :2] = 0, 255
    return images, random.randint(0, 10, rows)


@pytest.fixture
def folder(tmp_path):
    """A folder with an awkward name and four small files, two of them with .gz; and the values in them."""
    path = tmp_path / "my data & ünïcode"
    path.mkdir()
    (a, b), (c, d) = small(7), small(3, seed=1)
    (path / TRAIN_IMAGES).write_bytes(idx(a))
    (path / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(idx(b)))
    (path / f"{TEST_IMAGES}.gz").write_bytes(gzip.compress(idx(c)))
    (path / TEST_LABELS).write_bytes(idx(d))
    return path, (a, b, c, d)


def checksums_of(folder):
    """Checksums of the files of a folder; empty for the form that a file does not have."""
    checksums = {}
    for name in MNIST:
        plain, packed = folder / name, folder / f"{name}.gz"
        checksums[name] = tuple(
            hashlib.md5(path.read_bytes()).hexdigest() if path.is_file() else "" for path in (plain, packed)
        )
    return checksums


# IDX files


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("shape", [(5,), (1,), (0,), (2, 3, 4), (3, 1, 1), (0, 28, 28)])
def test_idx_files_are_read(tmp_path, shape, suffix):
    values = np.random.RandomState(0).randint(0, 256, shape)
    path = tmp_path / f"values{suffix}"
    path.write_bytes(gzip.compress(idx(values)) if suffix else idx(values))
    tensor = read_idx(path)
    assert tensor.dtype == torch.uint8
    np.testing.assert_array_equal(tensor.numpy(), values.astype(np.uint8), strict=True)


LABELS = idx(np.array([3, 1, 4]))  # 8 bytes of header and 3 of data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\x0d\x03" + LABELS[4:], r"must begin with the magic number 0x00000803 or 0x00000801, got 0x00000d03"),
        (LABELS[3::-1] + LABELS[4:], r"must begin with the magic number .*, got 0x01080000"),
        (b"\x08\x01", r"must begin with the magic number .*, got 0x0801"),
        (b"", r"must begin with the magic number .*, got 0x"),
        (LABELS[:6], "must have a header of 8 bytes, got 6 bytes in total"),
        (idx(np.zeros((1, 2, 2)).astype(int))[:12], "must have a header of 16 bytes, got 12 bytes in total"),
        (LABELS[:-1], r"must have 11 bytes for its shape \(3,\), got 10"),
        (LABELS + b"\0", r"must have 11 bytes for its shape \(3,\), got 12"),
        (idx(np.zeros((2, 3, 4)).astype(int))[:-4], r"must have 40 bytes for its shape \(2, 3, 4\), got 36"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_other_files_are_refused(tmp_path, data, message, suffix):
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
        pytest.param(gzip.compress(LABELS) + b"more", id="trailing bytes"),
    ],
)
def test_damaged_gzip_files_are_refused(tmp_path, data):
    path = tmp_path / "labels.gz"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"labels.gz must be a complete gzip file, got {len(data)} bytes that"):
        read_idx(path)


def test_a_compressed_file_must_end_in_gz(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(gzip.compress(LABELS))
    with pytest.raises(ValueError, match=r"labels must begin with the magic number .*, got 0x1f8b0800"):
        read_idx(path)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*nowhere: No such file or directory"):
        read_idx(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"cannot read .*: Is a directory"):
        read_idx(tmp_path)


# The four files


def test_compressed_and_uncompressed_files_are_read(folder):
    path, arrays = folder
    for tensor, values in zip(load_images(path, checksums=None), arrays, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), values)


def test_an_uncompressed_file_is_preferred(folder):
    path, (pixels, *_) = folder
    (path / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(idx(255 - pixels)))
    np.testing.assert_array_equal(load_images(path, checksums=None).images.numpy(), pixels)


@pytest.mark.parametrize("name", MNIST)
def test_a_missing_file_is_named_with_all_files_and_the_folder(folder, name):
    path, _ = folder
    for file in (path / name, path / f"{name}.gz"):
        file.unlink(missing_ok=True)
    with pytest.raises(ValueError) as error:
        load_images(path, checksums=None)
    message = str(error.value)
    assert message.startswith(f"the files {', '.join(MNIST)} ")
    assert str(path) in message
    assert "BIMT_MNIST" in message
    assert message.endswith(f"missing: {name}")
    assert "\n" not in message


def test_files_must_have_their_checksums(folder):
    path, _ = folder
    right = checksums_of(path)
    load_images(path, checksums=right)
    for name in MNIST:
        swapped = right | {name: right[name][::-1]}  # those of the other form
        with pytest.raises(ValueError, match=rf"{name}(.gz)? is not the published file: its MD5 checksum must be"):
            load_images(path, checksums=swapped)


def test_files_must_have_the_published_checksums_by_default(folder):
    path, _ = folder
    actual = hashlib.md5((path / TRAIN_IMAGES).read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=f"checksum must be 6bbc9ace898e44ae57da46a324031adb, got {actual}$"):
        load_images(path)


# MNIST


def test_mnist_has_the_values_of_the_files(folder, monkeypatch):
    path, (pixels, labels, test_pixels, test_labels) = folder
    monkeypatch.setenv("BIMT_MNIST", str(path))
    monkeypatch.setattr(images, "MNIST", checksums_of(path))
    t = mnist(published=True)
    for x, y, arrays, classes in (
        (t.inputs, t.targets, pixels, labels),
        (t.validation_inputs, t.validation_targets, test_pixels, test_labels),
        (t.test_inputs, t.test_targets, test_pixels, test_labels),
    ):
        assert x.dtype == y.dtype == torch.float32
        for row, (array, digit) in enumerate(zip(arrays, classes, strict=True)):
            np.testing.assert_allclose(x[row], [array[i, j] / 255 for i in range(28) for j in range(28)], atol=1e-7)
            assert y[row].tolist() == [1.0 if digit == k else 0.0 for k in range(10)]
    assert (t.inputs.min(), t.inputs.max()) == (0, 1)
    assert t.input_names[28 * 3 + 5] == "pixel 3,5"


def test_images_that_mnist_holds_out_are_for_validation_or_testing(folder, monkeypatch):
    path, (*_, test_pixels, test_labels) = folder
    monkeypatch.setenv("BIMT_MNIST", str(path))
    monkeypatch.setattr(images, "MNIST", checksums_of(path))
    t = mnist(4)
    assert (len(t.inputs), len(t.validation_inputs), len(t.test_inputs)) == (7, 2, 1)
    rows = torch.cat([t.validation_inputs, t.test_inputs]).mul(255).round().int().tolist()
    found = zip(rows, torch.cat([t.validation_targets, t.test_targets]).argmax(1).tolist(), strict=True)
    assert sorted(found) == sorted(zip(test_pixels.reshape(3, 784).tolist(), test_labels.tolist(), strict=True))


def test_mnist_has_the_published_set_up(folder, monkeypatch):
    path, _ = folder
    monkeypatch.setenv("BIMT_MNIST", str(path))
    monkeypatch.setattr(images, "MNIST", checksums_of(path))
    t = mnist()
    wiring = t.network.wiring
    assert t.network.shape == ((28, 28), (10, 10), (10, 10), 10)
    assert torch.equal(wiring.outputs.positions, ring(10))
    assert [neurons.movable for neurons in wiring.neurons] == [False, True, True, True]
    assert wiring.reduction == "mean"
    assert (t.shared.steps, t.shared.batch_size, t.shared.local_last) == (40_000, 100, False)
    factors = {0: 1, 9_999: 1, 10_000: 10, 19_999: 10, 20_000: 100, 39_999: 100}
    assert {step: t.shared.cost_factor(step) for step in factors} == factors
    assert t.shared.is_published_relocation
    assert (t.shared.relocate_every, t.shared.relocate_top_k) == (500, 30)
    assert vars(t.per_network) == {
        "cost_weight": 0.01,
        "weight_factor": 2,
        "layer_distance": 0.5,
        "learning_rate": 1e-3,
    }


def test_mnist_without_files_names_their_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BIMT_MNIST", raising=False)
    with pytest.raises(ValueError, match=rf"must be in {tmp_path}/data/mnist, .*; missing: all$"):
        load_task("mnist")
    monkeypatch.setenv("BIMT_MNIST", "elsewhere")
    with pytest.raises(ValueError, match=rf"must be in {tmp_path}/elsewhere, "):
        load_task("mnist")


def test_mnist_refuses_other_files(folder, monkeypatch):
    monkeypatch.setenv("BIMT_MNIST", str(folder[0]))
    with pytest.raises(ValueError, match="train-images-idx3-ubyte is not the published file"):
        mnist()


# Digits


def test_digits_are_all_images_of_scikit_learn():
    t, published = digits(), load_digits()
    assert (len(t.inputs), len(t.validation_inputs), len(t.test_inputs)) == (1437, 180, 180)
    rows = torch.cat([t.inputs, t.validation_inputs, t.test_inputs]).mul(16).tolist()
    classes = torch.cat([t.targets, t.validation_targets, t.test_targets])
    assert (t.validation_targets.sum(0) - t.test_targets.sum(0)).abs().max() <= 1
    assert ((classes == 0) | (classes == 1)).all()
    assert (classes.sum(1) == 1).all()
    actual = sorted((tuple(row), one.tolist().index(1)) for row, one in zip(rows, classes, strict=True))
    pairs = zip(published.data.tolist(), published.target.tolist(), strict=True)
    assert actual == sorted((tuple(row), digit) for row, digit in pairs)
    assert t.inputs.dtype == t.targets.dtype == torch.float32


def test_a_data_seed_draws_the_training_rows():
    assert torch.equal(digits(5).inputs, digits(5).inputs)
    assert torch.equal(digits().inputs, digits(0).inputs)
    assert not torch.equal(digits(5).inputs, digits(6).inputs)


def test_digits_are_a_small_mnist():
    t = digits()
    assert t.network.widths == (64, 36, 36, 10)
    assert [neurons.movable for neurons in t.network.wiring.neurons] == [False, True, True, True]
    assert t.output_names == tuple("0123456789")


def test_the_measured_score_of_a_relocated_network_is_its_accuracy():
    t = load_task("digits")
    shared = replace(t.shared, steps=200, relocate_every=50, relocation="assignment")
    (snapshot,) = train(start(initialise(t.network, [0])), t, [t.per_network], shared, {200})
    population = snapshot.population
    assert not torch.equal(population.output_labels[0], torch.arange(10))
    assert torch.equal(population.input_labels[0], torch.arange(64))
    predicted = population.predict(t.test_inputs)[0].argmax(1)
    expected = accuracy_score(t.test_targets.argmax(1), predicted)
    assert measure(population, t)["test_score"].item() == pytest.approx(expected)
    assert expected > 0.5
