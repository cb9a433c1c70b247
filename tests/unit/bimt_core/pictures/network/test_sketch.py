"""Sketches are checked by the elements of their SVG."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import torch

from bimt_core.modularity import Communities
from bimt_core.pictures.network.sketch import MOST_LINES, render_sketch, render_sketches
from bimt_core.pictures.palette import COMMUNITY, INACTIVE, NEGATIVE, POSITIVE
from bimt_core.population import Population, initialise
from bimt_core.tasks import TASKS, load_task
from bimt_core.wiring import ACTIVE

AVAILABLE = [name for name in TASKS if name != "mnist"]  # needs files that users download


def sparse(name, part, seed=0):
    task = load_task(name)
    one = initialise(task.network, [seed], dtype=task.dtype)
    return task, replace(one, flat=one.flat * (torch.rand(one.flat.shape) < part))


def strokes(svg, colour):
    """Counts lines and dots of a colour."""
    root = ElementTree.fromstring(svg)
    paths = [p.get("d") for p in root.iter("{http://www.w3.org/2000/svg}path") if p.get("stroke") == colour]
    return sum(path.count("M") for path in paths)


def texts(svg):
    return [task.text for task in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", AVAILABLE)
def test_every_weight_is_a_line_of_its_sign(name):
    task, one = sparse(name, 0.02)
    svg = render_sketch(one, task, communities=Communities(0.0, ()))
    for colour, sign in ((POSITIVE, 1), (NEGATIVE, -1)):
        active = [int((sign * one.tensors[w.tensor] > ACTIVE).sum()) for w in task.network.wiring.weights]
        drawn = strokes(svg, colour)
        assert drawn == sum(active) if max(active) < MOST_LINES / 2 else drawn <= sum(active)


def test_of_a_dense_network_the_strongest_weights_are_drawn():
    task = load_task("in_context")
    svg = render_sketch(initialise(task.network, [0], dtype=task.dtype), task, communities=Communities(0.0, ()))
    drawn = strokes(svg, POSITIVE) + strokes(svg, NEGATIVE)
    assert drawn <= MOST_LINES * len(task.network.wiring.weights)
    assert len(svg) < 100_000


def test_neurons_have_the_colours_of_their_communities():
    task, one = sparse("two_moons", 1.0)
    names = [neurons.name for neurons in task.network.wiring.neurons]
    svg = render_sketch(
        one, task, communities=Communities(0.1, (frozenset({(names[0], 0), (names[1], 4)}), frozenset({(names[3], 1)})))
    )
    assert strokes(svg, COMMUNITY[0]) == 2
    assert strokes(svg, COMMUNITY[1]) == 1
    assert strokes(svg, INACTIVE) == 0


def test_labels_follow_the_neurons_and_are_escaped():
    task, one = sparse("two_moons", 0.1)
    turned = replace(one, output_labels=one.output_labels.flip(1))
    named = replace(task, output_names=("<a> & b", "c"))
    assert texts(render_sketch(one, named))[-2:] == ["<a> & b", "c"]
    assert texts(render_sketch(turned, named))[-2:] == ["c", "<a> & b"]


def test_weights_that_are_not_finite_are_not_drawn():
    task, one = sparse("two_moons", 0.5)
    one.flat[0, 0] = torch.nan
    svg = render_sketch(one, task)
    assert strokes(svg, POSITIVE) == strokes(svg, NEGATIVE) == 0
    assert strokes(svg, INACTIVE) == sum(map(len, task.network.wiring.neurons))


def test_a_network_of_a_population_has_the_same_sketch_as_alone():
    task, one = sparse("parity", 0.1)
    _, other = sparse("parity", 0.1, seed=1)
    labels = [torch.cat([p.input_labels, p.input_labels]) for p in (one,)]
    both = Population(one.network, torch.cat([other.flat, one.flat]), labels[0], torch.cat([one.output_labels] * 2))
    assert render_sketch(both, task, 1) == render_sketch(one, task)


def test_a_sparse_sketch_is_a_few_kilobytes():
    task, one = sparse("two_moons", 0.1)
    svg = render_sketch(one, task)
    assert len(svg) < 5000
    assert not re.search(r"https?://(?!www.w3.org/2000/svg)", svg)


def test_sketches_are_side_by_side_under_their_titles():
    task = load_task("two_moons")
    population = initialise(task.network, [0, 1, 2])
    found = [Communities(0.0, ())] * 3
    svg = render_sketches(population, task, [f"seed {seed}\nscore 1" for seed in range(3)], communities=found)
    alone = [render_sketch(population, task, i, communities=found[i]) for i in range(3)]
    for colour in (POSITIVE, NEGATIVE, INACTIVE):
        assert strokes(svg, colour) == sum(strokes(one, colour) for one in alone) > 0 or colour == INACTIVE
    assert [text for text in texts(svg) if text.startswith("seed")] == ["seed 0", "seed 1", "seed 2"]
    moved = re.findall(r"translate\((\d+) (\d+)\)", svg)
    x, y = zip(*moved[::2], strict=True)  # every other one moves a diagram below its title
    assert len({*zip(x, y, strict=True)}) == 3
    assert len({*x}) == len({*y}) == 2


def test_the_legend_explains_the_colours():
    task = load_task("two_moons")
    written = texts(render_sketches(initialise(task.network, [0]), task, ["one"]))
    assert {"positive weight", "negative weight", "neurons have the colours of their communities"} <= {*written}


def test_sketches_side_by_side_have_a_size_and_a_single_one_has_none():
    task = load_task("two_moons")
    one = initialise(task.network, [0])
    root = ElementTree.fromstring(render_sketches(one, task, ["one"]))
    *_, width, height = map(float, root.get("viewBox").split())
    assert float(root.get("width")) / float(root.get("height")) == pytest.approx(width / height, rel=0.01)
    assert ElementTree.fromstring(render_sketch(one, task)).get("width") is None


@pytest.mark.parametrize(("titles", "communities"), [(["one"], ()), (["one", "two"], [None])])
def test_sketches_need_titles_and_communities_per_network(titles, communities):
    task = load_task("two_moons")
    with pytest.raises(ValueError, match="2 networks, got 1"):
        render_sketches(initialise(task.network, [0, 1]), task, titles, communities=communities)
