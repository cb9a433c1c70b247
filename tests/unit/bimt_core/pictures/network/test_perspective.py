from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.collections import CircleCollection, LineCollection
from matplotlib.colors import to_hex

from bimt_core.modularity import ACTIVE
from bimt_core.networks import MLP
from bimt_core.pictures import plot_network_3d, to_png
from bimt_core.pictures.network.perspective import MOST_LINES, seen
from bimt_core.population import initialise
from bimt_core.tasks import load_task


def artists(figure, kind):
    return {a.get_gid(): a for a in figure.artists if isinstance(a, kind) and not a.get_gid().startswith("legend")}


def test_nearer_is_larger_and_higher_is_higher():
    near, far = seen(np.array([(0.5, -0.5, 0.0), (-0.5, -0.5, 0.0), (0.5, 0.5, 0.0), (-0.5, 0.5, 0.0)])).reshape(
        2, 2, 2
    )
    assert np.linalg.norm(near[0] - near[1]) > np.linalg.norm(far[0] - far[1])
    low, high = seen(np.array([(0.2, 0.1, 0.0), (0.2, 0.1, 1.0)]))
    assert high[1] > low[1]
    np.testing.assert_allclose(seen(np.zeros((1, 3))), 0)


@pytest.mark.parametrize("name", ["digits", "delayed_response"])
def test_every_active_weight_is_a_line_between_its_neurons(sparse, name):
    of = load_task(name)
    population = sparse(of, kept=0.1)
    figure = plot_network_3d(population, of)
    lines, rows = artists(figure, LineCollection), artists(figure, CircleCollection)
    plates = [np.asarray(rows[f"row{i}"].get_offsets()) for i in range(len(rows))]
    heights = [plate[:, 1].mean() for plate in plates]
    assert len(plates) == 4 and heights == sorted(heights)
    pairs = {"weight0": (0, 1), "weight1": (1, 2), "weight2": (2, 3)}
    pairs |= {"in.weight": (0, 1), "recurrent": (1, 2), "out.weight": (2, 3)}
    for wire in of.network.wiring.weights:
        low, high = (plates[i] for i in pairs[wire.tensor])
        to, source = (population.tensors[wire.tensor][0].abs() > ACTIVE).nonzero(as_tuple=True)
        expected = np.stack([low[source], high[to]], axis=1)
        drawn = np.stack(lines[wire.tensor].get_segments())
        if name == "digits" or wire.tensor != "in.weight":  # what comes in may reach the neurons at either time
            key = lambda ends: np.lexsort(ends.reshape(-1, 4).T)  # noqa: E731
            np.testing.assert_allclose(drawn[key(drawn)], expected[key(expected)])
        assert len(drawn) == len(to)


def test_outputs_are_named_where_they_are(sparse):
    of = load_task("digits")
    before = sparse(of)
    after = before.rearrange({"output": torch.arange(10).flip(0).unsqueeze(0)})
    for population in (before, after):
        figure = plot_network_3d(population, of)
        where = np.asarray(artists(figure, CircleCollection)["row3"].get_offsets())
        for place, label in enumerate(population.output_labels[0].tolist()):
            at = next(text.get_position() for text in figure.texts if text.get_text() == str(label))
            assert np.abs(where - at).sum(1).argmin() == place


def test_only_the_strongest_lines_are_drawn_in_the_colours_of_choice():
    of = load_task("digits")
    network = MLP(((8, 8), (7, 7), 10), ring_outputs=True)
    population = initialise(network, [0])
    lines = artists(plot_network_3d(population, replace(of, network=network), colours="paper"), LineCollection)[
        "weight0"
    ]
    assert len(lines.get_segments()) == MOST_LINES
    assert {to_hex(colour) for colour in lines.get_colors()} == {"#0000ff", "#ff0000"}
    widths = lines.get_linewidths()
    assert widths[-1] == max(widths)


@pytest.mark.parametrize(("value", "message"), [(torch.nan, "weights not finite"), (0.0, "no active weight")])
def test_nothing_to_see_is_told(sparse, said, value, message):
    of = load_task("digits")
    population = sparse(of)
    population.flat[:] = value
    figure = plot_network_3d(population, of)
    assert message in said(figure) and not artists(figure, LineCollection)
    to_png(figure)


def test_neurons_on_lines_are_refused(sparse):
    with pytest.raises(ValueError, match=r"needs neurons on grids, those of 'input' \(task 'independence'\) have"):
        plot_network_3d(sparse(load_task("independence")), load_task("independence"))
