from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score
from torch.nn.functional import cross_entropy, mse_loss

from bimt_core.tasks import load_task
from bimt_core.tasks.definition import prediction_loss

VALUES = ("independence", "feature_sharing", "compositionality")
CLASSES = ("two_moons", "modular_addition", "permutation_s4")


@pytest.mark.parametrize("name", VALUES)
def test_loss_and_score_of_values(name):
    t = load_task(name)
    outputs = torch.randn(3, *t.targets.shape)
    assert (t.loss_name, t.score_name) == ("mse", "R^2")
    np.testing.assert_allclose(t.loss(outputs, t.targets), [mse_loss(o, t.targets) for o in outputs], rtol=1e-5)
    np.testing.assert_allclose(t.score(outputs, t.targets), [r2_score(t.targets, o) for o in outputs], rtol=1e-5)


@pytest.mark.parametrize("name", CLASSES)
def test_loss_and_score_of_classes(name):
    t = load_task(name)
    outputs = torch.randn(3, len(t.targets), t.network.shape[-1], dtype=torch.float64)
    assert (t.loss_name, t.score_name) == ("cross_entropy", "accuracy")
    np.testing.assert_allclose(t.loss(outputs, t.targets), [cross_entropy(o, t.targets) for o in outputs])
    expected = [accuracy_score(t.targets, o.argmax(1)) for o in outputs]
    np.testing.assert_allclose(t.score(outputs, t.targets), expected)


def test_loss_and_score_of_one_hot_classes():
    t = load_task("digits")
    outputs = torch.randn(3, *t.targets.shape)
    assert (t.loss_name, t.score_name) == ("mse", "accuracy")
    np.testing.assert_allclose(t.loss(outputs, t.targets), [mse_loss(o, t.targets) for o in outputs], rtol=1e-5)
    classes = [row.index(1) for row in t.targets.tolist()]
    expected = [accuracy_score(classes, [row.index(max(row)) for row in o.tolist()]) for o in outputs]
    np.testing.assert_allclose(t.score(outputs, t.targets), expected, rtol=1e-6)


def test_the_same_targets_without_one_hot_are_values():
    t = replace(load_task("digits"), one_hot=False)
    assert t.score_name == "R^2"
    outputs = 0.5 * t.targets + 0.05  # the right class everywhere, but far off
    assert t.score(outputs[None], t.targets).item() < 0.9
    assert load_task("digits").score(outputs[None], t.targets).item() == 1


def test_one_hot_classes_of_a_sequence_are_scored_at_its_last_index():
    t = load_task("delayed_response")
    targets = torch.eye(8)[torch.arange(5)].unsqueeze(1).repeat(1, t.sequence_length, 1)
    t = replace(t, inputs=t.inputs[:5], targets=targets, one_hot=True)
    outputs = targets.roll(1, 2)  # wrong everywhere
    assert t.score(outputs[None], targets).item() == 0
    outputs[:4, -1] = targets[:4, -1]
    assert t.score(outputs[None], targets).item() == pytest.approx(0.8)


def test_only_scored_outputs_count_in_the_loss():
    outputs, targets = torch.randn(2, 5, 3, 2), torch.randn(5, 3, 2)
    scored = torch.tensor([[True, False], [False, False], [True, True]])
    expected = [(o - targets)[:, scored].square().mean().item() for o in outputs]
    np.testing.assert_allclose(prediction_loss("mse", outputs, targets, scored), expected, rtol=1e-5)


def test_targets_may_differ_between_networks():
    for t in (load_task("independence"), load_task("two_moons")):
        outputs = torch.randn(2, len(t.targets), 2)
        targets = torch.stack([t.targets, t.targets.flip(0)])
        expected = [t.loss(outputs[[i]], targets[i]).item() for i in range(2)]
        np.testing.assert_allclose(t.loss(outputs, targets), expected, rtol=1e-6)


def test_all_data_go_to_a_device():
    moved = load_task("two_moons").to("meta")
    data = [value for name, value in vars(moved).items() if name.endswith(("inputs", "targets"))]
    assert len(data) == 6
    assert {d.device.type for d in data} == {"meta"}
    assert moved.per_network == load_task("two_moons").per_network


