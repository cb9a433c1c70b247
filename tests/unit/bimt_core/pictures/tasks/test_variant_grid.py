import numpy as np
import pytest
import torch
from matplotlib.collections import CircleCollection, LineCollection
from matplotlib.colors import to_hex

from bimt_core.metrics import measure
from bimt_core.networks import MLP
from bimt_core.pictures import to_png
from bimt_core.pictures.tasks.variant_grid import plot_variant_grid
from bimt_core.population import initialise
from bimt_core.tasks import load_task
from bimt_core.wiring import ACTIVE

NAMES = ("independence", "compositionality", "digits")
TASKS = {name: load_task(name) for name in NAMES}


@pytest.fixture
def networks(sparse):
    networks = {
        name: {"vanilla": sparse(TASKS[name], kept=1.0), "BIMT": sparse(TASKS[name], kept=0.1)} for name in NAMES
    }
    del networks["digits"]["vanilla"]
    return networks


def lines_of(figure):
    return {a.get_gid(): a for a in figure.artists if isinstance(a, LineCollection) and "weight" in a.get_gid()}


def test_rows_are_tasks_and_columns_variants(networks):
    figure = plot_variant_grid(networks, TASKS)
    at = {text.get_text(): text.get_position() for text in figure.texts}
    assert at["vanilla"][0] < at["BIMT"][0] and at["vanilla"][1] == at["BIMT"][1]
    heights = [at[name][1] for name in NAMES]
    assert heights == sorted(heights, reverse=True) and heights[0] < at["BIMT"][1]
    drawn = lines_of(figure)
    assert {gid.rpartition(".")[0] for gid in drawn} == {f"{n}.{m}" for n in NAMES for m in networks[n]}
    for name in NAMES[:2]:
        centres = [
            np.mean(drawn[f"{name}.{variant}.weight1"].get_segments(), axis=(0, 1)) for variant in networks[name]
        ]
        assert centres[0][0] < centres[1][0] and abs(centres[0][1] - centres[1][1]) < 15
        for (x, y), variant in zip(centres, networks[name], strict=True):
            assert abs(x - at[variant][0]) < 50 and abs(y - at[name][1]) < 50


def test_every_active_weight_is_drawn(networks):
    drawn = lines_of(plot_variant_grid(networks, TASKS, colours="paper"))
    weight = networks["independence"]["BIMT"].tensors["weight1"][0]
    lines = drawn["independence.BIMT.weight1"]
    assert len(lines.get_segments()) == int((weight.abs() > ACTIVE).sum())
    assert {to_hex(colour) for colour in lines.get_colors()} == {"#0000ff", "#ff0000"}


def test_labels_follow_the_neurons(networks):
    turned = {n: torch.arange(k).flip(0).unsqueeze(0) for n, k in (("input", 4), ("output", 2))}
    one = networks["independence"]["BIMT"]
    figure = plot_variant_grid({"independence": {"before": one, "after": one.rearrange(turned)}}, TASKS)
    written = sorted((text.get_position()[0], text.get_text()) for text in figure.texts)
    for names in (["x₁", "x₂", "x₃", "x₄"], ["(x₁ + x₃)³", "x₂² + sin(π x₄)"]):
        assert [text for _, text in written if text in names] == [*names, *names[::-1]]


def test_metrics_are_under_each_network(networks, read_texts):
    texts = read_texts(plot_variant_grid(networks, TASKS))
    for name in NAMES:
        for population in networks[name].values():
            metrics = {k: v.item() for k, v in measure(population, TASKS[name], transforms=("layer_max",)).items()}
            assert f"{TASKS[name].score_name.replace('^2', '²')} {metrics['test_score']:.3f}" in texts
            assert f"cost {metrics['connection_cost']:.3g}   Q {metrics['modularity']:.2f}" in texts


def test_broken_networks_have_a_message_and_are_unchanged(networks, read_texts):
    networks["independence"]["BIMT"].flat[0, 0] = torch.nan
    before = networks["independence"]["BIMT"].flat.clone()
    networks["compositionality"]["BIMT"].flat[:] = 0.0
    figure = plot_variant_grid(networks, TASKS)
    assert {"weights not finite", "no active weight"} <= set(read_texts(figure))
    assert "independence.BIMT.weight0" not in lines_of(figure)
    torch.testing.assert_close(networks["independence"]["BIMT"].flat, before, equal_nan=True)
    assert any(isinstance(artist, CircleCollection) for artist in figure.artists)
    to_png(figure)


def test_wrong_arguments_are_rejected(networks):
    with pytest.raises(ValueError, match="at least 1 network"):
        plot_variant_grid({"independence": {}}, TASKS)
    with pytest.raises(ValueError, match="tasks must contain 'parity'"):
        plot_variant_grid({"parity": networks["independence"]}, TASKS)
    networks["independence"]["other"] = initialise(MLP((4, 7, 2)), [0])
    with pytest.raises(ValueError, match="networks of task 'independence' must have equal shapes, got 2"):
        plot_variant_grid(networks, TASKS)


def test_labels_that_would_hide_a_plate_are_left_out(sparse, read_texts):
    task = load_task("delayed_response")
    one = sparse(task, kept=0.1)
    few, many = (
        read_texts(plot_variant_grid({task.name: {str(i): one for i in range(n)}}, {task.name: task})) for n in (2, 6)
    )
    assert few.count("22.5°") == 4 and many.count("22.5°") == 0
