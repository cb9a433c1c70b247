from dataclasses import replace

import pytest
import torch

from bimt_core import population as population_module
from bimt_core.networks import MLP
from bimt_core.population import concatenate, initialise

TOKENS = MLP((5, 6, 4), "mean", folds=2, vocabulary=7)
VALUES = MLP((5, 6, 4))


def shuffled(network=VALUES, networks=3, dtype=torch.float64):
    """A population whose inputs and outputs have moved."""
    population = initialise(network, range(networks), dtype=dtype)
    inputs, outputs = (torch.stack([torch.arange(n).roll(i + 1) for i in range(networks)]) for n in (5, 4))
    return replace(population, input_labels=inputs, output_labels=outputs)


def same(one, other):
    labels = torch.equal(one.input_labels, other.input_labels) and torch.equal(one.output_labels, other.output_labels)
    parameters = one.flat.dtype == other.flat.dtype and torch.equal(one.flat, other.flat)
    return one.network == other.network and labels and parameters


def rows_for(network):
    return torch.randint(7, (9, 2)) if network.vocabulary else torch.randn(9, 5, dtype=torch.float64)


def test_a_seed_gives_the_same_network_in_every_population():
    together = initialise(VALUES, [3, 1, 3])
    assert torch.equal(together.flat[0], together.flat[2])
    assert not torch.equal(together.flat[0], together.flat[1])
    assert same(initialise(VALUES, [1]), together.select([1]))
    assert together.input_labels.tolist() == [list(range(5))] * 3
    assert together.output_labels.tolist() == [list(range(4))] * 3
    assert together.input_labels.dtype == torch.int64


def test_inputs_and_targets_are_ordered_by_the_labels():
    population, inputs, targets = shuffled(), rows_for(VALUES), torch.randn(9, 4, dtype=torch.float64)
    at_inputs, at_outputs = population.place_inputs(inputs), population.place_targets(targets)
    for network in range(3):
        for place, label in enumerate(population.input_labels[network].tolist()):
            assert torch.equal(at_inputs[network, :, place], inputs[:, label])
        for place, label in enumerate(population.output_labels[network].tolist()):
            assert torch.equal(at_outputs[network, :, place], targets[:, label])


def test_classes_become_places_of_outputs():
    population, classes = shuffled(), torch.randint(4, (9,))
    places = population.place_targets(classes)
    for network in range(3):
        assert population.output_labels[network][places[network]].tolist() == classes.tolist()


def test_tokens_are_not_reordered():
    tokens = rows_for(TOKENS)
    assert shuffled(TOKENS).place_inputs(tokens) is tokens


def test_predictions_are_in_the_tasks_order():
    population, inputs = shuffled(), rows_for(VALUES)
    raw = VALUES.forward(population.tensors, population.place_inputs(inputs))
    predictions = population.predict(inputs)
    for network in range(3):
        for place, label in enumerate(population.output_labels[network].tolist()):
            assert torch.equal(predictions[network, :, label], raw[network, :, place])


@pytest.mark.parametrize("network", [VALUES, TOKENS])
def test_predictions_do_not_depend_on_the_rows_computed_at_once(network, monkeypatch):
    population, inputs = shuffled(network), rows_for(network)
    expected = population.predict(inputs)
    monkeypatch.setattr(population_module, "MAX_VALUES", 2 * 3 * network.activation_values(1))  # two rows
    torch.testing.assert_close(population.predict(inputs), expected)


def test_rearranging_twice_composes_the_orders():
    population = shuffled()
    first, second = ({"input": torch.stack([torch.randperm(5) for _ in range(3)])} for _ in range(2))
    both = {"input": first["input"].gather(1, second["input"])}
    assert same(population.rearrange(first).rearrange(second), population.rearrange(both))


def test_select_copies_networks():
    population = shuffled()
    selection = population.select([2, 0])
    assert same(selection.select([1]), population.select([0]))
    selection.flat.zero_()
    assert (population.flat != 0).any()


def test_a_part_shares_memory():
    population = shuffled()
    part = population.part(slice(1, 3))
    assert same(part, population.select([1, 2]))
    part.flat.zero_()
    assert (population.flat[1:] == 0).all()


def test_concatenate_is_the_inverse_of_select():
    population = shuffled()
    assert same(concatenate([population.select([0]), population.select([1, 2])]), population)
    with pytest.raises(ValueError, match="different architectures"):
        concatenate([population, shuffled(TOKENS)])


def test_all_tensors_go_to_a_device():
    moved = shuffled().to("meta")
    assert {t.device.type for t in (moved.flat, moved.input_labels, moved.output_labels)} == {"meta"}
