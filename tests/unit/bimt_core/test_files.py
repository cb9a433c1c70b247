import json
import resource
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from bimt_core.files import (
    deserialize_population,
    load_population,
    save_population,
    serialize_population,
    write_atomically,
)
from bimt_core.networks import MLP, to_dict
from bimt_core.population import initialise

TOKENS = MLP((5, 6, 4), "mean", folds=2, vocabulary=7)
VALUES = MLP((5, 6, 4))


def shuffled(network=VALUES, networks=3, dtype=torch.float64):
    """A population whose inputs and outputs have moved."""
    population = initialise(network, range(networks), dtype=dtype)
    inputs, outputs = (torch.stack([torch.arange(n).roll(i + 1) for i in range(networks)]) for n in (5, 4))
    return replace(population, input_labels=inputs, output_labels=outputs)


def same(one, other):
    tensors = ("flat", "input_labels", "output_labels")
    pairs = [(getattr(one, name), getattr(other, name)) for name in tensors]
    return one.network == other.network and all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("network", [VALUES, TOKENS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_file_restores_the_same_bits(tmp_path, network, dtype):
    population, path = shuffled(network, dtype=dtype), tmp_path / "with a space.safetensors"
    population.flat[1, 3] = torch.nan
    save_population(population, path)
    again = load_population(path)
    assert torch.equal(again.flat.nan_to_num(7.0), population.flat.nan_to_num(7.0))
    assert same(again.select([0, 2]), population.select([0, 2]))
    inputs = torch.randint(7, (9, 2)) if network.vocabulary else torch.randn(9, 5, dtype=dtype)
    assert torch.equal(again.predict(inputs)[[0, 2]], population.predict(inputs)[[0, 2]])
    assert torch.equal(again.input_labels, population.input_labels)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_bytes_restore_the_same_bits_and_are_deterministic():
    for networks in (1, 2, 5):
        population = shuffled(networks=networks)
        data = serialize_population(population)
        assert same(deserialize_population(data), population)
        assert serialize_population(population) == data
        assert same(deserialize_population(serialize_population(population, steps=torch.arange(3))), population)


def test_saving_again_replaces_the_file(tmp_path):
    path, other = tmp_path / "p.safetensors", shuffled(TOKENS)
    save_population(shuffled(), path)
    save_population(other, path)
    assert same(load_population(path), other)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_population(tmp_path / "none.safetensors")


def with_header(tensors, population):
    return save(tensors, metadata={"network": json.dumps(to_dict(population.network))})


def test_other_data_are_refused_by_name(tmp_path):
    population, path = shuffled(), tmp_path / "other.safetensors"
    data, tensor = serialize_population(population), {"weight": torch.zeros(3)}
    weights = {name: tensor.contiguous() for name, tensor in population.tensors.items()}
    labels = {"input_labels": population.input_labels, "output_labels": population.output_labels}
    for content in (
        b"",
        b"neither weights nor labels, only words",
        data[:-5],
        data[:40],
        save(tensor),
        save(tensor, metadata={"network": '{"layers": 3}'}),
        save(tensor, metadata={"network": "an MLP"}),
        with_header(weights, population),
        with_header(labels, population),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"other\.safetensors holds no population"):
            load_population(path)


def test_a_network_of_another_size_is_refused():
    with pytest.raises(ValueError, match="the data holds no population: "):
        deserialize_population(serialize_population(shuffled()), TOKENS)


@contextmanager
def full_disk(n_bytes):
    """Lets writes fail beyond a file size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_interrupted_write_keeps_the_old_file_or_none(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    write_atomically(old, b"before")
    for path in (old, new):
        with full_disk(1000), pytest.raises(OSError, match="File too large"):
            write_atomically(path, b"x" * 100_000)
    assert old.read_bytes() == b"before"
    assert not new.exists()
