"""What is knocked out has no effect: against networks written out by hand whose neurons are held at 0."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from bimt_core.geometry import line
from bimt_core.modularity import Communities, Node, louvain, weight_graph
from bimt_core.networks import MLP, RNN, ModuleNetwork, Network, Transformer
from bimt_core.population import Population, initialise
from bimt_core.surgery import (
    ablate,
    evaluation,
    score_community_ablations,
    score_neuron_ablations,
    score_subset_ablations,
)
from bimt_core.tasks import Task, load_task
from bimt_core.wiring import Neurons, Wiring, linear_wires

Silent = Mapping[str, Collection[int]]


class Skipping(nn.Module):
    """Two ways from input to output."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down, self.skip = nn.Linear(3, 5), nn.Linear(5, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(silu(self.up(x))) + self.skip(x)


NETWORKS: dict[str, Network] = {
    "lines": MLP((3, 5, 4, 2)),
    "grids": MLP(((2, 2), (3, 3), 4), ring_outputs=True),
    "tokens": MLP((3, 5, 4), folds=2, vocabulary=6),
    "recurrent": RNN(3, (2, 3), 2),
    "transformer": Transformer(3, 2, width=6, heads=2, hidden_width=5),
    "module": ModuleNetwork(
        Skipping,
        Wiring(
            tuple(Neurons(name, line(n)) for name, n in (("input", 3), ("hidden", 5), ("output", 2))),
            (
                *linear_wires("up", "input", "hidden"),
                *linear_wires("down", "hidden", "output"),
                *linear_wires("skip", "input", "output"),
            ),
        ),
    ),
}


def held(values: Tensor, name: str, silent: Silent) -> Tensor:
    """Values of a set of neurons, last, of which the silent ones are held at 0."""
    values = values.clone()
    values[..., list(silent.get(name, ()))] = 0.0
    return values


def by_hand(network: Network, tensors: dict[str, Tensor], inputs: Tensor, silent: Silent) -> Tensor:
    """Outputs of one network on one row."""

    def apply(name: str, values: Tensor) -> Tensor:
        return tensors[f"{name}.weight"] @ values + tensors[f"{name}.bias"]

    if isinstance(network, MLP):
        values = tensors["embedding"][inputs] if network.vocabulary else inputs
        values = held(values, "input", silent).flatten()
        for layer, neurons in enumerate(network.wiring.neurons[1:]):
            values = tensors[f"weight{layer}"] @ values + tensors[f"bias{layer}"]
            values = held(silu(values), neurons.name, silent) if neurons is not network.wiring.outputs else values
        return values
    if isinstance(network, RNN):
        state, outputs = inputs.new_zeros(len(network.wiring["hidden"])), []
        for values in held(inputs, "input", silent):
            state = held(torch.tanh(apply("in", values) + tensors["recurrent"] @ state), "hidden", silent)
            outputs.append(apply("out", state))
        return torch.stack(outputs)
    if isinstance(network, Transformer):
        stream = [held(apply("embed", values), "residual", silent) for values in held(inputs, "input", silent)]
        for block in range(1, network.blocks + 1):
            asked = [apply(f"attend{block}", values).unflatten(0, (3, -1)) for values in stream]
            asked = [held(three, f"heads{block}", silent).unflatten(1, (network.heads, -1)) for three in asked]
            for place in reversed(range(len(stream))):
                query = asked[place][0]
                match = torch.stack([(query * earlier[1]).sum(1) for earlier in asked[: place + 1]])
                share = (match / query.shape[1] ** 0.5).softmax(0)
                seen = sum(part.unsqueeze(1) * earlier[2] for part, earlier in zip(share, asked, strict=False))
                stream[place] = held(stream[place] + apply(f"attended{block}", seen.flatten()), "residual", silent)
            for place, values in enumerate(stream):
                hidden = held(gelu(apply(f"expand{block}", values), approximate="tanh"), f"hidden{block}", silent)
                stream[place] = held(values + apply(f"contract{block}", hidden), "residual", silent)
        return torch.stack([apply("read", values) for values in stream])
    values = held(inputs, "input", silent)
    return apply("down", held(silu(apply("up", values)), "hidden", silent)) + apply("skip", values)


