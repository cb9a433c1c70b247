import hashlib

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from bimt_core.population import initialise
from bimt_core.tasks import TASKS, load_task

PUBLISHED = ("independence", "feature_sharing", "compositionality", "two_moons", "modular_addition", "permutation_s4")
AVAILABLE = [name for name in TASKS if name != "mnist"]  # needs the user's files
DRAWN = ("independence", "feature_sharing", "compositionality", "two_moons", "in_context", "delayed_response")

# SHA-256 of training rows and test rows, by task and data seed, before there were validation rows (commit 18530f9):
# `digest(t.inputs, t.targets), digest(t.test_inputs, t.test_targets)` of `t = load_task(name, data_seed)`.
FORMER = {
    ("compositionality", None): ("7a817f3bcfc6a297", "763aaf72f8e6e02c"),
    ("compositionality", 7): ("d82cd7e90ac43407", "2b9382cc77a40a0e"),
    ("delayed_response", None): ("13a4a16db91d8565", "4c61d30465132491"),
    ("delayed_response", 7): ("04706c3f479c0274", "4770ef8d03ffc899"),
    ("digits", None): ("874bcee4289b2747", "b756788dfb4993a8"),
    ("digits", 7): ("6858193ddd65c746", "1a87878d0b36c99b"),
    ("feature_sharing", None): ("1f98441851317121", "1b370f2ee399fe04"),
    ("feature_sharing", 7): ("dca6ec8839655a57", "a7d96194be5556df"),
    ("in_context", None): ("b8dcb51de25041d5", "eb4feecd342e6133"),
    ("in_context", 7): ("b185bb666f7abe9d", "5b5c5dbe0e4ae9d5"),
    ("independence", None): ("137550f65793d523", "8ebc355394b095b8"),
    ("independence", 7): ("d56f6d53089150bd", "95997e194460d385"),
    ("majority_of_majorities", None): ("3a4bd7b3507394eb", "8c1b646f191e5a88"),
    ("majority_of_majorities", 7): ("0c733529c097687c", "5a94bf01d404acb7"),
    ("modular_addition", None): ("03eb551428dbf9bf", "4efa1ecf2f24857e"),
    ("modular_addition", 7): ("92d79317f2fd718d", "7b6f2c2f408c0504"),
    ("parity", None): ("55c2c80e38de8748", "55c2c80e38de8748"),
    ("parity", 7): ("55c2c80e38de8748", "55c2c80e38de8748"),
    ("permutation_s4", None): ("efa1fafc959bfbec", "7022a6e83be804cc"),
    ("permutation_s4", 7): ("fef609cf5f0cf4a9", "5326b8acbb6ee027"),
    ("two_moons", None): ("f023be8783a7b245", "bc1d193bd53e0f11"),
    ("two_moons", 7): ("e5f7fcf9079a8928", "0c948ce957218a76"),
}


def digest(*tensors):
    """The first 16 digits of the SHA-256 of types, shapes and values."""
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(str((tensor.dtype, tuple(tensor.shape))).encode())
        sha.update(tensor.contiguous().numpy().tobytes())
    return sha.hexdigest()[:16]


def rows_of(t):
    """Inputs and targets for training, validation and testing."""
    return (t.inputs, t.targets), (t.validation_inputs, t.validation_targets), (t.test_inputs, t.test_targets)


@pytest.mark.parametrize("name", AVAILABLE)
def test_every_task_is_consistent(name):
    t = load_task(name)
    assert t.name == name
    wiring = t.network.wiring
    assert (len(t.input_names), len(t.output_names)) == (len(wiring.inputs), len(wiring.outputs))
    population = initialise(t.network, [0, 1], dtype=t.dtype)
    for inputs, targets in [(inputs[:100], targets[:100]) for inputs, targets in rows_of(t)]:
        outputs = population.predict(inputs)
        sequence = (t.sequence_length,) if inputs.ndim == 3 else ()
        assert outputs.shape == (2, len(targets), *sequence, len(wiring.outputs))
        assert t.loss(outputs, targets).shape == t.score(outputs, targets).shape == (2,)
    assert load_task(name) is load_task(name, None) is t


@pytest.mark.parametrize("name", PUBLISHED)
def test_initial_parameters_equal_the_published_ones(name, reference):
    _, arrays = reference("training")
    t = load_task(name)
    for tensor, values in initialise(t.network, [t.model_seed], dtype=t.dtype).tensors.items():
        key = f"{name}.init." + tensor.replace("weight", "W").replace("bias", "b")
        np.testing.assert_array_equal(values[0].numpy(), arrays[key], strict=True)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_data_seed_draws_other_data_of_the_same_kind(name):
    for seed in (0, 7):
        one, again, other = load_task(name, seed), TASKS[name](seed), load_task(name, seed + 1)
        assert torch.equal(one.inputs, again.inputs)
        assert not torch.equal(one.inputs, other.inputs)
        assert one.inputs.shape == other.inputs.shape
        n = min(len(one.inputs), len(one.test_inputs))
        assert not torch.equal(one.inputs[:n], one.test_inputs[:n])


