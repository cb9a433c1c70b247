import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from bimt_core.pictures import plot_predictions
from bimt_core.pictures.tasks.predictions import _r_squared
from bimt_core.tasks import load_task


def test_r_squared_is_that_of_scikit_learn():
    true, predicted = np.random.default_rng(0).standard_normal((2, 50))
    assert _r_squared(true, predicted) == pytest.approx(r2_score(true, predicted))
    assert math.isnan(_r_squared(np.ones(5), np.zeros(5)))


def test_each_output_has_its_panel_also_after_relocation(sparse):
    task = load_task("independence")
    population = sparse(task).rearrange({"output": torch.tensor([[1, 0]])})
    figure = plot_predictions(population, task)
    predicted = population.predict(task.test_inputs)[0]
    assert len(figure.axes) == 2
    for i, axes in enumerate(figure.axes):
        (dots,) = axes.collections
        np.testing.assert_allclose(dots.get_offsets()[:, 0], task.test_targets[:1000, i], rtol=1e-6)
        np.testing.assert_allclose(dots.get_offsets()[:, 1], predicted[:1000, i], rtol=1e-6)
        fit = r2_score(task.test_targets[:, i], predicted[:, i])
        assert axes.get_title(loc="left").endswith(f"R² = {fit:.4f}")
    assert figure.axes[0].get_title(loc="left").startswith("(x₁ + x₃)³")


def test_of_sequences_scored_outputs_at_the_last_index_are_shown(sparse):
    task = load_task("in_context")
    figure = plot_predictions(sparse(task), task)
    (axes,) = figure.axes
    (dots,) = axes.collections
    np.testing.assert_allclose(dots.get_offsets()[:, 0], task.test_targets[:1000, -1, 0])
    assert axes.get_title(loc="left").startswith("w x")


def test_outputs_that_are_not_scored_are_left_out(sparse):
    task = load_task("in_context")
    task = replace(task, scored=task.scored.flip(1))
    (axes,) = plot_predictions(sparse(task), task).axes
    predicted = sparse(task).predict(task.test_inputs)[0, :1000, -1, 1]
    np.testing.assert_allclose(axes.collections[0].get_offsets()[:, 1], predicted)
    assert axes.get_title(loc="left").startswith("unused")


def test_weights_that_are_not_finite_have_a_message(sparse, read_texts):
    task = load_task("independence")
    population = sparse(task)
    population.flat[0, 0] = torch.inf
    assert "weights not finite" in read_texts(plot_predictions(population, task))


@pytest.mark.parametrize("name", ["two_moons", "digits"])
def test_classes_are_rejected(sparse, name):
    with pytest.raises(ValueError, match=f"needs values, the targets of task '{name}' are classes"):
        plot_predictions(sparse(load_task(name)), load_task(name))
