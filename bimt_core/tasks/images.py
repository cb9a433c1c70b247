"""Images of digits: MNIST, read from the user's files, and the small digits of scikit-learn."""

import gzip
import hashlib
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from bimt_core.hyperparameters import PerNetworkHyperparameters
from bimt_core.networks import MLP
from bimt_core.tasks.definition import GREEDY, Task
from bimt_core.tasks.held_out import split_held_out

FOLDER = "BIMT_MNIST"  # the environment variable that names the folder of the files
DIMENSIONS = {0x00000803: 3, 0x00000801: 1}  # magic number of a file of unsigned bytes (images, labels) to dimensions
CLASSES = 10

# Each file and its MD5 checksums, uncompressed and with .gz, as published at http://yann.lecun.com/exdb/mnist.
MNIST: dict[str, tuple[str, str]] = {
    "train-images-idx3-ubyte": ("6bbc9ace898e44ae57da46a324031adb", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
    "train-labels-idx1-ubyte": ("a25bea736e30d166cdddb491f175f624", "d53e105ee54ea40749a09fcbcd1e9432"),
    "t10k-images-idx3-ubyte": ("2646ac647ad5339dbf082846283269ea", "9fb629c4189551a2d022fa330f9573f3"),
    "t10k-labels-idx1-ubyte": ("27ae3e4e09519cfbb04c329615203637", "ec29112dd5afa0611ce80d1b7f02629c"),
}


class Images(NamedTuple):
    """Images, uint8, shape (rows, height, width), and their digits, uint8, shape (rows,)."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def read_idx(path: Path, checksum: str | None = None) -> Tensor:
    """Reads an IDX file of unsigned bytes, the format of MNIST.

    Such a file has a magic number (0x00000803 for images, 0x00000801 for labels), the size of each dimension, both as
    big-endian 32-bit numbers, and then the bytes, the last dimension changing fastest. The result is uint8, shape
    (rows, height, width) or (rows,).

    Args:
        path: The file, compressed with gzip if its name ends in .gz.
        checksum: MD5 checksum of the file; None to check nothing.

    Raises:
        ValueError: If the file cannot be read, has another checksum, or is not an IDX file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    actual = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if checksum not in (None, actual):
        raise ValueError(f"{path} is not the published file: its MD5 checksum must be {checksum}, got {actual}")
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            problem = f"got {len(data)} bytes that are not: {error}"
            raise ValueError(f"{path} must be a complete gzip file, {problem}") from error
    return _parse_idx(data, path)


def load_images(folder: Path, checksums: Mapping[str, tuple[str, str]] | None = MNIST) -> Images:
    """Reads the four files of MNIST, or others of the same names, each uncompressed or with .gz.

    Args:
        folder: Folder of the files.
        checksums: Name to MD5 checksums of the file, uncompressed and with .gz; None to check nothing.

    Raises:
        ValueError: If files are missing, are not the expected ones, or cannot be read.
    """
    paths = {name: next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None) for name in MNIST}
    missing = [name for name, path in paths.items() if path is None]
    if missing:
        absent = "all" if len(missing) == len(MNIST) else ", ".join(missing)
        raise ValueError(
            f"the files {', '.join(MNIST)} (each may end in .gz) must be in {folder.absolute()}, or in the folder "
            f"that the environment variable {FOLDER} names; missing: {absent}"
        )
    tensors = []
    for name, path in paths.items():
        assert path is not None
        tensors.append(read_idx(path, None if checksums is None else checksums[name][path.suffix == ".gz"]))
    return Images(*tensors)


def _parse_idx(data: bytes, path: Path) -> Tensor:
    magic = int.from_bytes(data[:4], "big")
    if len(data) < 4 or magic not in DIMENSIONS:
        known = " or ".join(f"0x{number:08x}" for number in DIMENSIONS)
        raise ValueError(f"{path} must begin with the magic number {known}, got 0x{data[:4].hex()}")
    header = 4 * (1 + DIMENSIONS[magic])
    if len(data) < header:
        raise ValueError(f"{path} must have a header of {header} bytes, got {len(data)} bytes in total")
    shape = [int.from_bytes(data[offset : offset + 4], "big") for offset in range(4, header, 4)]
    size = header + math.prod(shape)
    if len(data) != size:
        raise ValueError(f"{path} must have {size} bytes for its shape {tuple(shape)}, got {len(data)}")
    return torch.from_numpy(np.frombuffer(data, np.uint8)[header:].reshape(shape).copy())


