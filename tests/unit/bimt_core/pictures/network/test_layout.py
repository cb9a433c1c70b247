import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimt_core.geometry import grid, line
from bimt_core.networks import MLP, RNN, Transformer
from bimt_core.pictures.network.layout import CORNERS, Layout, _project_to_plate, make_layout
from bimt_core.wiring import Axis, Neurons, Wire, Wiring, linear_wires

LETTERS = "abcde"


def wiring_of(pairs: list[tuple[str, str]], folds: list[int] | None = None) -> Wiring:
    """Makes sets of 2 neurons and a tensor for every (source, target)."""
    wires = [
        Wire(f"w{i}", (Axis(target, fold), Axis(source)))
        for i, ((source, target), fold) in enumerate(zip(pairs, folds or [1] * len(pairs), strict=True))
    ]
    return Wiring(tuple(Neurons(name, line(2)) for name in LETTERS), tuple(wires))


def heights(layout: Layout) -> list[float]:
    return [row.gaps + row.depths for row in layout.rows]


names = st.sampled_from(LETTERS)


@given(st.lists(st.tuples(names, names, st.integers(1, 3)), min_size=1, max_size=8))
def test_every_tensor_leads_upwards_for_any_wiring(edges: list[tuple[str, str, int]]) -> None:
    wiring = wiring_of([edge[:2] for edge in edges], [edge[2] for edge in edges])
    layout = make_layout(wiring)
    height = heights(layout)
    assert height == sorted(set(height))  # from below, all different
    assert set(layout.sets) == set(LETTERS)
    for wire in wiring.weights:
        targets, sources = layout.targets[wire.tensor], layout.sources[wire.tensor]
        assert (len(targets), len(sources)) == (wire.ends[0].folds, wire.ends[1].folds)
        assert {layout.rows[i].copy.neurons for i in targets} == {wire.ends[0].neurons}
        assert {layout.rows[i].copy.neurons for i in sources} == {wire.ends[1].neurons}
        assert max(height[i] for i in sources) < min(height[i] for i in targets)
    for low, high in layout.carried:
        assert height[low] < height[high]
        assert layout.rows[low].copy.neurons == layout.rows[high].copy.neurons
    assert (layout.inputs.copy.neurons, layout.outputs.copy.neurons) == ("a", "e")


