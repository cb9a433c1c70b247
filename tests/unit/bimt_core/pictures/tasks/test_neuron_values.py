from dataclasses import replace

import numpy as np
import pytest
import torch

from bimt_core.networks import Transformer
from bimt_core.pictures.tasks.neuron_values import correlation, plot_neuron_values, quantities_of, residual_stream
from bimt_core.population import initialise
from bimt_core.tasks import load_task


def small(n_rows=40):
    of = load_task("in_context")
    network = Transformer(2, 2, width=8, hidden_width=12)
    rows = {"test_inputs": of.test_inputs[:n_rows], "test_targets": of.test_targets[:n_rows]}
    return replace(of, network=network, **rows), initialise(network, [0, 1], dtype=of.dtype)


def test_the_residual_stream_is_what_is_read():
    of, population = small()
    order = torch.tensor([[1, 0], [0, 1]])
    population = population.rearrange({"input": order, "output": order.flip(0)})
    stream = residual_stream(population, of.test_inputs)
    read = torch.einsum("nrpw,now->nrpo", stream, population.tensors["read.weight"])
    said = read + population.tensors["read.bias"][:, None, None]
    places = population.output_labels.argsort(1)[:, None, None].expand_as(said)
    torch.testing.assert_close(said.gather(3, places), population.predict(of.test_inputs))


def test_quantities_are_those_of_the_sequences():
    of, _ = small()
    told = quantities_of(of)
    torch.testing.assert_close(told["w x"], of.test_targets[:, 2, 0])
    torch.testing.assert_close(told["x"] * told["w"], told["w x"])
    other = quantities_of(replace(of, name="another"))
    assert list(other) == ["y", "x"] and torch.equal(other["x"], of.test_inputs[:, 2, 1])


def test_correlation_is_numpys():
    x, y = np.random.default_rng(0).standard_normal((2, 50))
    assert correlation(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert correlation(x, np.ones(50)) == 0


def test_values_stand_against_quantities_strongest_first(said):
    of, population = small()
    population.tensors["read.weight"][1, :, 5] *= 1000.0
    figure = plot_neuron_values(population, of, 1, most=3)
    assert len(figure.axes) == 9
    stream = residual_stream(population, of.test_inputs)[1, :, -1]
    dots = {artist.get_gid(): artist.get_offsets() for axes in figure.axes for artist in axes.collections}
    np.testing.assert_allclose(dots["neuron5.w"][:, 1], stream[:, 5])
    np.testing.assert_allclose(dots["neuron5.w"][:, 0], quantities_of(of)["w"])
    assert figure.axes[0].get_ylabel() == "neuron 6"
    assert [axes.get_xlabel() for axes in figure.axes[6:]] == ["x", "w", "w x"]
    r = np.corrcoef(quantities_of(of)["x"], stream[:, 5])[0, 1]
    assert figure.axes[0].get_title(loc="left") == f"r = {r:.2f}"


def test_quantities_can_be_given():
    of, population = small()
    figure = plot_neuron_values(population, of, quantities={"mine": torch.arange(40.0)}, most=1)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "mine"
    with pytest.raises(ValueError, match=r"'mine' must have one value a test row: \(40,\), got \(3,\)"):
        plot_neuron_values(population, of, quantities={"mine": torch.arange(3.0)})


@pytest.mark.parametrize(("value", "message"), [(torch.nan, "weights not finite"), (0.0, "no neuron of the residual")])
def test_nothing_to_see_is_told(said, value, message):
    of, population = small()
    population.flat[:] = value
    assert any(message in text for text in said(plot_neuron_values(population, of)))


def test_other_networks_are_refused(sparse):
    with pytest.raises(ValueError, match="need a transformer, task 'delayed_response' has RNN"):
        plot_neuron_values(sparse(load_task("delayed_response")), load_task("delayed_response"))