def some_networks(name: str) -> tuple[Population, Tensor]:
    """Two networks, and inputs to try them on."""
    network = NETWORKS[name]
    population = initialise(network, [0, 1], dtype=torch.float64)
    if network.takes_tokens:
        return population, torch.randint(6, (7, 2))
    places = (4,) if name in ("recurrent", "transformer") else ()
    return population, torch.randn(7, *places, len(network.wiring.inputs), dtype=torch.float64)


def expected(population: Population, inputs: Tensor, silent: Silent) -> Tensor:
    """Outputs of a population on rows."""
    one = [{key: tensor[i] for key, tensor in population.tensors.items()} for i in range(len(population))]
    return torch.stack([torch.stack([by_hand(population.network, t, row, silent) for row in inputs]) for t in one])


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_written_out_right(name: str) -> None:
    population, inputs = some_networks(name)
    torch.testing.assert_close(expected(population, inputs, {}), population.predict(inputs))


@pytest.mark.parametrize(
    ("name", "neurons"), [(name, n.name) for name, network in NETWORKS.items() for n in network.wiring.neurons[:-1]]
)
def test_neurons_that_are_knocked_out_are_held_at_0(name: str, neurons: str) -> None:
    population, inputs = some_networks(name)
    for places in ([0], [len(population.network.wiring[neurons]) - 1], [0, 2]):
        found = ablate(population, {neurons: places}).predict(inputs)
        torch.testing.assert_close(found, expected(population, inputs, {neurons: places}))
        assert not torch.allclose(found, population.predict(inputs))


@pytest.mark.parametrize("name", NETWORKS)
def test_neurons_of_several_sets_can_be_told_in_pairs(name: str) -> None:
    population, inputs = some_networks(name)
    names = [neurons.name for neurons in population.network.wiring.neurons[:-1]]
    silent = {name: [1] for name in names}
    found = ablate(population, frozenset((name, 1) for name in names))
    torch.testing.assert_close(found.predict(inputs), expected(population, inputs, silent))
    assert torch.equal(found.flat, ablate(population, silent).flat)


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_have_no_effect_to_lose(name: str) -> None:
    population, inputs = some_networks(name)
    outputs = {population.network.wiring.outputs.name: [0, 1]}
    torch.testing.assert_close(ablate(population, outputs).predict(inputs), population.predict(inputs))


def test_outputs_that_are_read_again_are_read_no_more() -> None:
    wiring = Wiring(
        (Neurons("input", line(2)), Neurons("output", line(2))),
        (*linear_wires("in", "input", "output"), *linear_wires("back", "output", "input")),
    )

    class Feedback(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("in", nn.Linear(2, 2))
            self.add_module("back", nn.Linear(2, 2))

        def forward(self, x: Tensor) -> Tensor:
            return x

    population = initialise(ModuleNetwork(Feedback, wiring), [0])
    before, after = population.tensors, ablate(population, {"output": [1]}).tensors
    assert torch.equal(after["in.weight"], before["in.weight"]) and torch.equal(after["in.bias"], before["in.bias"])
    assert torch.equal(after["back.weight"][..., 0], before["back.weight"][..., 0])
    assert not after["back.weight"][..., 1].any()


def test_the_networks_given_stay_as_they_are() -> None:
    population, _ = some_networks("lines")
    before = population.flat.clone()
    silent = ablate(population, {"hidden1": [0]})
    assert torch.equal(population.flat, before)
    assert torch.equal(silent.flat, ablate(silent, {}).flat)
    assert torch.equal(silent.input_labels, population.input_labels)


def test_neurons_are_known_by_where_they_now_stand() -> None:
    population, inputs = some_networks("lines")
    order = torch.tensor([[2, 0, 1], [0, 2, 1]])
    moved = population.rearrange({"input": order})
    for network in range(2):
        found = ablate(moved, {"input": [1]}).select([network]).predict(inputs)
        there = int(order[network, 1])
        torch.testing.assert_close(found, ablate(population, {"input": [there]}).select([network]).predict(inputs))


@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        ({"hiden1": [0]}, "neurons must be of the sets input, hidden1, hidden2, output, got 'hiden1'"),
        ({"hidden1": [5]}, "places of neurons 'hidden1' must be between 0 and 4, got 5"),
        ({"hidden1": [0, -1]}, "places of neurons 'hidden1' must be between 0 and 4, got -1"),
        ([("hidden9", 0)], "neurons must be of the sets .* got 'hidden9'"),
    ],
)
def test_neurons_that_there_are_not_are_refused(neurons: Silent, message: str) -> None:
    population, _ = some_networks("lines")
    with pytest.raises(ValueError, match=message) as caught:
        ablate(population, neurons)
    assert "\n" not in str(caught.value)


