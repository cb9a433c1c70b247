from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from bimt_core.modularity import Communities
from bimt_core.networks import MLP
from bimt_core.pictures.tasks.decision_regions import CLASSES, PALE, plot_decision_regions
from bimt_core.population import initialise
from bimt_core.tasks import load_task


def by_sign(task):
    """Makes a network that predicts "lower moon" with high probability where x1 is above 0.5."""
    population = initialise(MLP((2, 2)), [0])
    population.flat.zero_()
    population.tensors["weight0"][0] = torch.tensor([[0.0, 0.0], [40.0, 0.0]])
    population.tensors["bias0"][0] = torch.tensor([0.0, -20.0])
    return replace(task, network=population.network), population


def image_of(figure):
    (axes,) = figure.axes
    (image,) = axes.images
    return axes, np.asarray(image.get_array()), image.get_extent()


@pytest.mark.parametrize("swapped", [False, True])
def test_a_point_has_the_colour_of_its_class(swapped):
    task, population = by_sign(load_task("two_moons"))
    if swapped:  # the same function with reversed neurons
        order = {name: torch.tensor([[1, 0]]) for name in ("input", "output")}
        population = population.rearrange(order)
    _, image, (left, right, _, _) = image_of(plot_decision_regions(population, task))
    across = left + (np.arange(image.shape[1]) + 0.5) / image.shape[1] * (right - left)
    for side, colour in ((across < 0.3, CLASSES[0]), (across > 0.7, CLASSES[1])):
        expected = 1 - PALE * (1 - np.array(to_rgb(colour)))
        np.testing.assert_allclose(image[:, side], np.broadcast_to(expected, image[:, side].shape), atol=1e-3)


def test_high_points_are_drawn_high():
    task, population = by_sign(load_task("two_moons"))
    population.tensors["weight0"][0] = torch.tensor([[0.0, 0.0], [0.0, 40.0]])
    (axes,) = plot_decision_regions(population, task).axes
    (image,) = axes.images
    assert image.origin == "lower" and axes.get_ylim()[0] < axes.get_ylim()[1]
    expected = 1 - PALE * (1 - np.array(to_rgb(CLASSES[1])))
    np.testing.assert_allclose(np.asarray(image.get_array())[-1, 0], expected, atol=1e-3)


def test_the_border_is_between_equal_probabilities():
    task, population = by_sign(load_task("two_moons"))
    (axes,) = plot_decision_regions(population, task).axes
    border = next(artist for artist in axes.collections if not artist.get_gid())
    vertices = np.concatenate([path.vertices for path in border.get_paths()])
    np.testing.assert_allclose(vertices[:, 0], 0.5, atol=0.02)


def test_training_points_are_within_the_region(sparse):
    task = load_task("two_moons")
    axes, _, extent = image_of(plot_decision_regions(sparse(task), task))
    for k in range(2):
        (dots,) = (artist for artist in axes.collections if artist.get_gid() == f"points{k}")
        points = np.asarray(dots.get_offsets())
        np.testing.assert_allclose(points, task.inputs[task.targets == k].numpy())
        low, high = np.array(extent[::2]), np.array(extent[1::2])
        assert (points > low).all() and (points < high).all()


def test_the_diagram_is_above(sparse, read_texts):
    task = load_task("two_moons")
    figure = plot_decision_regions(sparse(task), task, title="a title", communities=Communities(0.0, ()))
    top = figure.axes[0].get_position().y1 * figure.get_figheight() * 72
    assert {"a title", "hidden 1", "training points", "upper moon", "lower moon"} <= set(read_texts(figure))
    heights = [text.get_transform().transform(text.get_position())[1] * 72 / figure.dpi for text in figure.texts]
    assert min(heights) > top


def test_one_hot_classes_have_the_colour_of_the_largest():
    task, population = by_sign(load_task("two_moons"))
    names = ("targets", "validation_targets", "test_targets")
    values = {name: torch.nn.functional.one_hot(getattr(task, name), 2).float() for name in names}
    task = replace(task, **values, one_hot=True)
    _, image, _ = image_of(plot_decision_regions(population, task))
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 2


def test_weights_that_are_not_finite_have_a_message(sparse, read_texts):
    task = load_task("two_moons")
    broken = sparse(task)
    broken.flat[0, 3] = torch.nan
    figure = plot_decision_regions(broken, task)
    assert read_texts(figure).count("weights not finite") == 2 and not figure.axes[0].images


def test_a_network_without_weights_has_one_region(sparse, read_texts):
    task = load_task("two_moons")
    figure = plot_decision_regions(sparse(task, kept=0.0), task)
    assert "no active weight" in read_texts(figure)
    _, image, _ = image_of(figure)
    assert len(np.unique(image.reshape(-1, 3).round(6), axis=0)) == 1


def test_other_tasks_are_rejected(sparse):
    with pytest.raises(ValueError, match="need classes, the targets of task 'independence' are values"):
        plot_decision_regions(sparse(load_task("independence")), load_task("independence"))
    with pytest.raises(ValueError, match="need two inputs, task 'digits' has 64"):
        plot_decision_regions(sparse(load_task("digits")), load_task("digits"))
    with pytest.raises(ValueError, match="need two inputs"):
        plot_decision_regions(sparse(load_task("permutation_s4")), load_task("permutation_s4"))
    with pytest.raises(ValueError, match="network must be between 0 and 0, got 1"):
        plot_decision_regions(sparse(load_task("two_moons")), load_task("two_moons"), 1)
