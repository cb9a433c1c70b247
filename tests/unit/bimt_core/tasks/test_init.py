import numpy as np
import pytest
import torch

from bimt_core.population import initialise
from bimt_core.tasks import TASKS, load_task

PUBLISHED = ("independence", "feature_sharing", "compositionality", "two_moons", "modular_addition", "permutation_s4")
AVAILABLE = [name for name in TASKS if name != "mnist"]  # needs the user's files


@pytest.mark.parametrize("name", AVAILABLE)
def test_every_task_is_consistent(name):
    t = load_task(name)
    assert t.name == name
    wiring = t.network.wiring
    assert (len(t.input_names), len(t.output_names)) == (len(wiring.inputs), len(wiring.outputs))
    population = initialise(t.network, [0, 1], dtype=t.dtype)
    for inputs, targets in ((t.inputs[:100], t.targets[:100]), (t.test_inputs[:100], t.test_targets[:100])):
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
        assert not torch.equal(one.inputs[: len(one.test_inputs)], one.test_inputs)


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