def mnist(data_seed: int = 0, *, published: bool = False) -> Task:
    """Builds the task of MNIST, handwritten digits of 28 x 28 pixels: 60,000 images for training, 10,000 held out.

    The four files (LeCun, Cortes, Burges) are read from the folder that the environment variable BIMT_MNIST names, by
    default data/mnist; nothing is downloaded. As published, pixels are in [0, 1] and never move, the loss is the mean
    squared error to one-hot targets, outputs are on a ring, and distance does not count in the last layer. The score is
    the accuracy of the largest output. The published model seed is unknown.

    The 10,000 published test images are split by digit: 5,000 for validation and 5,000 for testing, with equal numbers
    of each digit or one more for validation or testing.

    Args:
        data_seed: Seed of the split of the published test images.
        published: If True, all 10,000 are for testing, as in the paper, and the same images are the validation rows.

    Raises:
        ValueError: If a file is missing or is not the published one.
    """
    data = load_images(Path(os.environ.get(FOLDER, "data/mnist")), MNIST)
    held_out = data_seed, published
    return _image_task("mnist", "handwritten digits of 28 x 28 pixels", data, 255, (10, 10), 40_000, held_out)


def digits(data_seed: int = 0, *, published: bool = False) -> Task:
    """Builds the task of scikit-learn's handwritten digits: 1797 images of 8 x 8 pixels, of which 1437 for training.

    A small MNIST without a download. The set-up is that of MNIST, with pixels divided by 16, their largest value,
    hidden layers of 6 x 6 instead of 10 x 10, and an eighth of the steps. The other 360 images are split by digit: 180
    for validation and 180 for testing, with equal numbers of each digit or one more for validation or testing.

    Args:
        data_seed: Seed of the split.
        published: If True, the 360 images that are not for training are all for testing, and the same images are the
            validation rows.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = (torch.from_numpy(array.astype(np.uint8)) for array in (data.images, data.target))
    order = torch.from_numpy(np.random.RandomState(data_seed).permutation(len(images)))
    train, test = order.tensor_split([int(0.8 * len(images))])
    split = Images(images[train], labels[train], images[test], labels[test])
    held_out = data_seed, published
    return _image_task("digits", "handwritten digits of 8 x 8 pixels", split, 16, (6, 6), 5_000, held_out)


def _image_task(
    name: str,
    description: str,
    data: Images,
    brightest: int,
    hidden: tuple[int, int],
    steps: int,
    held_out: tuple[int, bool],
) -> Task:
    """Classification task with pixels divided by `brightest`, and two hidden layers of `hidden` neurons on a grid.

    `held_out` is the seed of the split of the test images, and whether they stay as published; see `split_held_out`.
    """
    height, width = data.images.shape[1:]
    inputs, test_inputs = (images.flatten(1).float() / brightest for images in (data.images, data.test_images))
    targets, test_targets = (one_hot(labels.long(), CLASSES).float() for labels in (data.labels, data.test_labels))
    validation, test = split_held_out((test_inputs, test_targets), data.test_labels.long(), *held_out)
    return Task(
        name,
        description,
        inputs,
        targets,
        *validation,
        *test,
        MLP(((height, width), hidden, hidden, CLASSES), reduction="mean", ring_outputs=True, fixed_inputs=True),
        PerNetworkHyperparameters(cost_weight=0.01, weight_factor=2.0, layer_distance=0.5, learning_rate=1e-3),
        replace(
            GREEDY,
            steps=steps,
            batch_size=100,
            cost_phases=((0.0, 1.0), (0.25, 10.0), (0.5, 100.0)),
            local_last=False,
            relocate_every=500,
            relocate_top_k=30,
        ),
        0,
        tuple(f"pixel {row},{column}" for row in range(height) for column in range(width)),
        tuple(map(str, range(CLASSES))),
        one_hot=True,
    )