@pytest.mark.parametrize(("name", "seed"), FORMER)
def test_training_rows_and_published_test_rows_have_not_changed(name, seed):
    t, published = load_task(name, seed), load_task(name, seed, published=True)
    training, test = FORMER[name, seed]
    assert digest(published.inputs, published.targets) == training
    assert digest(published.test_inputs, published.test_targets) == test
    assert (digest(t.inputs, t.targets) == training) is (name != "parity")  # nothing was held out
    assert digest(t.test_inputs, t.test_targets) != test
    assert load_task(name, seed, True) is load_task(name, seed, published=True)


@pytest.mark.parametrize("name", [name for name in AVAILABLE if name not in DRAWN])
def test_rows_of_finite_tasks_are_split(name):
    for seed in (None, 7):
        t, published = load_task(name, seed), load_task(name, seed, published=True)
        parts = [set(map(tuple, inputs.tolist())) for inputs, _ in rows_of(t)]
        assert sum(map(len, parts)) == len(parts[0] | parts[1] | parts[2]) == sum(len(x) for x, _ in rows_of(t))
        assert parts[1] | parts[2] <= set(map(tuple, published.test_inputs.tolist()))
        assert parts[0] | parts[1] | parts[2] == set(
            map(tuple, torch.cat([published.inputs, published.test_inputs]).tolist())
        )
        assert torch.equal(published.validation_inputs, published.test_inputs)
        assert torch.equal(published.validation_targets, published.test_targets)
        assert 0 <= len(t.validation_inputs) - len(t.test_inputs) <= 1


def columns_of(inputs, targets):
    """Inputs and targets as columns, one row each."""
    return torch.cat([inputs.flatten(1), targets.reshape(len(targets), -1)], dim=1)


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_rows_are_fresh_and_of_one_distribution(name):
    t, published = load_task(name), load_task(name, published=True)
    rows = [inputs.flatten(1) for inputs, _ in rows_of(t)]
    assert [len(x) for x in rows[1:]] == [2000, 2000]
    every_row = torch.cat([*rows, published.test_inputs.flatten(1)]).tolist()
    assert len(set(map(tuple, every_row))) == len(every_row)
    assert digest(published.validation_inputs, published.validation_targets) == digest(*rows_of(t)[1])
    seeds = range(10, 10 + max(1, 2000 // len(t.inputs)))
    training = torch.cat([columns_of(*rows_of(load_task(name, seed))[0]) for seed in seeds])[:2000]
    validation, test = (columns_of(*rows) for rows in rows_of(t)[1:])
    varying = [j for j in range(test.shape[1]) if test[:, j].std() > 0]
    for one, other in ((training, validation), (training, test), (validation, test)):
        p_values = [ks_2samp(one[:, j].numpy(), other[:, j].numpy()).pvalue for j in varying]
        assert min(p_values) > 0.01 / len(p_values)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """An importable module with a task and with functions that return no task."""
    (tmp_path / "unit_tasks.py").write_text(
        "from bimt_core.tasks.symbolic import two_moons\ndef words(data_seed=0):\n    return 'no task'\nnumber = 3\n"
    )
    (tmp_path / "unit_tasks_broken.py").write_text("def (:\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "unit_tasks"


def test_a_task_is_imported_from_a_module(module):
    assert torch.equal(load_task(f"{module}:two_moons", 3).inputs, load_task("two_moons", 3).inputs)
    assert load_task(f"{module}:two_moons").name == "two_moons"


def test_imported_tasks_have_no_published_rows(module):
    message = rf"^published is for the tasks compositionality, .* only, got task '{module}:two_moons'$"
    with pytest.raises(ValueError, match=message) as error:
        load_task(f"{module}:two_moons", published=True)
    assert "\n" not in str(error.value)


def test_unknown_tasks_are_refused(module):
    for name, message in (
        ("moons", r"task must be one of compositionality, .*, two_moons or module:function, got 'moons'"),
        ("no_such_module:f", "task 'no_such_module:f': cannot import 'no_such_module': No module named"),
        (f"{module}_broken:f", f"task '{module}_broken:f': cannot import '{module}_broken': invalid syntax"),
        (f"{module}:other", f"task '{module}:other': module '{module}' has no 'other'"),
        (f"{module}:number", f"task '{module}:number': 'number' is not a function"),
        (f"{module}:words", f"task '{module}:words' must return a Task, got str"),
    ):
        with pytest.raises(ValueError, match=message):
            load_task(name)