def pruned(of: Task, kept: float) -> Population:
    population = initialise(of.network, [0, 1, 2], dtype=of.dtype)
    keep = torch.rand(population.flat.shape, generator=torch.Generator().manual_seed(7)) < kept
    return replace(population, flat=population.flat * keep)


def communities_of(population: Population, network: int) -> Communities:
    tensors = {name: tensor[network] for name, tensor in population.tensors.items()}
    return louvain(weight_graph(population.network.wiring, tensors), seeds=1)


@pytest.mark.parametrize("name", ["independence", "two_moons", "permutation_s4", "delayed_response", "digits"])
def test_scores_are_those_after_zeroing_by_hand(name: str) -> None:
    of = load_task(name)
    population = pruned(of, 0.1)
    communities = communities_of(population, 1)
    whole, found = score_community_ablations(population, of, 1, communities)
    assert whole == pytest.approx(of.score(population.predict(of.test_inputs), of.test_targets)[1].item())
    assert [record.members for record in found] == list(communities.members)
    for record in found:
        others = [node for community in communities.members if community != record.members for node in community]
        for nodes, score in ((record.members, record.score_without), (others, record.score_alone)):
            one = population.select([1])
            for neurons, place in nodes:
                for wire in of.network.wiring.weights:
                    if wire.ends[1].neurons == neurons:
                        one.tensors[wire.tensor][0, :, place :: len(of.network.wiring[neurons])] = 0.0
            by_zeroing = of.score(one.predict(of.test_inputs), of.test_targets).item()
            assert score == pytest.approx(by_zeroing, rel=1e-4, abs=1e-6)


def test_a_module_that_does_everything_is_told_from_one_that_does_nothing() -> None:
    of = load_task("two_moons")
    population = initialise(of.network, [0])
    population.flat.zero_()
    tensors = population.tensors
    tensors["weight0"][0, 0, 1] = tensors["weight1"][0, 0, 0] = 1.0  # x2 by two neurons to "upper moon"
    tensors["weight2"][0, 0, 0], tensors["bias2"][0, 1] = 2.0, 0.25
    useful = frozenset({("input", 1), ("hidden1", 0), ("hidden2", 0), ("output", 0)})
    idle = frozenset({("input", 0), ("hidden1", 1)})
    whole, (one, other) = score_community_ablations(population, of, 0, Communities(0.5, (useful, idle)))
    assert whole > 0.7
    assert (one.score_without, one.score_alone) == (0.5, whole)
    assert (other.score_without, other.score_alone) == (whole, 0.5)


def test_no_community_leaves_the_whole_score() -> None:
    of = load_task("two_moons")
    population = pruned(of, 0.3)
    whole, found = score_community_ablations(population, of, 2, Communities(0.0, ()))
    assert found == []
    assert whole == pytest.approx(of.score(population.predict(of.test_inputs), of.test_targets)[2].item())


def test_communities_of_another_network_are_refused() -> None:
    of = load_task("two_moons")
    with pytest.raises(ValueError, match="places of neurons 'hidden1' must be between 0 and 19, got 20"):
        score_community_ablations(pruned(of, 0.3), of, 0, Communities(0.0, (frozenset({("hidden1", 20)}),)))


