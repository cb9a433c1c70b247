from itertools import product

import pytest
import torch

from bimt_core import initialise, load_task, start, train
from bimt_core.tasks.boolean import majority_of_majorities, parity


def majority(bits):
    return 1 if sum(bit == 1 for bit in bits) >= 2 else -1


def all_rows(t):
    inputs, targets = (t.inputs, t.validation_inputs, t.test_inputs), (t.targets, t.validation_targets, t.test_targets)
    return torch.cat(inputs), torch.cat(targets)


def bits_and_targets(t):
    inputs, targets = all_rows(t)
    return inputs.int().tolist(), targets.tolist()


def trained(name, steps=None):
    t = load_task(name)
    begin = start(initialise(t.network, [t.model_seed]))
    end = steps or t.shared.steps
    return t, next(train(begin, t, [t.per_network], t.shared, {end}, compiled=False)).population


def test_majority_of_majorities_has_the_right_targets():
    inputs, targets = bits_and_targets(majority_of_majorities())
    for bits, target in zip(inputs, targets, strict=True):
        assert target == [majority([majority(bits[0:3]), majority(bits[3:6]), majority(bits[6:9])])]


@pytest.mark.parametrize("data_seed", [0, 1, 7])
def test_every_row_of_nine_bits_is_once_for_training_validation_or_testing(data_seed):
    t = majority_of_majorities(data_seed)
    assert (len(t.inputs), len(t.validation_inputs), len(t.test_inputs)) == (409, 52, 51)
    assert sorted(map(tuple, bits_and_targets(t)[0])) == sorted(product((-1, 1), repeat=9))
    assert abs((t.validation_targets == 1).sum() - (t.test_targets == 1).sum()) <= 1


def test_a_data_seed_draws_the_training_rows():
    assert torch.equal(majority_of_majorities().inputs, majority_of_majorities(0).inputs)
    assert torch.equal(majority_of_majorities(3).inputs, majority_of_majorities(3).inputs)
    assert not torch.equal(majority_of_majorities(3).inputs, majority_of_majorities(4).inputs)


def test_parity_has_the_right_targets():
    t = parity()
    for bits, target in zip(*bits_and_targets(t), strict=True):
        for pair, value in enumerate(target):
            x, y = bits[2 * pair] == 1, bits[2 * pair + 1] == 1
            assert value == (1 if x != y else -1)
    assert t.output_names == ("x1 xor x2", "x3 xor x4", "x5 xor x6", "x7 xor x8", "x9 xor x10")


@pytest.mark.parametrize("data_seed", [0, 3])
def test_every_row_of_ten_bits_is_once_for_training_validation_or_testing(data_seed):
    t = parity(data_seed)
    assert (len(t.inputs), len(t.validation_inputs), len(t.test_inputs)) == (819, 103, 102)
    assert sorted(map(tuple, bits_and_targets(t)[0])) == sorted(product((-1, 1), repeat=10))
    for targets, least in ((t.targets, 25), (t.validation_targets, 3), (t.test_targets, 3)):
        counts = targets.unique(dim=0, return_counts=True)[1]
        assert len(counts) == 32 and set(counts.tolist()) <= {least, least + 1}
    assert not torch.equal(t.inputs, parity(data_seed + 1).inputs)


def test_every_published_row_of_ten_bits_is_for_training_validation_and_testing():
    t = parity(3, published=True)
    assert t.inputs.int().tolist() == list(map(list, product((-1, 1), repeat=10)))
    for inputs, targets in ((t.validation_inputs, t.validation_targets), (t.test_inputs, t.test_targets)):
        assert torch.equal(t.inputs, inputs)
        assert torch.equal(t.targets, targets)


@pytest.mark.parametrize("t", [majority_of_majorities(), parity()], ids=lambda t: t.name)
def test_bits_are_float32_with_mean_zero(t):
    inputs, targets = all_rows(t)
    assert torch.equal(inputs.mean(0), torch.zeros(inputs.shape[1]))
    assert torch.equal(targets.mean(0), torch.zeros(targets.shape[1]))
    assert t.dtype == inputs.dtype == targets.dtype == torch.float32
    assert (t.loss_name, t.score_name) == ("mse", "R^2")


def test_parity_is_learnt_in_a_quarter_of_the_steps():
    t, population = trained("parity", steps=1250)
    assert t.score(population.predict(t.test_inputs), t.test_targets).item() > 0.95
