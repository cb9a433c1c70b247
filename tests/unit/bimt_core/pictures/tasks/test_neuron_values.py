from dataclasses import replace

import numpy as np
import pytest
import torch

from bimt_core.networks import Transformer
from bimt_core.pictures.tasks.neuron_values import _correlation, _residual_stream, _task_quantities, plot_neuron_values
from bimt_core.population import initialise
from bimt_core.tasks import load_task


def small(n_rows=40):
    task = load_task("in_context")
    network = Transformer(2, 2, width=8, hidden_width=12)
    rows = {"test_inputs": task.test_inputs[:n_rows], "test_targets": task.test_targets[:n_rows]}
    return replace(task, network=network, **rows), initialise(network, [0, 1], dtype=task.dtype)


def test_the_residual_stream_gives_the_outputs():
    task, population = small()
    order = torch.tensor([[1, 0], [0, 1]])
    population = population.rearrange({"input": order, "output": order.flip(0)})
    stream = _residual_stream(population, task.test_inputs)
    read = torch.einsum("nrpw,now->nrpo", stream, population.tensors["read.weight"])
    outputs = read + population.tensors["read.bias"][:, None, None]
    places = population.output_labels.argsort(1)[:, None, None].expand_as(outputs)
    torch.testing.assert_close(outputs.gather(3, places), population.predict(task.test_inputs))


def test_quantities_are_those_of_the_sequences():
    task, _ = small()
    quantities = _task_quantities(task)
    torch.testing.assert_close(quantities["w x"], task.test_targets[:, 2, 0])
    torch.testing.assert_close(quantities["x"] * quantities["w"], quantities["w x"])
    other = _task_quantities(replace(task, name="another"))
    assert list(other) == ["y", "x"] and torch.equal(other["x"], task.test_inputs[:, 2, 1])


def test_correlation_is_that_of_numpy():
    x, y = np.random.default_rng(0).standard_normal((2, 50))
    assert _correlation(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert _correlation(x, np.ones(50)) == 0


def test_neurons_are_plotted_against_quantities_strongest_first(read_texts):
    task, population = small()
    population.tensors["read.weight"][1, :, 5] *= 1000.0
    figure = plot_neuron_values(population, task, 1, most=3)
    assert len(figure.axes) == 9
    stream = _residual_stream(population, task.test_inputs)[1, :, -1]
    dots = {artist.get_gid(): artist.get_offsets() for axes in figure.axes for artist in axes.collections}
    np.testing.assert_allclose(dots["neuron5.w"][:, 1], stream[:, 5])
    np.testing.assert_allclose(dots["neuron5.w"][:, 0], _task_quantities(task)["w"])
    assert figure.axes[0].get_ylabel() == "neuron 6"
    assert [axes.get_xlabel() for axes in figure.axes[6:]] == ["x", "w", "w x"]
    r = np.corrcoef(_task_quantities(task)["x"], stream[:, 5])[0, 1]
    assert figure.axes[0].get_title(loc="left") == f"r = {r:.2f}"


def test_quantities_can_be_passed():
    task, population = small()
    figure = plot_neuron_values(population, task, quantities={"mine": torch.arange(40.0)}, most=1)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "mine"
    with pytest.raises(ValueError, match=r"'mine' must have one value per test row \(40\), got \(3,\)"):
        plot_neuron_values(population, task, quantities={"mine": torch.arange(3.0)})


@pytest.mark.parametrize(("value", "message"), [(torch.nan, "weights not finite"), (0.0, "no neuron of the residual")])
def test_networks_that_cannot_be_drawn_have_a_message(read_texts, value, message):
    task, population = small()
    population.flat[:] = value
    assert any(message in text for text in read_texts(plot_neuron_values(population, task)))


def test_other_networks_are_rejected(sparse):
    with pytest.raises(ValueError, match="need a transformer, task 'delayed_response' has RNN"):
        plot_neuron_values(sparse(load_task("delayed_response")), load_task("delayed_response"))