@pytest.mark.parametrize("name", ["independence", "feature_sharing", "delayed_response"])
def test_every_neuron_is_knocked_out_in_turn(name: str) -> None:
    of = load_task(name)
    population = pruned(of, 0.1)
    found = score_neuron_ablations(population, of, 2)
    sets = of.network.wiring.neurons[:-1]
    assert list(found) == [(neurons.name, place) for neurons in sets for place in range(len(neurons))]
    for node in list(found)[::7]:
        outputs = ablate(population, [node]).predict(of.test_inputs)
        assert found[node] == pytest.approx(of.score(outputs, of.test_targets)[2].item(), abs=1e-6)
    assert len(set(found.values())) > 1


@pytest.mark.parametrize("at_once", [1, 2**26])
@pytest.mark.parametrize("name", ["independence", "delayed_response", "feature_sharing"])
def test_subsets_are_those_of_knocking_out_what_is_not_kept(name: str, at_once: int, monkeypatch) -> None:
    monkeypatch.setattr(evaluation, "AT_ONCE", at_once)
    of = load_task(name)
    population = pruned(of, 0.5)
    nodes = [(neurons.name, place) for neurons in of.network.wiring.neurons for place in range(len(neurons))]
    communities = Communities(0.0, tuple(frozenset(nodes[first::9]) for first in range(4)))
    found = score_subset_ablations(population, of, 1, communities, most=3)
    assert list(found) == list(product((True, False), repeat=3))
    for kept, score in found.items():
        out = [some for is_kept, some in zip(kept, communities.members, strict=False) if not is_kept]
        one = ablate(population, frozenset[Node]().union(*out)).select([1])
        assert score == pytest.approx(of.score(one.predict(of.test_inputs), of.test_targets).item(), abs=1e-6)
    assert len(set(found.values())) == 8


def test_subsets_with_one_community_less_or_alone_are_those_of_the_knock_outs() -> None:
    of = load_task("independence")
    population = pruned(of, 0.02)
    communities = communities_of(population, 0)
    communities = Communities(communities.modularity, communities.members[:3])
    whole, records = score_community_ablations(population, of, 0, communities)
    found = score_subset_ablations(population, of, 0, communities)
    assert len(found) == 8
    assert found[True, True, True] == pytest.approx(whole, abs=1e-6)
    for number, record in enumerate(records):
        alone = tuple(other == number for other in range(3))
        assert found[alone] == pytest.approx(record.score_alone, abs=1e-6)
        assert found[tuple(not kept for kept in alone)] == pytest.approx(record.score_without, abs=1e-6)


def test_no_communities_have_one_subset() -> None:
    of = load_task("two_moons")
    population = pruned(of, 0.3)
    ((kept, score),) = score_subset_ablations(population, of, 0, Communities(0.0, ())).items()
    assert (kept, score) == ((), score_community_ablations(population, of, 0, Communities(0.0, ()))[0])


@pytest.mark.parametrize("most", [0, 11])
def test_too_many_communities_for_every_subset_are_refused(most: int) -> None:
    of = load_task("two_moons")
    with pytest.raises(ValueError, match=f"most must be between 1 and 10, got {most}"):
        score_subset_ablations(pruned(of, 0.3), of, 0, Communities(0.0, ()), most)


def test_networks_without_a_score_are_refused() -> None:
    of, nothing = load_task("two_moons"), Communities(0.0, ())
    population = pruned(of, 0.3)
    population.flat[1, 0] = torch.nan
    for network, message in (
        (1, "network 1 has parameters that are not finite"),
        (3, "network must be between 0 and 2"),
    ):
        for evaluate in (
            lambda n: score_community_ablations(population, of, n, nothing),
            lambda n: score_subset_ablations(population, of, n, nothing),
            lambda n: score_neuron_ablations(population, of, n),
        ):
            with pytest.raises(ValueError, match=message):
                evaluate(network)
    assert score_neuron_ablations(population, of, 0)