@given(st.permutations([("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("b", "e"), ("d", "e")]))
def test_the_order_of_tensors_does_not_matter_without_loops(pairs: list[tuple[str, str]]) -> None:
    layout = make_layout(wiring_of(pairs))
    assert [row.copy.neurons for row in layout.rows] == list(LETTERS)
    assert heights(layout) == [0, 1, 2, 3, 4]


def test_sets_of_one_level_have_different_horizontal_positions() -> None:
    layout = make_layout(wiring_of([("a", "c"), ("b", "c"), ("c", "e"), ("d", "e")]))
    assert [row.copy.neurons for row in layout.rows] == ["a", "b", "d", "c", "e"]
    assert len({tuple(row.points[:, 0] + row.shift) for row in layout.rows[:3]}) == 3


def test_outputs_that_are_read_are_below_their_readers() -> None:
    layout = make_layout(wiring_of([("a", "b"), ("b", "e"), ("e", "b")]))
    assert [row.copy.neurons for row in layout.rows][-2:] == ["e", "b"]
    assert [(layout.rows[low].copy.number, layout.rows[high].copy.number) for low, high in layout.carried] == [(0, 1)]


def test_inputs_that_are_written_first_are_still_inputs() -> None:
    layout = make_layout(wiring_of([("e", "a"), ("a", "e")]))
    assert (layout.inputs.copy.neurons, layout.outputs.copy.neurons) == ("a", "e")
    assert layout.outputs.copy.number == 1


def test_recurrent_neurons_have_two_rows_for_any_number_of_tensors() -> None:
    neurons = tuple(Neurons(name, line(2)) for name in ("input", "hidden", "output"))
    wires = (
        *linear_wires("in", "input", "hidden"),
        Wire("one", (Axis("hidden"), Axis("hidden"))),
        Wire("two", (Axis("hidden"), Axis("hidden"))),
        *linear_wires("out", "hidden", "output"),
    )
    layout = make_layout(Wiring(neurons, wires))
    assert [row.name for row in layout.rows] == ["inputs", "hidden, t", "hidden, t+1", "outputs"]
    assert (
        (layout.targets["one"], layout.sources["one"]) == (layout.targets["two"], layout.sources["two"]) == ([2], [1])
    )
    assert layout.carried == []


def test_outputs_of_heads_come_from_the_values() -> None:
    layout = make_layout(Transformer(2, 2, width=4, blocks=1, hidden_width=3).wiring)
    names = [row.name for row in layout.rows]
    assert [names[i] for i in layout.targets["attend1.weight"]] == ["query 1", "key 1", "value 1"]
    assert [names[i] for i in layout.sources["attended1.weight"]] == ["value 1"]
    assert [(names[low], names[high]) for low, high in layout.carried] == [("residual", "residual")] * 2


def test_folds_without_a_name_are_numbered() -> None:
    sets = tuple(Neurons(name, line(2)) for name in ("input", "gate_b2", "output"))
    wires = (
        *linear_wires("in", "input", "gate_b2", target_folds=3),
        *linear_wires("out", "gate_b2", "output", source_folds=3),
    )
    names = [row.name for row in make_layout(Wiring(sets, wires)).rows]
    assert names == ["inputs", "gate_b 2 1/3", "gate_b 2 2/3", "gate_b 2 3/3", "outputs"]


def test_folded_inputs_are_tokens_only_with_an_embedding() -> None:
    wires = linear_wires("in", "input", "output", source_folds=2)
    sets = (Neurons("input", line(2)), Neurons("output", line(2)))
    embedding = Wire("tokens", (5, Axis("input")))
    assert [row.name for row in make_layout(Wiring(sets, wires)).rows] == ["inputs 1/2", "inputs 2/2", "outputs"]
    assert [row.name for row in make_layout(Wiring(sets, (*wires, embedding))).rows] == [
        "token 1",
        "token 2",
        "outputs",
    ]


def test_every_plate_adds_a_depth() -> None:
    layout = make_layout(MLP(((2, 3), (2, 2), 4), ring_outputs=True).wiring)
    assert [(row.gaps, row.depths, row.is_plate) for row in layout.rows] == [(0, 0, True), (1, 1, True), (2, 2, True)]
    assert (layout.gaps, layout.depths) == (2, 3)
    assert make_layout(MLP((2, 3)).wiring).depths == 0


def test_corners_of_a_plate_are_those_of_the_unit_square() -> None:
    corners = np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)])
    assert (_project_to_plate(corners) == CORNERS).all() and CORNERS.min() == 0 and CORNERS.max() == 1
    near, far = _project_to_plate(np.array([(1.0, 0.0), (0.0, 0.0)]))
    assert near.tolist() == [0, 0] and far[0] > 0 and far[1] == 1  # the first row is far, and to the right
    assert _project_to_plate(np.array([(0.0, 0.5, 0.5), (1.0, 0.5, 0.5)]))[:, 1].tolist() == [
        0.25,
        0.75,
    ]  # a third dimension raises


def test_spacing_is_the_width_per_neuron() -> None:
    assert make_layout(MLP((4, 1)).wiring).inputs.spacing == pytest.approx(0.25)
    assert make_layout(MLP((4, 1)).wiring).outputs.spacing == pytest.approx(1.0)


def test_grids_of_a_recurrent_network_are_drawn_twice() -> None:
    rows = make_layout(RNN(2, (2, 2), 2).wiring).rows
    assert (rows[1].points == rows[2].points).all() and (rows[1].points == _project_to_plate(grid(2, 2).numpy())).all()


def test_outputs_are_at_the_top_even_if_a_side_branch_is_longer() -> None:
    layout = make_layout(wiring_of([("a", "e"), ("a", "b"), ("b", "c"), ("c", "d")]))
    assert [row.copy.neurons for row in layout.rows] == list(LETTERS)
