from dataclasses import replace

import numpy as np
import pytest
import torch

from bimt_core.networks import MLP
from bimt_core.pictures.tasks.filters import _neuron_strengths, plot_filters
from bimt_core.population import initialise
from bimt_core.tasks import load_task


@pytest.fixture
def digits(sparse):
    task = load_task("digits")
    return task, sparse(task)


def mosaic_of(figure):
    (image,) = figure.axes[0].images
    return np.ma.filled(image.get_array().astype(float), np.nan)


def test_filters_are_the_weights_strongest_first(digits):
    task, population = digits
    weight = population.tensors["weight0"][0]
    weight[7] *= 50.0
    mosaic = mosaic_of(plot_filters(population, task))
    expected = (weight[7] / weight[7].abs().max()).view(8, 8).numpy()
    np.testing.assert_allclose(mosaic[:8, :8], expected, atol=1e-6)
    assert np.isnan(mosaic[:, 8]).all()


def test_pixels_are_at_their_positions_in_the_image_after_relocation(digits):
    task, population = digits
    movable = replace(population.network, fixed_inputs=False)
    population = replace(population, network=movable)
    order = torch.randperm(64).unsqueeze(0)
    task = replace(task, network=movable)
    before, after = (mosaic_of(plot_filters(p, task)) for p in (population, population.rearrange({"input": order})))
    np.testing.assert_array_equal(before, after)


def test_strengths_are_sums_of_incoming_and_outgoing_weights(digits):
    task, population = digits
    tensors = {name: tensor[0] for name, tensor in population.tensors.items()}
    strengths = _neuron_strengths(task.network.wiring, tensors, "hidden1")
    expected = tensors["weight0"].abs().sum(1) + tensors["weight1"].abs().sum(0)
    torch.testing.assert_close(strengths, expected.double())
    (line, _) = plot_filters(population, task).axes[1].lines
    np.testing.assert_allclose(line.get_ydata(), expected.sort(descending=True).values, rtol=1e-6)


def test_neurons_without_weights_are_left_out(digits, read_texts):
    task, population = digits
    population.tensors["weight0"][0, 5:] = 0.0
    figure = plot_filters(population, task)
    assert any(text.startswith("5 of 36 neurons") for text in read_texts(figure))
    assert mosaic_of(figure).shape == (8, 5 * 9 - 1)
    assert mosaic_of(plot_filters(population, task, most=2)).shape == (8, 2 * 9 - 1)


@pytest.mark.parametrize(("value", "message"), [(torch.nan, "weights not finite"), (0.0, "no active weight")])
def test_networks_that_cannot_be_drawn_have_a_message(digits, read_texts, value, message):
    task, population = digits
    population.flat[:] = value
    assert message in read_texts(plot_filters(population, task))


def test_a_network_without_incoming_weights_has_a_message(digits, read_texts):
    task, population = digits
    population.tensors["weight0"][0] = 0.0
    assert "no hidden neuron has an active incoming weight" in read_texts(plot_filters(population, task))


def test_inputs_that_are_no_image_are_rejected(sparse):
    for name in ("independence", "delayed_response"):
        with pytest.raises(ValueError, match=f"need inputs on a grid, those of task '{name}' are not"):
            plot_filters(sparse(load_task(name)), load_task(name))


def test_images_need_not_be_square():
    task = load_task("digits")
    network = MLP(((4, 16), (2, 2), 10), ring_outputs=True)
    figure = plot_filters(initialise(network, [0]), replace(task, network=network))
    assert mosaic_of(figure).shape == (4, 4 * 18 - 2)
