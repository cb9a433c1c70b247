from itertools import permutations

import numpy as np
import pytest

from bimt_core.tasks import load_task

NAMES = ("modular_addition", "permutation_s4")


@pytest.mark.parametrize("name", NAMES)
def test_pairs_and_their_split_equal_the_published_ones(name, reference):
    _, arrays = reference("training")
    t = load_task(name, published=True)
    pairs, labels = arrays[f"{name}.pairs"], arrays[f"{name}.labels"]
    train, test = arrays[f"{name}.train_id"], np.sort(arrays[f"{name}.test_id"])  # the published test rows are a set
    for rows, inputs, targets in (
        (train, t.inputs, t.targets),
        (test, t.validation_inputs, t.validation_targets),
        (test, t.test_inputs, t.test_targets),
    ):
        np.testing.assert_array_equal(inputs.numpy(), pairs[rows], strict=True)
        np.testing.assert_array_equal(targets.numpy(), labels[rows], strict=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_pair_is_once_for_training_validation_or_testing(name):
    t = load_task(name, 11)
    pairs = [tuple(pair) for rows in (t.inputs, t.validation_inputs, t.test_inputs) for pair in rows.tolist()]
    n = t.network.vocabulary
    counts = [rows.bincount(minlength=n) for rows in (t.validation_targets, t.test_targets)]
    assert (counts[0] - counts[1]).abs().max() <= 1
    assert len(t.validation_inputs) - len(t.test_inputs) in (0, 1)
    assert sorted(pairs) == [(a, b) for a in range(n) for b in range(n)]
    assert len(t.inputs) == int(0.8 * n * n)


def test_modular_addition_adds():
    t = load_task("modular_addition")
    assert t.targets.tolist() == [(a + b) % 59 for a, b in t.inputs.tolist()]


def test_permutation_s4_composes():
    t = load_task("permutation_s4")
    elements = list(permutations(range(4)))
    for (a, b), product in zip(t.inputs.tolist(), t.targets.tolist(), strict=True):
        assert elements[product] == tuple(elements[a][elements[b][i]] for i in range(4))
    assert t.output_names[:4] == ("0123 even", "0132 odd", "0213 odd", "0231 even")
    assert sum(name.endswith("even") for name in t.output_names) == 12
