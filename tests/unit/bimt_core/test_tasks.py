from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score
from torch.nn.functional import cross_entropy, mse_loss

from bimt_core.population import initialise
from bimt_core.tasks import TASKS, load_task

VALUES = ("independence", "feature_sharing", "compositionality")
TOKENS = ("modular_addition", "permutation_s4")
PUBLISHED = (*VALUES, "two_moons", *TOKENS)
AT_HAND = [name for name in TASKS if name != "mnist"]  # its files are the user's own


@pytest.mark.parametrize("name", [*VALUES, "two_moons"])
def test_data_are_the_published(name, reference):
    _, arrays = reference("training")
    t = load_task(name)
    for key, data in (("x", t.inputs), ("y", t.targets), ("xt", t.test_inputs), ("yt", t.test_targets)):
        np.testing.assert_array_equal(data.numpy(), arrays[f"{name}.{key}"], strict=True)


@pytest.mark.parametrize("name", TOKENS)
def test_pairs_and_their_split_are_the_published(name, reference):
    _, arrays = reference("training")
    t = load_task(name)
    pairs, labels = arrays[f"{name}.pairs"], arrays[f"{name}.labels"]
    train, test = arrays[f"{name}.train_id"], np.sort(arrays[f"{name}.test_id"])  # the published test rows: a set
    for rows, inputs, targets in ((train, t.inputs, t.targets), (test, t.test_inputs, t.test_targets)):
        np.testing.assert_array_equal(inputs.numpy(), pairs[rows], strict=True)
        np.testing.assert_array_equal(targets.numpy(), labels[rows], strict=True)


@pytest.mark.parametrize("name", PUBLISHED)
def test_initial_weights_are_the_published(name, reference):
    _, arrays = reference("training")
    t = load_task(name)
    for tensor, values in initialise(t.network, [t.model_seed], dtype=t.dtype).tensors.items():
        key = f"{name}.init." + tensor.replace("weight", "W").replace("bias", "b")
        np.testing.assert_array_equal(values[0].numpy(), arrays[key], strict=True)


@pytest.mark.parametrize("name", AT_HAND)
def test_a_task_holds_together(name):
    t = load_task(name)
    assert t.name == name
    wiring = t.network.wiring
    assert (len(t.input_names), len(t.output_names)) == (len(wiring.inputs), len(wiring.outputs))
    population = initialise(t.network, [0, 1], dtype=t.dtype)
    for inputs, targets in ((t.inputs, t.targets), (t.test_inputs, t.test_targets)):
        outputs = population.predict(inputs)
        places = (t.points,) if inputs.ndim == 3 else ()
        assert outputs.shape == (2, len(targets), *places, len(wiring.outputs))
        assert t.loss(outputs, targets).shape == t.score(outputs, targets).shape == (2,)
    assert load_task(name) is t


@pytest.mark.parametrize(("name", "seed"), [(name, seed) for name in PUBLISHED for seed in (0, 7)])
def test_a_data_seed_draws_other_data_of_the_same_kind(name, seed):
    first, again, other = load_task(name, seed), load_task(name, seed), load_task(name, seed + 1)
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)
    assert first.inputs.shape == other.inputs.shape
    assert not torch.equal(first.inputs[: len(first.test_inputs)], first.test_inputs)


@pytest.mark.parametrize("name", TOKENS)
def test_every_pair_is_once_for_training_or_for_testing(name):
    t = load_task(name, 11)
    pairs = [tuple(pair) for pair in torch.cat([t.inputs, t.test_inputs]).tolist()]
    n = t.network.vocabulary
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


@pytest.mark.parametrize("name", VALUES)
def test_loss_and_score_of_values(name):
    t = load_task(name)
    outputs = torch.randn(3, *t.targets.shape)
    assert (t.loss_name, t.score_name) == ("mse", "R^2")
    np.testing.assert_allclose(t.loss(outputs, t.targets), [mse_loss(o, t.targets) for o in outputs], rtol=1e-5)
    np.testing.assert_allclose(t.score(outputs, t.targets), [r2_score(t.targets, o) for o in outputs], rtol=1e-5)


@pytest.mark.parametrize("name", ["two_moons", *TOKENS])
def test_loss_and_score_of_classes(name):
    t = load_task(name)
    outputs = torch.randn(3, len(t.targets), t.network.shape[-1], dtype=torch.float64)
    assert (t.loss_name, t.score_name) == ("cross_entropy", "accuracy")
    np.testing.assert_allclose(t.loss(outputs, t.targets), [cross_entropy(o, t.targets) for o in outputs])
    expected = [accuracy_score(t.targets, o.argmax(1)) for o in outputs]
    np.testing.assert_allclose(t.score(outputs, t.targets), expected)


def test_loss_takes_targets_of_each_network():
    for t in (load_task("independence"), load_task("two_moons")):
        outputs = torch.randn(2, len(t.targets), 2)
        targets = torch.stack([t.targets, t.targets.flip(0)])
        expected = [t.loss(outputs[[i]], targets[i]).item() for i in range(2)]
        np.testing.assert_allclose(t.loss(outputs, targets), expected, rtol=1e-6)


def test_a_task_goes_to_a_device_with_all_its_data():
    moved = load_task("two_moons").to("meta")
    data = (moved.inputs, moved.targets, moved.test_inputs, moved.test_targets)
    assert {d.device.type for d in data} == {"meta"}
    assert moved.per_network == load_task("two_moons").per_network


def test_an_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"task must be one of compositionality, .*, two_moons or module:function, got 'moons'"
    ):
        load_task("moons")


def test_the_last_place_of_a_sequence_is_scored():
    t = load_task("in_context")
    with pytest.raises(ValueError, match="scored of task 'in_context' must score an output at the last place"):
        replace(t, scored=t.scored & torch.tensor([[True], [True], [False]]))
    with pytest.raises(
        ValueError, match=r"scored of task 'in_context' must have the targets' shape \(3, 2\), got \(2, 2\)"
    ):
        replace(t, scored=t.scored[1:])