def test_cast_converts_values_and_parameters_but_not_tokens_and_classes():
    moons, addition = (load_task(name).cast(torch.float64) for name in ("two_moons", "modular_addition"))
    assert (
        moons.dtype == moons.inputs.dtype == moons.validation_inputs.dtype == moons.test_inputs.dtype == torch.float64
    )
    assert moons.targets.dtype == moons.validation_targets.dtype == addition.inputs.dtype == torch.int64
    assert load_task("modular_addition").dtype == torch.float64
    assert load_task("modular_addition").cast(torch.float32).dtype == torch.float32


def rows_of(inputs, targets):
    """Rows as text, to be counted."""
    return Counter(f"{x} {y}" for x, y in zip(inputs.tolist(), targets.tolist(), strict=True))


@pytest.mark.parametrize("name", ["two_moons", "independence", "digits", "permutation_s4", "in_context"])
@pytest.mark.parametrize("n", [1, 37])
def test_another_number_of_validation_rows_leaves_the_others_for_testing(name, n):
    task = load_task(name)
    chosen = task.choose_by_rows(n)
    held_out = rows_of(task.validation_inputs, task.validation_targets) + rows_of(task.test_inputs, task.test_targets)
    parts = [
        rows_of(chosen.validation_inputs, chosen.validation_targets),
        rows_of(chosen.test_inputs, chosen.test_targets),
    ]
    assert parts[0].total() == n
    assert parts[0] + parts[1] == held_out
    assert torch.equal(chosen.inputs, task.inputs)


@pytest.mark.parametrize("name", ["two_moons", "digits", "permutation_s4"])
@pytest.mark.parametrize("n", [58, 59, 100])
def test_validation_rows_are_spread_over_the_classes(name, n):
    """Of each class, the share of rows in the validation rows is that of all rows, up to one row."""
    task = load_task(name)
    chosen = task.choose_by_rows(n)

    def count(*targets):
        targets = torch.cat(targets)
        classes = targets.argmax(1) if task.one_hot else targets
        return classes.bincount(minlength=task.network.shape[-1])

    held_out = count(chosen.validation_targets, chosen.test_targets)
    share = n / held_out.sum()
    assert (count(chosen.validation_targets) - share * held_out).abs().max() <= 1 + 1e-6


@pytest.mark.parametrize("n", [0, 4000, 5000])
def test_a_task_needs_both_validation_and_test_rows(n):
    with pytest.raises(ValueError, match=f"^validation_rows must be below the 4000 rows that two_moons .* got {n}$"):
        load_task("two_moons").choose_by_rows(n)
    assert len(load_task("two_moons").choose_by_rows(3999).test_inputs) == 1


def test_inconsistent_tasks_are_refused():
    moons, addition, sequences = (load_task(name) for name in ("two_moons", "modular_addition", "in_context"))
    formula = load_task("independence")
    for task, changes, message in (
        (moons, {"inputs": moons.inputs[1:]}, "has 199 training inputs and 200 training targets"),
        (moons, {"test_targets": moons.targets[:0]}, "has 2000 test inputs and 0 test targets"),
        (
            moons,
            {"validation_inputs": moons.inputs},
            "has 200 validation inputs and 2000 validation targets",
        ),
        (moons, {"validation_inputs": moons.inputs[:0], "validation_targets": moons.targets[:0]}, "has 0 validation"),
        (moons, {"inputs": moons.inputs.repeat(1, 2)}, "has 4 inputs, its network has 2"),
        (formula, {"targets": formula.targets[:, :1]}, "has 1 outputs, its network has 2"),
        (moons, {"input_names": ("x",)}, "has 1 input names, its network has 2 inputs"),
        (addition, {"output_names": ()}, "has 0 output names, its network has 59 outputs"),
        (moons, {"one_hot": True}, "targets of task 'two_moons' must be values if one_hot is true"),
        (
            sequences,
            {"scored": sequences.scored & torch.tensor([[True], [True], [False]])},
            "scored of task 'in_context' must include an output at the last sequence index",
        ),
        (sequences, {"scored": sequences.scored[1:]}, r"must have the targets' shape \(3, 2\), got \(2, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(task, **changes)
