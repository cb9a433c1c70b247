"""Changes of single parameters, and undoing operations."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bimt_core import MLP, RNN, Change, Network, Population, Surgery, Transformer, initialise, intervene
from bimt_core.surgery import ablate, prune

NETWORKS: dict[str, Network] = {
    "lines": MLP((3, 5, 4, 2)),
    "tokens": MLP((3, 5, 4), folds=2, vocabulary=6),
    "recurrent": RNN(3, (2, 3), 2),
    "transformer": Transformer(3, 2, width=6, heads=2, hidden_width=5),
}


def some_networks(name: str = "lines") -> Population:
    return initialise(NETWORKS[name], [0, 1], dtype=torch.float64)


def equal(one: Population, other: Population) -> bool:
    labels = torch.equal(one.input_labels, other.input_labels) and torch.equal(one.output_labels, other.output_labels)
    return one.network == other.network and torch.equal(one.flat, other.flat) and labels


@given(data=st.data(), name=st.sampled_from(list(NETWORKS)))
def test_only_the_chosen_parameter_changes(data: st.DataObject, name: str) -> None:
    population = some_networks(name)
    wiring = population.network.wiring
    wire = data.draw(st.sampled_from(wiring.wires))
    sizes = [(a, 1) if isinstance(a, int) else (len(wiring[a.neurons]), a.folds) for a in wire.axes]
    at = tuple(data.draw(st.integers(0, n - 1)) for n, _ in sizes)
    folds = tuple(data.draw(st.integers(0, folds - 1)) for _, folds in sizes)
    is_set = data.draw(st.booleans())
    change = (
        Change(wire.tensor, at, to=7.5, folds=folds) if is_set else Change(wire.tensor, at, times=-3.0, folds=folds)
    )
    changed = intervene(population, [change])
    entry = tuple(f * n + place for f, (n, _), place in zip(folds, sizes, at, strict=True))
    for network in range(2):
        old, new = population.tensors[wire.tensor][network][entry], changed.tensors[wire.tensor][network][entry]
        assert new == (7.5 if is_set else -3 * old)
    assert (changed.flat != population.flat).sum() == 2
    assert equal(population, some_networks(name))


def test_folds_are_told_apart() -> None:
    population = some_networks("tokens")
    tokens = torch.tensor([[1, 4]])
    for fold in range(2):
        places = [Change("weight0", (2, p), to=0.0, folds=(0, fold)) for p in range(3)]
        changed = intervene(population, places)
        other = tokens.clone()
        other[0, fold] = 5  # hidden neuron 2 no longer reads this token
        kept = [Change("weight1", (o, h), to=0.0) for o in range(4) for h in (0, 1, 3, 4)]
        only = intervene(changed, kept)
        assert torch.equal(only.predict(tokens), only.predict(other))
        assert not torch.equal(intervene(population, kept).predict(tokens), intervene(population, kept).predict(other))


def test_changes_are_applied_in_order() -> None:
    twice = [Change("bias0", (1,), to=2.0), Change("bias0", (1,), times=4.0)]
    assert intervene(some_networks(), twice).tensors["bias0"][:, 1].tolist() == [8.0, 8.0]
    assert intervene(some_networks(), twice[::-1]).tensors["bias0"][:, 1].tolist() == [2.0, 2.0]
    assert equal(intervene(some_networks(), []), some_networks())


def test_places_are_those_after_relocation() -> None:
    population = some_networks()
    order = torch.tensor([[3, 0, 1, 4, 2]]).repeat(2, 1)
    moved = intervene(population.rearrange({"hidden1": order}), [Change("weight1", (2, 0), to=1.0)])
    there = intervene(population, [Change("weight1", (2, 3), to=1.0)])
    inputs = torch.randn(5, 3, dtype=torch.float64)
    torch.testing.assert_close(moved.predict(inputs), there.predict(inputs))


def test_networks_that_share_memory() -> None:
    one = some_networks().select([0])
    shared = replace(one, flat=one.flat.expand(3, -1))
    assert (
        intervene(shared, [Change("bias0", (0,), times=2.0)]).tensors["bias0"][:, 0].tolist()
        == [2 * one.tensors["bias0"][0, 0].item()] * 3
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            Change("weight9", (0, 0), to=0.0),
            "tensor must be one of weight0, bias0, weight1, bias1, embedding, got 'weight9'",
        ),
        (Change("weight0", (5, 0), to=0.0), "places of 'hidden1' in tensor 'weight0' must be between 0 and 4, got 5"),
        (Change("weight0", (0, 3), to=0.0), "places of 'input' in tensor 'weight0' must be between 0 and 2, got 3"),
        (Change("bias1", (-1,), to=0.0), "places of 'output' in tensor 'bias1' must be between 0 and 3, got -1"),
        (Change("embedding", (6, 0), to=0.0), "places of tensor 'embedding' must be between 0 and 5, got 6"),
        (Change("weight0", (0,), to=0.0), r"at of tensor 'weight0' must have 2 numbers, got \(0,\)"),
        (Change("weight0", (0, 0), to=0.0, folds=(1,)), r"folds of tensor 'weight0' must have 2 numbers, got \(1,\)"),
        (
            Change("weight0", (0, 0), to=0.0, folds=(0, 2)),
            "folds of 'input' in tensor 'weight0' must be between 0 and 1, got 2",
        ),
    ],
)
def test_unknown_parameters_raise(change: Change, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        intervene(some_networks("tokens"), [change])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("numbers", [{}, {"to": 1.0, "times": 2.0}])
def test_a_change_needs_exactly_one_of_to_and_times(numbers: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a change has one of to and times, got to="):
        Change("bias0", (0,), **numbers)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_change_must_be_finite(number: float) -> None:
    for numbers in ({"to": number}, {"times": number}):
        with pytest.raises(ValueError, match=f"to and times of a change must be finite, got {number}"):
            Change("bias0", (0,), **numbers)


def test_every_operation_can_be_undone() -> None:
    population, change = some_networks(), Change("weight0", (3, 1), to=2.0)
    pruned = Surgery(population).prune(0.1)
    changed = pruned.intervene([change])
    silenced = changed.ablate({"hidden1": [0]})
    own = silenced.append(replace(population, flat=0 * population.flat))
    assert equal(pruned.population, prune(population, 0.1))
    assert equal(changed.population, intervene(prune(population, 0.1), [change]))
    assert equal(silenced.population, ablate(changed.population, {"hidden1": [0]}))
    assert not own.population.flat.any()
    undone = own.revert()
    for expected in (silenced, changed, pruned):
        assert undone.population is expected.population and undone.earlier == expected.earlier
        undone = undone.revert()
    assert undone.population is population and undone.earlier == ()
    for surgery in (own, pruned, undone):
        assert surgery.revert_all().population is population
        assert surgery.revert_all().earlier == ()
    assert equal(population, some_networks())


def test_operations_after_a_revert() -> None:
    surgery = Surgery(some_networks()).prune(0.1).prune(0.2).revert().prune(0.3)
    assert equal(surgery.population, prune(some_networks(), 0.3))
    assert len(surgery.earlier) == 2
    assert equal(surgery.revert().population, prune(some_networks(), 0.1))


def test_nothing_to_revert_raises() -> None:
    surgery = Surgery(some_networks())
    with pytest.raises(ValueError, match="there is no operation to revert"):
        surgery.revert()
    assert surgery.revert_all().population is surgery.population
