import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from bimt_core.networks import MLP
from bimt_core.population import (
    concatenate,
    deserialize_population,
    initialise,
    load_population,
    save_population,
    serialize_population,
)

TOKENS = MLP((5, 6, 4), "mean", folds=2, vocabulary=7)
VALUES = MLP((5, 6, 4))


def disordered(network=VALUES, networks=3, dtype=torch.float64):
    """A population whose inputs and outputs have moved."""
    population = initialise(network, range(networks), dtype=dtype)
    inputs, outputs = (torch.stack([torch.arange(n).roll(i + 1) for i in range(networks)]) for n in (5, 4))
    return replace(population, input_labels=inputs, output_labels=outputs)


def same(one, other):
    labels = torch.equal(one.input_labels, other.input_labels) and torch.equal(one.output_labels, other.output_labels)
    same_numbers = one.flat.dtype == other.flat.dtype and torch.equal(one.flat, other.flat)
    return one.network == other.network and labels and same_numbers


def rows_for(network):
    return torch.randint(7, (9, 2)) if network.vocabulary else torch.randn(9, 5, dtype=torch.float64)


def test_a_seed_means_the_same_network_in_any_company():
    together = initialise(VALUES, [3, 1, 3])
    assert torch.equal(together.flat[0], together.flat[2])
    assert not torch.equal(together.flat[0], together.flat[1])
    assert same(initialise(VALUES, [1]), together.select([1]))
    assert together.input_labels.tolist() == [list(range(5))] * 3
    assert together.output_labels.tolist() == [list(range(4))] * 3
    assert together.input_labels.dtype == torch.int64


def test_inputs_and_targets_go_where_the_labels_say():
    population, inputs, targets = disordered(), rows_for(VALUES), torch.randn(9, 4, dtype=torch.float64)
    placed, wanted = population.place_inputs(inputs), population.place_targets(targets)
    for network in range(3):
        for place, label in enumerate(population.input_labels[network].tolist()):
            assert torch.equal(placed[network, :, place], inputs[:, label])
        for place, label in enumerate(population.output_labels[network].tolist()):
            assert torch.equal(wanted[network, :, place], targets[:, label])


def test_classes_go_where_the_labels_say():
    population, classes = disordered(), torch.randint(4, (9,))
    places = population.place_targets(classes)
    for network in range(3):
        assert population.output_labels[network][places[network]].tolist() == classes.tolist()


def test_tokens_need_no_placing():
    tokens = rows_for(TOKENS)
    assert disordered(TOKENS).place_inputs(tokens) is tokens


def test_predictions_come_in_the_tasks_order():
    population, inputs = disordered(), rows_for(VALUES)
    raw = VALUES.forward(population.tensors, population.place_inputs(inputs))
    predictions = population.predict(inputs)
    for network in range(3):
        for place, label in enumerate(population.output_labels[network].tolist()):
            assert torch.equal(predictions[network, :, label], raw[network, :, place])


def test_arranging_twice_is_arranging_by_the_two_orders_in_turn():
    population = disordered()
    first, second = ({"input": torch.stack([torch.randperm(5) for _ in range(3)])} for _ in range(2))
    both = {"input": first["input"].gather(1, second["input"])}
    assert same(population.rearrange(first).rearrange(second), population.rearrange(both))


def test_selected_networks_are_copies():
    population = disordered()
    chosen = population.select([2, 0])
    assert same(chosen.select([1]), population.select([0]))
    chosen.flat.zero_()
    assert (population.flat != 0).any()


def test_concatenating_is_the_inverse_of_selecting():
    population = disordered()
    assert same(concatenate([population.select([0]), population.select([1, 2])]), population)
    with pytest.raises(ValueError, match="different architectures"):
        concatenate([population, disordered(TOKENS)])


def test_a_population_goes_to_a_device_as_a_whole():
    moved = disordered().to("meta")
    assert {t.device.type for t in (moved.flat, moved.input_labels, moved.output_labels)} == {"meta"}


# Files


@pytest.mark.parametrize("network", [VALUES, TOKENS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_file_brings_back_the_same_bits(tmp_path, network, dtype):
    population, path = disordered(network, dtype=dtype), tmp_path / "with a space.safetensors"
    population.flat[1, 3] = torch.nan
    save_population(population, path)
    read = load_population(path)
    assert torch.equal(read.flat.nan_to_num(7.0), population.flat.nan_to_num(7.0))
    assert same(read.select([0, 2]), population.select([0, 2]))
    inputs = rows_for(network)
    inputs = inputs if network.vocabulary else inputs.to(dtype)
    assert torch.equal(read.predict(inputs)[[0, 2]], population.predict(inputs)[[0, 2]])
    assert torch.equal(read.input_labels, population.input_labels)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("networks", [1, 2, 5])
def test_bytes_bring_back_the_same_bits(networks):
    population = disordered(networks=networks)
    assert same(deserialize_population(serialize_population(population)), population)
    assert serialize_population(population) == serialize_population(population)


def test_saving_again_replaces_the_file(tmp_path):
    path = tmp_path / "p.safetensors"
    save_population(disordered(), path)
    other = disordered(TOKENS)
    save_population(other, path)
    assert same(load_population(path), other)


def test_there_is_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_population(tmp_path / "none.safetensors")


NO_POPULATION = {
    "nothing": lambda: b"",
    "text": lambda: b"neither weights nor labels, only words",
    "a file cut short": lambda: serialize_population(disordered())[:-5],
    "a header cut short": lambda: serialize_population(disordered())[:40],
    "other tensors": lambda: save({"weight": torch.zeros(3)}),
    "tensors of another network": lambda: save({"weight": torch.zeros(3)}, metadata={"network": '{"layers": 3}'}),
    "no JSON": lambda: save({"weight": torch.zeros(3)}, metadata={"network": "an MLP"}),
    "no labels": lambda: save(weights_of(disordered()), metadata={"network": header_of(disordered())}),
    "no weights": lambda: save(labels_of(disordered()), metadata={"network": header_of(disordered())}),
}


def header_of(population):
    return json.dumps(population.network.as_dict())


def weights_of(population):
    return {name: tensor.contiguous() for name, tensor in population.tensors.items()}


def labels_of(population):
    return {"input_labels": population.input_labels, "output_labels": population.output_labels}


@pytest.mark.parametrize("content", NO_POPULATION)
def test_a_file_that_is_no_population_is_refused_by_name(tmp_path, content):
    path = tmp_path / "other.safetensors"
    path.write_bytes(NO_POPULATION[content]())
    with pytest.raises(ValueError, match=r"other\.safetensors holds no population"):
        load_population(path)


OUT_OF_SPACE = """
import pathlib, resource, sys
from bimt_core.networks import MLP
from bimt_core.population import initialise, save_population
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    save_population(initialise(MLP((5, 6, 4)), range(100)), pathlib.Path(sys.argv[1]))
except OSError:
    sys.exit(0)
sys.exit("all was written")
"""


def test_a_write_that_fails_half_way_leaves_the_file_before_it(tmp_path):
    path, before = tmp_path / "p.safetensors", disordered()
    save_population(before, path)
    done = subprocess.run([sys.executable, "-c", OUT_OF_SPACE, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert same(load_population(path), before)
    assert list(tmp_path.glob("*.safetensors")) == [path]


def test_a_first_write_that_fails_half_way_leaves_no_file(tmp_path):
    path = tmp_path / "p.safetensors"
    done = subprocess.run([sys.executable, "-c", OUT_OF_SPACE, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not path.exists()
