import numpy as np
import pytest
import torch
from matplotlib.collections import CircleCollection, LineCollection, PolyCollection

from bimt_core.modularity import Communities
from bimt_core.networks import MLP
from bimt_core.pictures.canvas import WIDTH, Canvas
from bimt_core.pictures.network.labels import Labels
from bimt_core.pictures.network.layout import make_layout
from bimt_core.pictures.network.panel import MOST_ROW_NAMES, Panel, _active_entries, row_name_width
from bimt_core.pictures.network.projection import Flat, Perspective
from bimt_core.pictures.palette import COMMUNITY, INACTIVE, OTHER
from bimt_core.population import initialise
from bimt_core.wiring import ACTIVE

NETWORK = MLP(((3, 3), (4, 4), 5), ring_outputs=True)
LAYOUT = make_layout(NETWORK.wiring)
PROJECTIONS = {"flat": Flat(80.0, 60.0, 400.0, 84.0, 80.0), "perspective": Perspective.fit(LAYOUT, 80.0, 60.0, 400.0)}


def panel_of(name: str) -> Panel:
    return Panel(Canvas.create(WIDTH, 700.0), LAYOUT, PROJECTIONS[name])


def artists(panel: Panel, kind: type) -> dict:
    return {artist.get_gid(): artist for artist in panel.canvas.figure.artists if isinstance(artist, kind)}


@pytest.mark.parametrize("name", PROJECTIONS)
def test_a_network_is_lines_discs_and_plates_in_any_projection(name: str) -> None:
    panel, one = panel_of(name), initialise(NETWORK, [0])
    one.tensors["weight0"][0, :, 1:] = 0.0
    communities = Communities(0.1, (frozenset({("hidden1", 2)}),))
    empty = Labels([], 0.0)
    assert panel.draw_network(one, empty, empty, "n", communities) is communities
    lines, discs = artists(panel, LineCollection), artists(panel, CircleCollection)
    assert set(lines) == {"n.weight0", "n.weight1"} and set(discs) == {"n.input", "n.hidden1", "n.output"}
    starts = np.unique([line[0] for line in lines["n.weight0"].get_segments()], axis=0)
    np.testing.assert_allclose(starts, discs["n.input"].get_offsets()[:1])
    colours = [tuple(np.round(255 * c[:3]).astype(int)) for c in discs["n.hidden1"].get_facecolors()]
    rgb = [tuple(bytes.fromhex(colour[1:])) for colour in (COMMUNITY[0], OTHER, INACTIVE)]
    assert colours == [rgb[0] if place == 2 else rgb[1] for place in range(16)]
    assert len(artists(panel, PolyCollection)["n.plates"].get_paths()) == 3
    assert not panel.canvas.figure.texts


@pytest.mark.parametrize("name", PROJECTIONS)
@pytest.mark.parametrize(("value", "message"), [(torch.nan, "weights not finite"), (0.0, "no active weight")])
def test_a_message_is_in_the_middle(name: str, value: float, message: str) -> None:
    panel, one = panel_of(name), initialise(NETWORK, [0])
    one.flat[:] = value
    panel.draw_network(one, Labels([], 0.0), Labels([], 0.0), "n")
    (text,) = panel.canvas.figure.texts
    assert text.get_text() == message
    np.testing.assert_allclose(text.get_position(), panel.bounds.mean(0))
    assert not artists(panel, LineCollection)


@pytest.mark.parametrize("name", PROJECTIONS)
def test_labels_and_row_names_are_next_to_their_neurons(name: str) -> None:
    panel = panel_of(name)
    order = torch.tensor([3, 1, 0, 2, 4])
    panel.write_labels(order, Labels(list("abcde"), 8.0), LAYOUT.outputs)
    centres = panel.projection.centres(LAYOUT.outputs)
    for text, label, centre in zip(panel.canvas.figure.texts, order.tolist(), centres, strict=True):
        assert text.get_text() == "abcde"[label]
        assert np.abs(np.array(text.get_position()) - centre).max() < 20
    panel.write_row_names()
    names = {text.get_text(): text.get_position()[1] for text in panel.canvas.figure.texts[5:]}
    assert list(names) == ["inputs", "hidden 1", "outputs"] and list(names.values()) == sorted(names.values())


def test_neurons_do_not_touch_each_other() -> None:
    panel = Panel(Canvas.create(WIDTH, 700.0), LAYOUT, Flat(10.0, 20.0, 60.0, 20.0, 12.0))
    panel.draw(initialise(NETWORK, [0]), Communities(0.0, ()), "n")
    for discs in artists(panel, CircleCollection).values():
        centres = np.asarray(discs.get_offsets())
        apart = np.linalg.norm(centres[:, None] - centres, axis=2)[~np.eye(len(centres), dtype=bool)]
        assert np.sqrt(4 / np.pi * discs.get_sizes().max()) <= np.median(apart)


def test_active_entries_are_those_above_the_threshold() -> None:
    weight = torch.tensor([[0.0, 2 * ACTIVE, -3.0], [ACTIVE / 2, 0.0, 1.0]])
    rows, columns, values = _active_entries(weight)
    assert rows.tolist() == [0, 0, 1] and columns.tolist() == [1, 2, 2]
    np.testing.assert_allclose(values, [2 * ACTIVE, -3.0, 1.0])


def test_row_names_have_a_limited_width() -> None:
    assert row_name_width(LAYOUT) < MOST_ROW_NAMES
